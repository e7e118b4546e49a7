"""Files held locked: the kernel frees them when their holder is gone (flock(2))."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["held", "hold", "is_held", "release", "try_to_hold"]


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file or directory, which exists, for the body; wait for who holds it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        hold(fd)
        yield
    finally:
        os.close(fd)


def hold(fd: int) -> None:
    """Hold an open file until it is closed, once nobody else does (flock(2))."""
    fcntl.flock(fd, fcntl.LOCK_EX)


def try_to_hold(fd: int) -> bool:
    """Hold an open file until it is closed, unless somebody does (flock(2))."""
    return _locked(fd, fcntl.LOCK_EX)


def release(fd: int) -> None:
    """Hold an open file no more."""
    fcntl.flock(fd, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    """Return whether a process that lives holds a file; a missing one nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _locked(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _locked(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
