"""One lock per app: a kernel lock on a file that says who holds it, for what.

The kernel frees it when its holder dies, however it dies (flock(2)); the text in the
file is for people and decides nothing. The file is never removed.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from gitdeploy.errors import LockHeld
from gitdeploy.system import clock
from gitdeploy.system.terminal import human_time

__all__ = ["Holder", "holder", "lock_held"]

_LOOK_AGAIN_S: Final = 0.05
_TELL_AGAIN_S: Final = 15.0
# Whoever looks who holds the lock (`holder`) holds it for a moment, shared.
_GLIMPSE_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on an app."""

    by: str
    what: str
    """`push of main`, `rollback prod`."""
    pid: int
    since: str
    """ISO 8601, UTC."""

    def __str__(self) -> str:
        """Return the holder as part of a sentence."""
        ago = human_time(max(clock.seconds_since(self.since), 0))
        return f"{self.by} ({self.what}, process {self.pid}, since {ago})"


@contextmanager
def lock_held(
    path: Path,
    *,
    by: str,
    what: str,
    wait_s: float,
    tell: Callable[[str], None],
) -> Iterator[None]:
    """Hold an app's lock for the body.

    Facts read before are only hints: read them again inside.

    Args:
        path: The lock file.
        by: Who acts.
        what: For what, as the next one shall read it.
        wait_s: How long to wait for another holder; 0 waits for a glance only.
        tell: Called with a sentence when there is somebody to wait for.

    Raises:
        LockHeld: Somebody else still holds it after `wait_s`.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(fd, path, wait_s, tell)
        _describe(fd, Holder(by, what, os.getpid(), clock.now()))
        yield
        os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def holder(path: Path) -> Holder | None:
    """Return who holds the lock now; None where nobody does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _try(fd, fcntl.LOCK_SH):
            return None
        return _described(path)
    finally:
        os.close(fd)


def _acquire(fd: int, path: Path, wait_s: float, tell: Callable[[str], None]) -> None:
    waited = clock.Stopwatch()
    told_s = -_TELL_AGAIN_S
    while not _try(fd, fcntl.LOCK_EX):
        if waited.seconds >= max(wait_s, _GLIMPSE_S):
            raise LockHeld(
                f"{_described(path)} holds the lock",
                hint="try again when it is done; nothing was changed",
            )
        if wait_s and waited.seconds - told_s >= _TELL_AGAIN_S:
            told_s = waited.seconds
            tell(f"waiting for {_described(path)}")
        time.sleep(_LOOK_AGAIN_S)


def _describe(fd: int, me: Holder) -> None:
    """Say who holds the lock; on a full disk nobody is told, and the lock holds."""
    os.ftruncate(fd, 0)
    with suppress(OSError):
        os.pwrite(fd, json.dumps(asdict(me)).encode(), 0)


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _described(path: Path) -> Holder:
    """Return what the file says; the holder may be just about to write it."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        return Holder("somebody", "just started", 0, clock.now())
