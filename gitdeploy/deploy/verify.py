"""Releases beside their commits: is what is live what was pushed?

Looking takes no lock: a release that is ready does not change, and one that is pruned
meanwhile is not told of.
"""

import stat
from collections.abc import Iterator

from msgspec import Struct

from gitdeploy.deploy.app import App
from gitdeploy.deploy.donor import read_manifest, rewrite_manifest
from gitdeploy.deploy.examination import Verified, examine, record_of
from gitdeploy.deploy.restore import restore
from gitdeploy.errors import GitdeployError, StateError, UsageError
from gitdeploy.manifest import Manifest
from gitdeploy.model import Release

__all__ = ["Mended", "Verified", "mend", "verify"]


class Mended(Struct):
    """A release, and what became of what was wrong with it."""

    restored: list[bytes]
    left: Verified
    """How it is now."""


def verify(app: App, release: Release | None = None) -> list[Verified]:
    """Compare a release with its commit; else every ready one of ours, newest first.

    Changes: for a moment files in a place of their own, where git would write something
        else than blobs.

    Raises:
        UsageError: That release cannot be compared: it is not ready, or not of git.
        StateError: Its directory is missing.
        ReleaseFailed: What its commit has cannot be read.
    """
    if release is not None:
        _check(app, release)
        return [*_examined(app, release)]
    return [
        found
        for one in reversed(app.ledger.releases.made_here())
        if one.state == "ready" and one.tree and app.directory(one).is_dir()
        for found in _examined(app, one)
    ]


def mend(app: App, release: Release | None = None) -> list[Mended]:
    """Give back what differs, as git writes it; return what became of each release.

    What was added, was built or is shared is left alone.

    Args:
        app: The app, whose lock is held.
        release: As `verify`.

    Changes: the files, each in one step, and then the records, so that whatever is
        right is shared from now on. Safe to repeat.

    Raises:
        GitdeployError: As `verify`.
    """
    return [mended for found in verify(app, release) for mended in _mended(app, found)]


def _mended(app: App, found: Verified) -> Iterator[Mended]:
    release, wanted = found.release, found.restorable()
    known = read_manifest(app, release)
    for part, files in wanted:
        restore(app, release, part, files.items(), read_only=_is_read_only(known))
    for left in _examined(app, release) if wanted else [found]:
        if (record := record_of(app, left)) != known:
            rewrite_manifest(app, release, record)
        gone = {*found.changed, *found.missing} - {*left.changed, *left.missing}
        yield Mended(sorted(gone), left)


def _is_read_only(record: Manifest | None) -> bool:
    """Return whether a release's files were made so that others can share them."""
    modes = [
        file.stamp[3]
        for folder in (record.folders.values() if record else ())
        for file in folder.files
        if file.stamp and stat.S_ISREG(file.stamp[3])
    ]
    return bool(modes) and not any(mode & stat.S_IWUSR for mode in modes)


def _check(app: App, release: Release) -> None:
    if release.state != "ready":
        raise UsageError(f"release {release.number} is not ready: {release.state}")
    if release.path or release.tree is None:
        raise UsageError(f"release {release.number} did not come from git")
    if not app.directory(release).is_dir():
        raise StateError(
            f"{app.directory(release)} is missing", hint=f"gitdeploy doctor {app.name}"
        )


def _examined(app: App, release: Release) -> Iterator[Verified]:
    """Yield how a release is, unless it is pruned by now: then it was half gone."""
    try:
        found = examine(app, release)
    except (GitdeployError, OSError):
        if _is_ready(app, release):
            raise
        return
    if _is_ready(app, release):
        yield found


def _is_ready(app: App, release: Release) -> bool:
    return app.ledger.releases.get(release.number).state == "ready"
