"""Files that releases share by a second name: nobody may change them in place.

They are read-only, and steps run without the privilege to override that. Their owner
can still give the right back; what was done so is found here, and put right.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from gitdeploy import unchanged
from gitdeploy.deploy.app import App
from gitdeploy.deploy.donor import read_manifest, rewrite_manifest
from gitdeploy.deploy.parts import part_of
from gitdeploy.deploy.restore import restore
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import File, Manifest
from gitdeploy.model import Release

__all__ = ["TWO_WAYS", "guarded"]

TWO_WAYS: Final = (
    "let the step write a new file and rename it over,"
    ' or write  [checkout] share = "never"'
)


@contextmanager
def guarded(app: App, directory: Path, record: Manifest) -> Iterator[None]:
    """Let steps run in a release whose files earlier releases have too.

    Raises:
        ReleaseFailed: A step changed such a file in place. The earlier releases have
            theirs back, as their commits have it.
    """
    try:
        yield
    finally:
        changed = {
            path: file.stamp[0]
            for path, file, elsewhere in unchanged.touched(directory, record.folders)
            if elsewhere and file.stamp
        }
        if changed:
            _put_right(app, set(changed.values()))
            path = min(changed).decode("utf-8", "replace")
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise ReleaseFailed(
                f"a step changed {path!r}{more} in place, which earlier releases"
                " share; they have theirs back",
                hint=TWO_WAYS,
            )


def _put_right(app: App, inodes: Collection[int]) -> None:
    for release in app.ledger.releases.on_disk():
        record = read_manifest(app, release)
        if release.state == "ready" and record:
            _restore(app, release, record, inodes)


def _restore(
    app: App, release: Release, record: Manifest, inodes: Collection[int]
) -> None:
    """Give a release files of its own in place of those with some inodes."""
    wanted: list[tuple[bytes, File]] = [
        (path, file)
        for path, file, _ in unchanged.touched(app.directory(release), record.folders)
        if file.stamp and file.stamp[0] in inodes
    ]
    if not wanted or release.tree is None:
        return
    part = part_of(app, release.tree, record.path, record.folders)
    given = restore(app, release, part, wanted, read_only=True)
    folders = unchanged.forget(record.folders, (path for path, _ in wanted))
    folders = unchanged.vouch(folders, given)
    rewrite_manifest(app, release, msgspec.structs.replace(record, folders=folders))
