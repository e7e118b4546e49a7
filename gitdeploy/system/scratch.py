"""A directory of our own for a moment, with a path short enough for sockets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from gitdeploy.system import files, flock

__all__ = ["held_scratch", "remove_leftovers", "scratch_directory"]


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Make a directory that nobody else may enter, for the body.

    Args:
        parent: Where, such as /tmp; others may write there too.

    Changes: the directory, which is removed afterwards, with all in it.
    """
    directory = next(filter(_made, _names(parent)))
    try:
        yield directory
    finally:
        files.remove_tree(directory)


@contextmanager
def held_scratch(parent: Path) -> Iterator[Path]:
    """Make a directory as `scratch_directory`; one that a crash leaves is known.

    Args:
        parent: A directory that has nothing else in it; it exists.

    Changes: also what those left there that were killed: it is removed.
    """
    remove_leftovers(parent)
    with flock.held(parent):  # nobody may take it for a leftover before it is held
        directory = next(filter(_made, _names(parent)))
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        flock.hold(fd)
    try:
        yield directory
    finally:
        try:
            files.remove_tree(directory)
        finally:
            os.close(fd)


def remove_leftovers(parent: Path) -> None:
    """Remove what those left in a directory of `held_scratch` who were killed."""
    if not parent.is_dir() or not any(parent.iterdir()):
        return
    with flock.held(parent):
        for left in parent.iterdir():
            if left.is_symlink() or not left.is_dir() or not flock.is_held(left):
                files.remove(left)


def _names(parent: Path) -> Iterator[Path]:
    return (parent / f"gitdeploy-{os.getpid()}-{n}" for n in count())


def _made(directory: Path) -> bool:
    with suppress(FileExistsError):
        return files.make_directory(directory, 0o700)
    return False
