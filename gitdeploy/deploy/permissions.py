"""The places of an app as they are on the disk, held against the table of modes.

Doctor tells of what is looser or stricter than it may be, and setup mends it.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from gitdeploy import modes
from gitdeploy.layout import Layout
from gitdeploy.modes import Rule
from gitdeploy.system import files
from gitdeploy.system.disk import blamed

__all__ = ["Wrong", "mend", "own_places", "wrong"]


class Wrong(Struct, frozen=True):
    """A place that the wrong people can reach, or the right ones cannot."""

    path: Path
    mode: int
    """Its permissions."""
    wanted: int
    """What they should be."""
    owner: int
    """Whose it is."""


def wrong(layout: Layout, target: Path | None) -> Iterator[Wrong]:
    """Yield every place whose permissions are not what they may be.

    Links are passed over: somebody has moved such a place to another disk.

    Args:
        layout: Of the app.
        target: The directory of the links; None where it is not known.
    """
    for path, rule in _rules(layout, target):
        try:
            status = path.lstat()
        except OSError:  # gone since, or behind what we may not enter
            continue
        mode = stat.S_IMODE(status.st_mode)
        is_link = stat.S_ISLNK(status.st_mode)
        if not is_link and (wanted := rule.wanted(mode)) != mode:
            yield Wrong(path, mode, wanted, status.st_uid)


def mend(layout: Layout, target: Path) -> list[str]:
    """Give every place that is ours the permissions it should have; say which.

    Changes: modes, no link followed. Safe to repeat.
    """
    done = []
    for one in wrong(layout, target):
        if one.owner == os.geteuid():
            try:
                files.change_mode(one.path, one.wanted)
            except OSError as error:
                done.append(f"not mended: {blamed(error)}")
                continue
            done.append(f"mode of {one.path}: {one.wanted:04o}, was {one.mode:04o}")
    return done


def own_places(layout: Layout) -> Iterator[Path]:
    """Yield what belongs to whoever deploys the app, where it is there."""
    for path in (layout.home, *_listed(layout.home)):
        if not path.is_symlink() and path.exists():
            yield path
    if layout.repository.exists():
        yield layout.repository


def _rules(layout: Layout, target: Path | None) -> Iterator[tuple[Path, Rule]]:
    yield layout.root, modes.ROOT
    if target is not None:
        yield target, modes.TARGET
    for name, rule in modes.in_root(layout.app).items():
        yield layout.root / name, rule
    for path in _listed(layout.home):
        yield path, modes.in_home(path.name, is_directory=path.is_dir())
    for name, rule in modes.in_repository().items():
        yield layout.repository / name, rule
        for path in _listed(layout.repository / name):
            yield path, rule


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:  # missing, a file, or not to be entered
        return []
