"""Work that goes on when those who could wait for it have gone."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["go_on_in_background"]


def go_on_in_background(
    work: Callable[[], None], *, directory: Path, keeps: int | None = None
) -> None:
    """Do something in a process of its own; where none can be had, it is left undone.

    It is a copy of this process (fork(2)) in a session of its own, and has none of
    its descriptors: nobody who reads them has to wait. No database may be open:
    its locks would not be the copy's (sqlite.org/howtocorrupt.html, 2.6).

    Args:
        work: What to do; what it raises is lost.
        directory: Where it works, for those who look.
        keeps: The one descriptor that it has too; None: it has none.
    """
    with suppress(OSError):
        if os.fork() == 0:
            try:
                _leave(directory, keeps)
                work()
            finally:
                os._exit(0)


def _leave(directory: Path, keeps: int | None) -> None:
    """Become nobody's: no terminal, no pipe, no request kept waiting."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd != keeps:  # noqa: PLR2004 - stdin, stdout, stderr
            with suppress(OSError):  # the one that was open to list them
                os.close(fd)
    os.chdir(directory)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
