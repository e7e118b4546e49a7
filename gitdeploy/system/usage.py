"""How much of the disk files take, whatever their modes are and whatever moves there.

Directories are entered by descriptors, so that no link is followed; one that we may not
read is made readable for as long as we are in it.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy.system import disk
from gitdeploy.system.clock import Stopwatch

__all__ = ["Usage", "UsageWatch", "usage"]

_BLOCK_BYTES: Final = 512  # of stat(2), whatever the file system's own are
_SOONEST_S: Final = 3.0
_SPARSE: Final = 20
"""Measuring takes at most the 20th part of the time, until that is a long pause."""
_LATEST_S: Final = 60.0
_MOST_OPEN: Final = 64
"""Directories that are held open at a time."""
_READABLE: Final = stat.S_IRUSR | stat.S_IXUSR
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Usage(Struct, frozen=True):
    """What some directories and all below them take."""

    size_bytes: int
    """Of blocks: of a sparse file only what is there."""
    files: int
    """Files, links, directories and all else that has an inode."""


def usage(tops: Iterable[Path], *, shared: bool = True) -> Usage:
    """Return what directories take; a missing one takes nothing.

    Args:
        tops: The directories; a file counts as well, a link as itself.
        shared: Whether a file counts that has several names: once, wherever the
            others are. Else it does not, as removing these would not free it.

    Changes: for as long as it takes, the modes of directories that we may not read.
    """
    count = _Count(shared=shared)
    for top in tops:
        with suppress(FileNotFoundError):
            status = os.lstat(top)
            count.add(status)
            if stat.S_ISDIR(status.st_mode):
                count.below(top)
    return Usage(count.size_bytes, count.files)


class UsageWatch:
    """Measures directories now and then, and at once where they may have grown much.

    Attributes:
        allowed: What they may take.
    """

    def __init__(self, tops: Sequence[Path], allowed: Usage) -> None:
        """Begin to watch.

        Args:
            tops: As for `usage`.
            allowed: What they may take.
        """
        self._tops = tops
        self.allowed = allowed
        self._left = allowed
        self._free = self._room()
        self._since = Stopwatch()
        self._pause_s = 0.0

    def look(self) -> Usage | None:
        """Return what they take; None: it was not measured, as it cannot be too much.

        Cheap, to be asked often: what was written since then is no more than the disk
        has less room.
        """
        if self._since.seconds < self._pause_s and not self._may_be_too_much():
            return None
        watch, self._free = Stopwatch(), self._room()
        found = usage(self._tops)
        self._left = Usage(
            max(self.allowed.size_bytes - found.size_bytes, 0),
            max(self.allowed.files - found.files, 0),
        )
        pause_s = max(_SOONEST_S, watch.seconds * _SPARSE)
        self._pause_s = min(pause_s, _LATEST_S)
        self._since = Stopwatch()
        return found

    def _may_be_too_much(self) -> bool:
        now = self._room()
        less = {device: (was, now[device]) for device, was in self._free.items()}
        size_bytes = sum(max(was[0] - is_[0], 0) for was, is_ in less.values())
        files = sum(max(was[1] - is_[1], 0) for was, is_ in less.values())
        return size_bytes > self._left.size_bytes or files > self._left.files

    def _room(self) -> dict[int, tuple[int, int]]:
        """Return what each file system of theirs has free: bytes and inodes."""
        there = [top for top in self._tops if top.exists()]
        return {top.stat().st_dev: disk.room(top) for top in there}


class _Level:
    """A directory on the way down.

    Attributes:
        fd: A descriptor of it; None: closed for now.
        is_it: Its device and inode.
        folders: The names of those in it that are left.
        mode: What it had before we made it readable; None: it was.
    """

    def __init__(self, name: str, parent: int | None) -> None:
        fd, self.mode = _opened(name, parent)
        self.fd: int | None = fd
        self.is_it = _identity(fd)
        self.folders: list[str] = []

    def leave(self) -> None:
        """Close it, with the mode that it had."""
        if self.fd is not None:
            if self.mode is not None:
                with suppress(OSError):
                    os.fchmod(self.fd, self.mode)
            self.close()

    def close(self) -> None:
        """Close it, to be found again."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class _Count:
    """What was counted so far."""

    def __init__(self, *, shared: bool) -> None:
        self.size_bytes = 0
        self.files = 0
        self._shared = shared
        self._seen: set[tuple[int, int]] = set()

    def add(self, status: os.stat_result) -> None:
        """Count a file, unless it was."""
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            one = status.st_dev, status.st_ino
            if not self._shared or one in self._seen:
                return
            self._seen.add(one)
        self.size_bytes += status.st_blocks * _BLOCK_BYTES
        self.files += 1

    def below(self, top: Path) -> None:
        """Count all below a directory, without recursion, however deep it is."""
        way = [self._entered(str(top), None)]
        try:
            while way:
                if way[-1].folders:
                    self._go_down(way)
                else:
                    _go_up(way)
        finally:
            for level in reversed(way):
                level.leave()

    def _go_down(self, way: list[_Level]) -> None:
        name = way[-1].folders.pop()
        with suppress(OSError):  # it is gone, or somebody else's
            way.append(self._entered(name, way[-1].fd))
            if len(way) > _MOST_OPEN:
                way[-2].close()

    def _entered(self, name: str, parent: int | None) -> _Level:
        level = _Level(name, parent)
        assert level.fd is not None
        with os.scandir(level.fd) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    self.add(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        level.folders.append(entry.name)
        return level


def _go_up(way: list[_Level]) -> None:
    """Leave a directory for the one above.

    One that was closed is found again by `..`; where that is another by now, since
    somebody moves things about, what is left of it is passed over.
    """
    left = way.pop()
    while way and way[-1].fd is None:
        above = os.open("..", _DIRECTORY, dir_fd=left.fd)
        if _identity(above) == way[-1].is_it:
            way[-1].fd = above
        else:
            os.close(above)
            way.pop()
    left.leave()


def _opened(name: str, parent: int | None) -> tuple[int, int | None]:
    """Return a descriptor of a directory, and its mode if that had to be changed."""
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        if os.access(f"/proc/self/fd/{fd}", os.X_OK):
            return fd, None
        os.close(fd)
    except PermissionError:
        pass
    there = os.open(name, _DIRECTORY | os.O_PATH, dir_fd=parent)
    try:
        place, mode = f"/proc/self/fd/{there}", stat.S_IMODE(os.fstat(there).st_mode)
        os.chmod(place, mode | _READABLE)  # of what the link of proc(5) stands for
        return os.open(place, _DIRECTORY & ~os.O_NOFOLLOW), mode
    finally:
        os.close(there)


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
