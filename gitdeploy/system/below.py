"""Names below a directory that others may change: no link is followed on the way.

A commit, a step or the running app could make a folder a link that leads elsewhere, or
put a pipe or a device where a file is expected. What lies there is opened beneath a
directory that is ours, and looked at by that descriptor.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gitdeploy.system import files
from gitdeploy.system.openat2 import open_without_links

__all__ = [
    "NotAFile",
    "TooLarge",
    "directory_beneath",
    "give_directory",
    "link_below",
    "move_below",
    "named_in",
    "open_below",
    "open_beneath",
    "open_to_read",
    "put_below",
    "read_beneath",
    "status_beneath",
]

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


_READ_BYTES: Final = 2**20


class NotAFile(OSError):
    """What was to be read is a directory, a pipe, a socket or a device."""


class TooLarge(OSError):
    """What was to be read holds more bytes than are taken."""


def open_beneath(
    base: Path | int, path: str | bytes, flags: int, mode: int = 0o600
) -> int:
    """Return a descriptor of what lies at `base/path`; no link is followed, nor waited.

    Args:
        base: A directory whose own name is ours, or a descriptor of one. What its
            owner made a link, to another disk perhaps, is followed there.
        path: Below it, without `..`; empty or `.` for the directory itself.
        flags: As for open(2); O_CLOEXEC, O_NOFOLLOW and O_NONBLOCK come to them.
        mode: The permissions of a file that is made.

    Raises:
        OSError: It is not there, leads out, or has a link in it (ELOOP or ENOTDIR).
    """
    name = os.fsencode(path) or b"."
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | (0 if flags & os.O_PATH else os.O_NONBLOCK)
    if isinstance(base, int):
        return open_without_links(base, name, flags, mode)
    fd = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_without_links(fd, name, flags, mode)
    finally:
        os.close(fd)


@contextmanager
def directory_beneath(base: Path | int, path: str | bytes) -> Iterator[int]:
    """Give a descriptor of a directory at `base/path` for the body; see `open_beneath`.

    Raises:
        OSError: It is not there, is no directory, or has a link in it.
    """
    fd = open_beneath(base, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def read_beneath(base: Path | int, path: str | bytes, *, most_bytes: int) -> bytes:
    """Return all that a file at `base/path` holds; see `open_beneath`.

    Raises:
        NotAFile: It is no regular file.
        TooLarge: It holds more than `most_bytes`; of a sparse one its holes count.
        OSError: It is not there, may not be read, or has a link in it.
    """
    fd = open_beneath(base, path, os.O_RDONLY)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise NotAFile(errno.EINVAL, "is no regular file", os.fsdecode(path))
        if status.st_size > most_bytes:
            raise _too_large(path, most_bytes)
        return _all_of(fd, path, most_bytes)
    finally:
        os.close(fd)


def _all_of(fd: int, path: str | bytes, most_bytes: int) -> bytes:
    found = bytearray()
    while data := os.read(fd, _READ_BYTES):  # it may grow while it is read
        found += data
        if len(found) > most_bytes:
            raise _too_large(path, most_bytes)
    return bytes(found)


def _too_large(path: str | bytes, most_bytes: int) -> TooLarge:
    what = f"holds more than {most_bytes} bytes"
    return TooLarge(errno.EFBIG, what, os.fsdecode(path))


def status_beneath(base: Path | int, path: str | bytes) -> os.stat_result | None:
    """Return lstat(2) of what lies at `base/path`; None: nothing, or behind a link."""
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            fd = open_beneath(base, path, os.O_PATH)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EXDEV):
                return None
            raise
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)
    return None


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
        files.remove(named_in(fd, os.fsdecode(name)))
        os.symlink(target, name, dir_fd=fd)


def named_in(directory: int, name: str) -> Path:
    """Return a path by which a name of an open directory is reached (proc(5))."""
    return Path(f"/proc/self/fd/{directory}", name)


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


def move_below(source: Path, destination: Path, relative: str) -> bool:
    """Move what lies at a path below one directory to the same path below another.

    Missing parents are made there; none is followed, here or there, where it is a link.

    Returns:
        Whether there was anything; if not, there is nothing in either by now.

    Raises:
        OSError: It could not be moved; a parent is a file or a link.
    """
    folder, _, name = os.fsencode(relative).rpartition(b"/")
    with open_below(destination, folder, _open_or_make) as there:
        files.remove(destination / relative)
        status = status_beneath(source, relative)
        if status is None:
            return False
        with open_below(source, folder) as here:
            _move(name, here, there, status.st_mode)
    return True


def _move(name: bytes, here: int, there: int, mode: int) -> None:
    try:
        os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)
    except PermissionError:  # a directory that we may not write to: its `..` changes
        if not stat.S_ISDIR(mode):
            raise
        os.chmod(name, stat.S_IMODE(mode) | stat.S_IRWXU, dir_fd=here)
        os.rename(name, name, src_dir_fd=here, dst_dir_fd=there)
        os.chmod(name, stat.S_IMODE(mode), dir_fd=there)


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
