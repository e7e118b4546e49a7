"""Names below a directory that others may change: no link is followed on the way.

A commit, a step or the running app could make a folder a link that leads elsewhere;
each part of a path is opened by itself (openat(2), O_NOFOLLOW).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gitdeploy.system import files

__all__ = ["give_directory", "link_below", "open_below", "open_to_read", "put_below"]

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def open_below(
    base: Path,
    folder: bytes,
    enter: Callable[[bytes, int], int] | None = None,
) -> Iterator[int]:
    """Give a descriptor of `base/folder` for the body; no link is followed.

    Args:
        base: A directory.
        folder: A path below it; empty for `base` itself.
        enter: Opens a name in an open directory; None: it has to be a directory.

    Raises:
        FileNotFoundError: There is no such directory.
        NotADirectoryError: A part of it is a file or a link (openat(2), O_NOFOLLOW).
    """
    fd = os.open(base, _DIRECTORY)
    try:
        for name in folder.split(b"/") if folder else ():
            inner = (enter or _open)(name, fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def open_to_read(name: bytes, directory: int | None) -> int:
    """Return a descriptor of a file in an open directory, or of one that is stated.

    A link is not followed, and a pipe that has this name is not waited for.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=directory)


def link_below(base: Path, relative: str, target: str) -> None:
    """Put a link at `base/relative`, in place of whatever is there.

    Missing parents are made. A parent that is a link is not followed: a commit
    could point it outside the release.

    Raises:
        NotADirectoryError: A parent is a file or a link.
    """
    folder, _, name = os.fsencode(relative).rpartition(b"/")
    with open_below(base, folder, _open_or_make) as fd:
        files.remove(base / relative)
        os.symlink(target, name, dir_fd=fd)


def put_below(base: Path, relative: bytes, by: Path) -> bool:
    """Give a file or link, whose content is durable, the name `base/relative`.

    Missing parents are made, also in place of a file or a link; none is followed.

    Returns:
        False where a directory has the name, and something is in it: that is
        somebody's, and stays.

    Changes: safe to repeat.
    """
    folder, _, name = relative.rpartition(b"/")
    with open_below(base, folder, _open_or_replace) as fd:
        try:
            os.rename(by, name, dst_dir_fd=fd)
        except IsADirectoryError:
            try:
                os.rmdir(name, dir_fd=fd)
            except OSError:
                return False
            os.rename(by, name, dst_dir_fd=fd)
    return True


def _open(name: bytes, parent: int) -> int:
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _open_or_make(name: bytes, parent: int) -> int:
    try:
        return _open(name, parent)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=parent)
        return _open(name, parent)


def _open_or_replace(name: bytes, parent: int) -> int:
    try:
        return _open_or_make(name, parent)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return _open_or_make(name, parent)


def give_directory(path: Path, mode: int, *, owner: int, group: int) -> None:
    """Let a directory, which is not a link, belong to a user, with permissions.

    Raises:
        OSError: It is a link or no directory; nothing is changed.
    """
    with files.open_directory(path) as fd:
        os.fchown(fd, owner, group)
        os.fchmod(fd, mode)
