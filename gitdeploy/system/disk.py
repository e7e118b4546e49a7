"""What the disk has room for, what it lets us write to, and whose a place is."""

import errno
import os
import pwd
import stat
import sys
from pathlib import Path

__all__ = ["blamed", "block_bytes", "check_writable", "room", "user_name"]


def blamed(error: Exception) -> str:
    """Return what the kernel said and the place it said it of; else what an error says.

    For a call with two names, such as symlink(2), that is the one to be made. Where a
    right is missing: whose the place is, and who we are.
    """
    if not isinstance(error, OSError):
        return str(error)
    where = error.filename2 or error.filename
    said = error.strerror or str(error)
    if not where or isinstance(where, int):
        return said
    path = Path(os.fsdecode(where))
    whose = _whose(path) if isinstance(error, PermissionError) else ""
    return f"{path}: {said}{whose}"


def _whose(path: Path) -> str:
    there = path if os.path.lexists(path) else path.parent
    try:
        status = os.lstat(there)
    except OSError:  # it cannot even be looked at
        return ""
    mode, owner = stat.S_IMODE(status.st_mode), user_name(status.st_uid)
    return (
        f"; {there.name} belongs to {owner}, mode {mode:o}, and we are"
        f" {user_name(os.geteuid())}"
    )


def user_name(uid: int) -> str:
    """Return what a user is called; by the number where there is no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def check_writable(directory: Path) -> None:
    """Say nothing if names can be made in a directory.

    Raises:
        PermissionError: We have no right to, or the disk is mounted read-only.
    """
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "cannot be written to", str(directory))


def room(path: Path) -> tuple[int, int]:
    """Return what the file system of `path` has free for us: bytes and inodes."""
    free = os.statvfs(path)
    inodes = free.f_favail if free.f_files else sys.maxsize  # btrfs counts none
    return free.f_bavail * free.f_frsize, inodes


def block_bytes(path: Path) -> int:
    """Return in which steps the file system of `path` gives space to a file."""
    return os.statvfs(path).f_frsize
