"""How two releases can have the same file on this disk; which files is not known here.

A reflink is the best way: both have a file of their own, and the disk holds its blocks
once. A hard link is the same file under two names: safe only while nobody writes into
it. A copy always works.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

from gitdeploy.system import files

__all__ = ["TRIALS", "Way", "can_hard_link", "can_reflink", "way_in"]

Way: TypeAlias = Literal["reflink", "hardlink", "copy"]
"""How a file comes from one release into another."""

TRIALS: Final = (".sharing-1", ".sharing-2")
"""What a trial that was killed may leave; the next one removes it."""

_TRIED: Final = 4096  # an empty file may be cloned where no other can


def way_in(directory: Path, *, hard_links: bool) -> Way:
    """Return the best way of sharing files within `directory`, by trying.

    Args:
        directory: Where both releases lie; our caller holds the app's lock.
        hard_links: Whether they would be safe there.

    Changes: two small files in `directory`, gone afterwards. Safe to repeat.

    Raises:
        OSError: Nothing can be written there.
    """
    if can_reflink(directory):
        return "reflink"
    return "hardlink" if hard_links and can_hard_link(directory) else "copy"


def can_reflink(directory: Path) -> bool:
    """Return whether files in `directory` can be cloned; see `way_in`."""
    return _works(directory, files.clone_file)


def can_hard_link(directory: Path) -> bool:
    """Return whether files in `directory` can have two names; see `way_in`."""
    return _works(directory, files.link_file)


def _works(directory: Path, share: Callable[[Path, Path], None]) -> bool:
    first, second = (directory / name for name in TRIALS)
    _remove(first, second)  # of one that was killed
    try:
        files.write(first, b"x" * _TRIED)
        try:
            share(first, second)
        except OSError:
            return False
        return True
    finally:
        _remove(first, second)


def _remove(*paths: Path) -> None:
    for path in paths:
        files.remove_file(path)
