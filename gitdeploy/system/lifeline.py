"""The chain of processes between us and whoever started us.

git starts a hook; a shell, sshd or the pusher's own git started that one. When a
connection drops, the process that held it ends, and the one below it gets another
parent (proc(5)): so a link of the chain that is not what it was says that nobody
listens any more. Nothing has to be written to find out, and nobody can block us.

Where only the far end is gone (git killed there, its ssh left behind) the chain stays.
Then it is git's relay that ends: a thread of receive-pack, which writes to the pusher
every second (git-config(1), receive.keepAlive) and ends when that fails.
"""

import os
from collections.abc import Iterator
from contextlib import suppress

from gitdeploy.system.processes import Process

__all__ = ["Lifeline"]


class Lifeline:
    """The processes above us, up to the one that leads our session, and its parent.

    Made before we leave that session (`own_session`).
    """

    def __init__(self) -> None:
        self._links = tuple(_links())
        self._git = Process(os.getppid())
        self._threads = self._git.threads if self._git.name.startswith("git") else 0

    @property
    def broken(self) -> bool:
        """Whether one of them has ended since, or the relay of git's own has."""
        if any(Process(pid).parent != parent for pid, parent in self._links):
            return True
        return self._git.threads < self._threads

    def own_session(self) -> None:
        """Leave the terminal: its Ctrl-C and its closing are not for us (setsid(2))."""
        with suppress(PermissionError):  # we lead a group of processes already
            os.setsid()


def _links() -> Iterator[tuple[int, int]]:
    pid, leader = os.getpid(), os.getsid(0)
    while parent := Process(pid).parent:
        yield pid, parent
        if pid == leader or parent == 1:
            return
        pid = parent
