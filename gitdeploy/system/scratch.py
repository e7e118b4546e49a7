"""A directory of our own for a moment, with a path short enough for sockets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from gitdeploy.system import files

__all__ = ["scratch_directory"]


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


def _names(parent: Path) -> Iterator[Path]:
    return (parent / f"gitdeploy-{os.getpid()}-{n}" for n in count())


def _made(directory: Path) -> bool:
    with suppress(FileExistsError):
        return files.make_directory(directory, 0o700)
    return False
