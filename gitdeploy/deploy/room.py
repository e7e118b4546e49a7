"""Whether a release will fit on the disk, and what would make room for it."""

from gitdeploy import unchanged
from gitdeploy.deploy.app import App
from gitdeploy.deploy.donor import Donor
from gitdeploy.deploy.prune import to_prune
from gitdeploy.deploy.quota import check_quota
from gitdeploy.deploy.reserve import RESERVE_BYTES
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import disk
from gitdeploy.system.terminal import count, human_bytes
from gitdeploy.system.usage import Usage, usage
from gitdeploy.tree import Inspection

__all__ = ["check_room"]


def check_room(
    app: App, inspection: Inspection, donor: Donor | None, *, more_bytes: int = 0
) -> None:
    """Refuse before anything is written that would not fit.

    A file fills its last block half, on average; what a roll back needs stays free.

    Args:
        app: The app.
        inspection: What the release will hold.
        donor: The release that it shares unchanged files with, which need no room.
        more_bytes: What its files may have besides, as git writes them.

    Raises:
        ReleaseFailed: Bytes or inodes are missing, or the app may not take that many;
            the message says how many, and what prune would free.
    """
    free_bytes, free_inodes = disk.room(app.layout.releases)
    had = donor.manifest.folders if donor else {}
    shared_files, shared_bytes = unchanged.in_common(had, inspection.folders)
    new_files = inspection.files - shared_files
    last_blocks = new_files * disk.block_bytes(app.layout.releases) // 2
    size_bytes = inspection.size_bytes + more_bytes
    need_bytes = max(size_bytes - shared_bytes, 0) + last_blocks
    check_quota(app, more=Usage(need_bytes, new_files))
    if (missing := need_bytes + RESERVE_BYTES - free_bytes) > 0:
        raise ReleaseFailed(
            f"the files need {human_bytes(need_bytes)}, and"
            f" {human_bytes(RESERVE_BYTES)} stay free; the server's disk has"
            f" {human_bytes(free_bytes)}: {human_bytes(missing)} too little",
            hint=_way_out(app, missing, 0),
        )
    if (missing := new_files - free_inodes) > 0:
        raise ReleaseFailed(
            f"{count(new_files, 'file')} are {missing:,} too many: the"
            f" server's disk can hold {free_inodes:,} more",
            hint=_way_out(app, 0, missing),
        )


def _way_out(app: App, missing_bytes: int, missing_inodes: int) -> str:
    """Return what to do: prune, where that would free enough."""
    frees_bytes = frees_inodes = 0
    for release in to_prune(app, 0):
        held = usage([app.directory(release)], shared=False)
        frees_bytes += held.size_bytes
        frees_inodes += held.files
    frees = f"{human_bytes(frees_bytes)} and {count(frees_inodes, 'file')}"
    if frees_bytes >= missing_bytes and frees_inodes >= missing_inodes:
        return f"gitdeploy prune {app.name} --keep 0  # frees {frees}"
    return f"df {app.layout.releases}  # prune would free {frees} only"
