"""Work of others' code in processes of its own, which end in time whatever it does."""

import os
import resource
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from gitdeploy.system.clock import Stopwatch

__all__ = ["done_apart"]

_READ_BYTES: Final = 4096
_SAID: Final = b"\1"  # before what was said; without it nothing was


def done_apart(
    works: Sequence[Callable[[], str]], *, within_s: float, memory_bytes: int
) -> list[str | None]:
    """Return what each work says, all done at once; None: it did not in time.

    Each is done by a copy of this process (fork(2)), so that neither a read without a
    deadline nor an answer without an end outlives it. No database may be open, and no
    other thread may run.

    Args:
        works: What to do; what it raises is not said.
        within_s: Seconds until what is not done is killed.
        memory_bytes: What each may take of memory besides what we have.
    """
    watch = Stopwatch()
    begun = [_begun(work, within_s, memory_bytes) for work in works]
    said = {fd: b"" for _, fd in begun}
    open_ones = {*said}
    while open_ones and (left_s := within_s - watch.seconds) > 0:
        for fd in select.select([*open_ones], (), (), left_s)[0]:
            data = os.read(fd, _READ_BYTES)
            said[fd] = (said[fd] + data)[:_READ_BYTES]
            if not data:
                open_ones.discard(fd)
    for pid, fd in begun:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
    return [_decoded(said[fd]) for _, fd in begun]


def _decoded(said: bytes) -> str | None:
    return said[1:].decode("utf-8", "replace") if said[:1] == _SAID else None


def _begun(
    work: Callable[[], str], within_s: float, memory_bytes: int
) -> tuple[int, int]:
    """Return a process that does it, and what is read from it."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writes)
        return pid, reads
    try:
        os.close(reads)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        signal.setitimer(signal.ITIMER_REAL, within_s)  # should we be killed ourselves
        _take_at_most(memory_bytes)
        said = work().encode("utf-8", "replace")
        os.write(writes, (_SAID + said)[:_READ_BYTES])
    finally:
        os._exit(0)


def _take_at_most(more_bytes: int) -> None:
    """Let this process take that much memory more than it has.

    Source:
        setrlimit(2), RLIMIT_DATA: since Linux 4.7 private mappings count as well.
    """
    with open("/proc/self/status", "rb") as file:
        lines = [line.split() for line in file if line.startswith(b"VmData:")]
    have = int(lines[0][1]) * 1024 if lines else 0
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = have + more_bytes
    if most == resource.RLIM_INFINITY or wanted < most:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
