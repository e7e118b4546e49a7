"""The lock lent: who holds it and only waits for a pusher's choice lets others first.

A build, or the trial of what is shown, may take as long as its pusher likes; going back
must not wait for it. So whoever holds the lock looks now and then, while a command runs
or health is asked, whether a roll back waits. If one does,

1. it draws a ticket `-lent`, which says what it is in the middle of, and
2. frees the lock. From here on it changes nothing: no ledger, no link, no ref. The
   roll back gets its turn, leaves alone what the ticket names as long as its owner
   lives, acts, and frees the lock. Other roll backs may follow; nobody else gets past
   the ticket.
3. When what it waited for has ended, it waits for its ticket's turn, holds the lock and
   gives the ticket up. What it had read before is only a hint by now.

What is tried out is on a chain, and only the other chain may be rolled back meanwhile.
A lender that is killed has no ticket any more (flock(2)): whoever comes next finds what
it left, as of any holder that died.
"""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from gitdeploy.lock.queue import Amid, Holder, Queue, Ticket, written
from gitdeploy.lock.tickets import LENT
from gitdeploy.system import files, flock
from gitdeploy.system.signals import delayed

__all__ = ["Loan"]

_LOOK_AGAIN_S: Final = 0.02


class Loan:
    """The lock that we hold, lent to roll backs while we wait for something else."""

    def __init__(
        self,
        fd: int,
        queue: Queue,
        me: Holder,
        amid: Callable[[], Amid],
        trial: str | None,
    ) -> None:
        self._fd = fd
        self._queue = queue
        self._me = me
        self._amid = amid
        self._trial = trial
        self._stack = ExitStack()
        self._ticket: Ticket | None = None

    def look(self) -> None:
        """Lend the lock where a roll back waits; does not wait itself.

        Changes: our ticket, then the lock. Without room for a ticket nothing is lent.
        """
        if self._ticket or not self._queue.has_urgent(besides=self._trial):
            return
        with delayed():
            ticket = self._stack.enter_context(
                self._queue.ticket(
                    self._me, kind=LENT, chain=self._trial, amid=self._amid()
                )
            )
            if ticket.is_drawn:
                self._ticket = ticket
                files.tell_all(self._fd, b"")
                flock.release(self._fd)

    def end(self) -> bool:
        """Hold the lock again, whatever asks us to stop; return whether it was lent.

        Changes: the lock, then our ticket.
        """
        ticket, self._ticket = self._ticket, None
        with delayed(), self._stack:
            if ticket is None:
                return False
            while not (ticket.is_next() and flock.try_to_hold(self._fd)):
                time.sleep(_LOOK_AGAIN_S)
            self._queue.clear_dead(os.getpid())
            files.tell_all(self._fd, written(self._me))
        return True
