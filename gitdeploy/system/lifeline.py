"""The chain of processes between us and whoever started us.

git starts a hook; a shell, sshd or the pusher's own git started that one. When a
connection drops, the process that held it ends, and the one below it gets another
parent (proc(5)): so a link of the chain that is not what it was says that nobody
listens any more. Nothing has to be written to find out, and nobody can block us.
"""

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Lifeline"]


class Lifeline:
    """The processes above us, up to the one that leads our session, and its parent.

    Made before we leave that session (`own_session`).
    """

    def __init__(self) -> None:
        self._links = tuple(_links())

    @property
    def broken(self) -> bool:
        """Whether one of them has ended since."""
        return any(_parent(pid) != parent for pid, parent in self._links)

    def own_session(self) -> None:
        """Leave the terminal: its Ctrl-C and its closing are not for us (setsid(2))."""
        if os.getsid(0) != os.getpid():
            os.setsid()


def _links() -> Iterator[tuple[int, int]]:
    pid, leader = os.getpid(), os.getsid(0)
    while parent := _parent(pid):
        yield pid, parent
        if pid == leader or parent == 1:
            return
        pid = parent


def _parent(pid: int) -> int | None:
    """Return a process's parent; None where it has ended or may not be seen."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[1])
