"""One lock per app: a kernel lock on a file that says who holds it, for what.

The kernel frees it when its holder dies, however it dies (flock(2)); the text in the
file is for people and decides nothing. The file is never removed. Who has to wait
stands in the queue beside it and gets its turn in the order of arrival.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gitdeploy.errors import LockHeld
from gitdeploy.lock.queue import Holder, Queue, Ticket, described, written
from gitdeploy.system import clock, files, flock
from gitdeploy.system.signals import disturbable
from gitdeploy.system.terminal import count

__all__ = ["Holder", "Turn", "cancel", "holder", "lock_held", "waiting"]

_LOOK_AGAIN_S: Final = 0.05
_TELL_AGAIN_S: Final = 15.0
# Whoever looks who holds the lock (`holder`) holds it for a moment, shared.
_GLIMPSE_S: Final = 0.2
_BLINK_S: Final = 0.002


class Turn:
    """An app's lock while we hold it.

    Attributes:
        fd: The descriptor that holds it; whoever has it too holds it as long.
    """

    def __init__(self, fd: int, queue: Queue) -> None:
        self.fd = fd
        self._queue = queue
        self._stopped_by: str | None = None

    @property
    def cancelled_by(self) -> str | None:
        """Who wants us to stop; None where nobody does."""
        return self._stopped_by or self._queue.canceller(os.getpid())

    def stop(self, by: str) -> None:
        """Remember that whatever we do shall stop."""
        self._stopped_by = by

    def waiting(self) -> list[Holder]:
        """Return who waits for us, in the order of their turns."""
        return self._queue.waiting()


@contextmanager
def lock_held(
    path: Path,
    *,
    by: str,
    what: str,
    wait_s: float,
    tell: Callable[[str], None],
    wants: Mapping[str, str] | None = None,
) -> Iterator[Turn]:
    """Hold an app's lock for the body.

    Facts read before are only hints: read them again inside.

    Args:
        path: The lock file.
        by: Who acts.
        what: For what, as the next one shall read it.
        wait_s: How long to wait for another holder; 0 waits for a glance only.
        tell: Called with a sentence when there is somebody to wait for.
        wants: The refs that are to move and where to, for those whose turn is
            before.

    Raises:
        LockHeld: Somebody else still holds it after `wait_s`.
    """
    me = Holder(by, what, os.getpid(), clock.now(), dict(wants or {}))
    queue = Queue(path.with_name("queue"))
    fd = files.open_to_hold(path)
    try:
        queue.forget(me.pid)  # left for another process, whose number we have
        _acquire(fd, path, queue, me, wait_s, tell)
        queue.clear_dead(me.pid)
        _tell_all(fd, written(me))
        yield Turn(fd, queue)
        _tell_all(fd, b"")
    finally:
        os.close(fd)
        queue.forget(me.pid)


def _tell_all(fd: int, text: bytes) -> None:
    """Write who holds the lock; on a full disk nobody is told, and the lock holds."""
    with suppress(OSError):
        files.overwrite(fd, text)


def holder(path: Path) -> Holder | None:
    """Return who holds the lock now; None where nobody does."""
    return described(path)


def waiting(path: Path) -> list[Holder]:
    """Return who waits for the lock, in the order of their turns."""
    return Queue(path.with_name("queue")).waiting()


def cancel(path: Path, who: Holder, *, by: str) -> None:
    """Ask who holds the lock, or waits for it, to stop; it looks now and then.

    Changes: a note in the queue, which the one asked takes away when it ends.
    """
    Queue(path.with_name("queue")).cancel(who.pid, by)


def _acquire(
    fd: int,
    path: Path,
    queue: Queue,
    me: Holder,
    wait_s: float,
    tell: Callable[[str], None],
) -> None:
    if not queue.waiting() and flock.try_to_hold(fd):
        return
    with queue.ticket(me) as ticket:
        waited = clock.Stopwatch()
        told_s = -_TELL_AGAIN_S
        while not (ticket.is_next() and flock.try_to_hold(fd)):
            if waited.seconds >= max(wait_s, _GLIMPSE_S):
                raise LockHeld(
                    f"{_whom(path)} holds the lock",
                    hint="try again when it is done; nothing was changed",
                )
            if wait_s and waited.seconds - told_s >= _TELL_AGAIN_S:
                told_s = waited.seconds
                tell(f"waiting for {_whom(path)}{_queue_before(ticket)}")
            with disturbable():
                time.sleep(_BLINK_S if waited.seconds < _GLIMPSE_S else _LOOK_AGAIN_S)


def _whom(path: Path) -> Holder:
    """Return who is waited for; the holder may be just about to write it."""
    return described(path) or Holder("somebody", "just started", 0, clock.now())


def _queue_before(ticket: Ticket) -> str:
    before = ticket.before()
    return f", {count(before, 'other')} before you" if before else ""
