"""One lock per app: a kernel lock on a file that says who holds it, for what.

The kernel frees it when its holder dies, however it dies (flock(2)); the text in the
file is for people and decides nothing. The file is never removed. Who has to wait
stands in the queue beside it and gets its turn in the order of arrival.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from gitdeploy.errors import LockHeld
from gitdeploy.lock.lending import Loan
from gitdeploy.lock.queue import Amid, Holder, Queue, Ticket, described, written
from gitdeploy.lock.tickets import URGENT
from gitdeploy.system import clock, files, flock
from gitdeploy.system.signals import disturbable
from gitdeploy.system.terminal import count

__all__ = [
    "Amid",
    "Holder",
    "Turn",
    "at_work",
    "cancel",
    "holder",
    "interrupt",
    "lender",
    "lock_held",
    "waiting",
]

_LOOK_AGAIN_S: Final = 0.05
_TELL_AGAIN_S: Final = 15.0
# Whoever looks who holds the lock (`holder`) holds it for a moment, shared.
_GLIMPSE_S: Final = 0.2
_BLINK_S: Final = 0.002


class Turn:
    """An app's lock while we hold it.

    Attributes:
        fd: The descriptor that holds it; whoever has it too holds it as long.
        was_lent: Whether it was, so that what was read before is only a hint.
    """

    def __init__(self, fd: int, queue: Queue, me: Holder) -> None:
        self.fd = fd
        self.was_lent = False
        self._queue = queue
        self._me = me
        self._stopped_by: str | None = None
        self._loan: Loan | None = None

    @property
    def cancelled_by(self) -> str | None:
        """Who wants us to stop; None where nobody does."""
        return self._stopped_by or self._queue.canceller(os.getpid())

    def heard_cancel(self) -> str | None:
        """Return who has asked us to stop since this was asked last, if somebody has.

        So that what is done about it can be waited for, or be stopped itself.
        """
        by = self._queue.canceller(os.getpid())
        if by is not None:
            self._stopped_by = by
            self._queue.forget(os.getpid())
        return by

    @contextmanager
    def lending(self, amid: Callable[[], Amid], trial: str | None) -> Iterator[None]:
        """Let roll backs go first while the body only waits, and calls `look`.

        After the body we hold the lock as before, whoever had it in between.

        Args:
            amid: Tells what we are in the middle of.
            trial: The chain whose release is tried out, which nobody may move; None:
                nothing is shown yet.
        """
        loan = self._loan = Loan(self.fd, self._queue, self._me, amid, trial)
        try:
            yield
        finally:
            self._loan = None
            self.was_lent |= loan.end()

    def look(self) -> None:
        """Lend the lock if somebody shall have it first; does not wait."""
        if self._loan:
            self._loan.look()

    def stop(self, by: str) -> None:
        """Remember that whatever we do shall stop."""
        self._stopped_by = by

    def waiting(self) -> list[Holder]:
        """Return who waits for us, in the order of their turns."""
        return self._queue.waiting()


@contextmanager
def lock_held(  # noqa: PLR0913 - who, what for, and how it is waited for
    path: Path,
    *,
    by: str,
    what: str,
    wait_s: float,
    tell: Callable[[str], None],
    wants: Mapping[str, str] | None = None,
    rolls_back: str | None = None,
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
        rolls_back: The chain that is to be rolled back, so that it goes first; None:
            it is something else.

    Raises:
        LockHeld: Somebody else still holds it after `wait_s`.
    """
    me = Holder(by, what, os.getpid(), clock.now(), dict(wants or {}))
    queue = _queue_of(path)
    fd = files.open_to_hold(path)
    try:
        queue.forget(me.pid)  # left for another process, whose number we have
        _acquire(fd, path, queue, me, _Patience(wait_s, tell, rolls_back))
        queue.clear_dead(me.pid)
        files.tell_all(fd, written(me))
        yield Turn(fd, queue, me)
        files.tell_all(fd, b"")
    finally:
        os.close(fd)
        queue.forget(me.pid)


def holder(path: Path) -> Holder | None:
    """Return who holds the lock now, or lends it; None where nobody does."""
    if one := described(path):
        return one
    lent = lender(path)
    return lent[0] if lent else None


def lender(path: Path) -> tuple[Holder, Amid] | None:
    """Return who lends the lock, and what they are in the middle of; None: nobody."""
    return _queue_of(path).lender()


def at_work(path: Path) -> list[Holder]:
    """Return who works: the one that lends the lock, and the one that holds it."""
    lent, has = lender(path), described(path)
    return [one for one in (lent[0] if lent else None, has) if one]


def waiting(path: Path) -> list[Holder]:
    """Return who waits for the lock, in the order of their turns."""
    return _queue_of(path).waiting()


def _queue_of(path: Path) -> Queue:
    return Queue(path.with_name("queue"))


def cancel(path: Path, who: Holder, *, by: str) -> None:
    """Ask who holds the lock, or waits for it, to stop; it looks now and then.

    Changes: a note in the queue, which the one asked takes away when it ends.
    """
    _queue_of(path).cancel(who.pid, by)


class _Patience(NamedTuple):
    """How somebody waits for the lock."""

    wait_s: float
    tell: Callable[[str], None]
    rolls_back: str | None


def interrupt(path: Path, who: Holder) -> None:
    """Ask who is at work by a signal, too: one that waits for the kernel reads no note.

    It is heard only where stopping is safe. Nobody else is ever signalled: the process
    is held by a descriptor before it is looked at (pidfd_open(2)).
    """
    with suppress(OSError):  # it has just ended, or is another user's
        fd = os.pidfd_open(who.pid)
        try:
            if who.pid in {one.pid for one in at_work(path)}:
                signal.pidfd_send_signal(fd, signal.SIGTERM)
        finally:
            os.close(fd)


def _acquire(
    fd: int, path: Path, queue: Queue, me: Holder, patience: _Patience
) -> None:
    if queue.is_empty() and flock.try_to_hold(fd):
        return
    wait_s, tell, chain = patience
    kind = URGENT if chain else ""
    with queue.ticket(me, kind=kind, chain=chain) as ticket:
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
    return holder(path) or Holder("somebody", "just started", 0, clock.now())


def _queue_before(ticket: Ticket) -> str:
    before = ticket.before()
    return f", {count(before, 'other')} before you" if before else ""
