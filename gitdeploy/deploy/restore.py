"""Files of a release that is ready, given back as git writes them."""

import os
import stat
from collections.abc import Iterable

from gitdeploy.checkout import written
from gitdeploy.deploy.app import App
from gitdeploy.deploy.parts import Part
from gitdeploy.manifest import File, Stamp, joined, stamp_of
from gitdeploy.model import Release
from gitdeploy.system import clock, files
from gitdeploy.system.below import put_below
from gitdeploy.system.flock import held

__all__ = ["restore"]

_WRITABLE = 0o222


def restore(
    app: App,
    release: Release,
    part: Part,
    wanted: Iterable[tuple[bytes, File]],
    *,
    read_only: bool,
) -> dict[bytes, Stamp]:
    """Give a release files of its own, in place of whatever has their names.

    Nobody sees half a file, and no other release's file is written to. A directory
    with something in it is somebody's, and stays where it is.

    Args:
        app: The app, whose lock is held.
        release: The release.
        part: What of it.
        wanted: The files, by their paths in that part.
        read_only: Whether nobody may write to them, as to files that are shared.

    Returns:
        Those that were given back, with their stamps.

    Changes: the files, on the disk before they have their names, and missing folders.
        Safe to repeat.
    """
    scratch, base = app.layout.scratch, app.directory(release)
    given: dict[bytes, Stamp] = {}
    with (
        held(app.layout.releases),
        written(
            part.git, wanted, scratch, attributes=part.attributes, path=part.path
        ) as found,
    ):
        for place in found.values():
            mode = place.lstat().st_mode
            if read_only and stat.S_ISREG(mode):
                files.change_mode(place, stat.S_IMODE(mode) & ~_WRITABLE)
        files.sync_filesystems([scratch])
        for path, place in found.items():
            stamp = stamp_of(os.lstat(place))
            if put_below(base, joined(part.at, path), place):
                given[path] = stamp
        files.sync_filesystems([base])
    clock.wait_past(max((stamp[2] for stamp in given.values()), default=0))
    return given
