"""One file opened beneath a directory, whatever links lie there; used through `below`.

The kernel does it at once (openat2(2), Linux 5.6); before that each part of the path is
opened by itself.
"""

import ctypes
import errno
import os
from functools import cache
from typing import Final

__all__ = ["open_part_by_part", "open_without_links"]

_NUMBER: Final = 437  # of the system call, on every architecture
_NO_MAGICLINKS: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_HAS_MODE: Final = os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _How(ctypes.Structure):
    """struct open_how."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_without_links(directory: int, path: bytes, flags: int, mode: int) -> int:
    """Return a descriptor of `path` below an open directory.

    With O_PATH a link at the very end is opened itself; any other link is an error.

    Raises:
        OSError: As open(2); ELOOP or ENOTDIR for a link, EXDEV for what leads out.
    """
    if _known():
        return _openat2(directory, path, flags, mode)
    return open_part_by_part(directory, path, flags, mode)


def open_part_by_part(directory: int, path: bytes, flags: int, mode: int) -> int:
    """Do what `open_without_links` does, on any kernel."""
    *folders, name = path.split(b"/")
    if path.startswith(b"/") or b".." in (*folders, name):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
    opened: list[int] = []
    try:
        for folder in filter(None, folders):
            above = opened[-1] if opened else directory
            opened.append(os.open(folder, _FOLDER, dir_fd=above))
        above = opened[-1] if opened else directory
        return os.open(name or b".", flags | os.O_NOFOLLOW, mode, dir_fd=above)
    finally:
        for fd in opened:
            os.close(fd)


def _openat2(directory: int, path: bytes, flags: int, mode: int) -> int:
    resolve = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS
    how = _How(flags, mode if flags & _HAS_MODE else 0, resolve)
    words = (_NUMBER, directory, path, ctypes.byref(how), ctypes.sizeof(how))
    fd: int = _libc().syscall(*words)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return fd


@cache
def _known() -> bool:
    """Return whether this kernel has the call, and lets us use it."""
    here = os.open("/", _FOLDER)
    try:
        os.close(_openat2(here, b".", _FOLDER, 0))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
