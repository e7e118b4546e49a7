"""A file copied by descriptors; part of `files`, through which it is called."""

import fcntl
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, TypeAlias

__all__ = ["Name", "clone_file", "clone_into", "create_file", "make_like"]

Name: TypeAlias = Path | bytes
"""A path; or a name in a directory that a descriptor stands for."""

_FICLONE: Final = 0x40049409  # ioctl_ficlone(2); the same on x86 and ARM
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITING: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_KEPT: Final = ("user.", "system.posix_acl_")


def clone_file(
    source: Name,
    destination: Name,
    *,
    source_in: int | None = None,
    destination_in: int | None = None,
) -> None:
    """Make a file that has another's blocks, until one of the two is written to.

    Content, mode and time of change are the same, so that caches know the file.

    Args:
        source: The file; a link is refused.
        destination: Its name there.
        source_in: A descriptor of the directory that `source` is in; None: a path.
        destination_in: The same of `destination`.

    Raises:
        OSError: There is a file already, or this file system cannot; then no file
            is left behind.

    Source:
        ioctl_ficlone(2): XFS, btrfs and some others, within one file system.
    """
    with ExitStack() as stack:
        whole = os.open(source, _READING, dir_fd=source_in)
        stack.callback(os.close, whole)
        status = os.fstat(whole)
        fd = create_file(destination, destination_in)
        stack.callback(os.close, fd)
        try:
            fcntl.ioctl(fd, _FICLONE, whole)
            os.fchmod(fd, stat.S_IMODE(status.st_mode))
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        except OSError:
            with suppress(OSError):
                os.unlink(destination, dir_fd=destination_in)
            raise


def create_file(name: Name, directory: int | None) -> int:
    """Return a descriptor of a new file that is ours alone, to write to.

    Raises:
        OSError: Something has this name already, or it cannot be made.
    """
    return os.open(name, _WRITING, 0o600, dir_fd=directory)


def clone_into(fd: int, whole: int) -> bool:
    """Give a new open file the blocks of another; return whether this works here."""
    try:
        fcntl.ioctl(fd, _FICLONE, whole)
    except OSError:
        return False
    return True


def make_like(fd: int, other: int, status: os.stat_result, mtime_ns: int) -> None:
    """Give an open file the mode of another, and whatever else cp(1) would keep.

    Args:
        fd: The file.
        other: A descriptor of the other one.
        status: How the other one is.
        mtime_ns: The time of change that it shall show.
    """
    if os.geteuid() == 0:
        os.fchown(fd, status.st_uid, status.st_gid)
    for name in os.listxattr(other):
        if name.startswith(_KEPT):
            with suppress(OSError):  # another file system may not have them
                os.setxattr(fd, name, os.getxattr(other, name))
    os.fchmod(fd, stat.S_IMODE(status.st_mode))
    os.utime(fd, ns=(status.st_atime_ns, mtime_ns))
