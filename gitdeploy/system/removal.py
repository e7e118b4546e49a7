"""A whole tree removed, by descriptors; part of `files`, through which it is called."""

import itertools
import os
import stat
from pathlib import Path
from typing import Final

__all__ = ["remove_tree"]

_MOST_OPEN: Final = 64
"""Directories that are held open at a time."""
_OURS: Final = stat.S_IRWXU
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(top: Path) -> None:
    """Remove a directory and all below it; a missing one is fine, a link goes alone.

    Directories are entered by descriptors, so that no link is followed whatever takes
    their place meanwhile, and made accessible, since a build may leave read-only ones
    behind. What lies deep is moved up into `top` before, so that neither depth nor
    path length has a limit.

    Changes: safe to repeat after a crash.
    """
    if not os.path.lexists(top) or top.is_symlink():
        top.unlink(missing_ok=True)
        return
    opened = [_Opened(str(top))]
    try:
        _empty(opened)
    except OSError as error:  # it names the last part of a path only
        last = error.filename if isinstance(error.filename, str) else ""
        error.filename = os.path.join(*(one.name for one in opened), last)
        raise
    finally:
        for one in opened:
            os.close(one.fd)
    os.rmdir(top)


def _empty(opened: list["_Opened"]) -> None:
    """Empty the one directory that is opened."""
    top = opened[0]
    top.remove_files()
    taken = set(top.directories)
    free = (f".removing-{n}" for n in itertools.count())
    while top.directories or len(opened) > 1:
        last = opened[-1]
        if not last.directories:
            os.close(opened.pop().fd)
            os.rmdir(last.name, dir_fd=opened[-1].fd)
        elif len(opened) < _MOST_OPEN:
            opened.append(_Opened(last.directories.pop(), last.fd))
            opened[-1].remove_files()
        else:
            name = last.directories.pop()
            os.close(_entered(name, last.fd))
            up = next(name for name in free if name not in taken)
            os.rename(name, up, src_dir_fd=last.fd, dst_dir_fd=top.fd)
            top.directories.append(up)


class _Opened:
    """A directory that is being removed.

    Attributes:
        name: Its name in the one before.
        fd: A descriptor of it.
        directories: The names of those in it that are left.
    """

    def __init__(self, name: str, parent: int | None = None) -> None:
        self.name = name
        self.fd = _entered(name, parent)
        self.directories: list[str] = []

    def remove_files(self) -> None:
        """Remove all that is no directory."""
        with os.scandir(self.fd) as entries:
            found = list(entries)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                self.directories.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=self.fd)


def _entered(name: str, parent: int | None) -> int:
    """Return a descriptor of a directory, which we may read and change by now."""
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
    except PermissionError:
        there = os.open(name, _DIRECTORY | os.O_PATH, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{there}", _OURS)  # chmod(2) of a link's target
        finally:
            os.close(there)
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
    if os.fstat(fd).st_mode & _OURS != _OURS:
        os.fchmod(fd, _OURS)
    return fd
