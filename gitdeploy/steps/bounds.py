"""How much one command may use: what the kernel holds it to, and what is looked at.

The kernel's limits (setrlimit(2)) hold one process each, and at once. What all
processes of a command use together is looked at now and then.
"""

import math
import resource
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from gitdeploy.errors import StepFailed
from gitdeploy.system import processes
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.processes import Process
from gitdeploy.system.programs import program
from gitdeploy.system.terminal import human_bytes, human_time

__all__ = ["Bounds", "Gauge"]

_LOOK_S: Final = 0.5
_GRACE_S: Final = 5  # from SIGXCPU to SIGKILL, setrlimit(2)


class Bounds(Struct, frozen=True):
    """What a command may use at most; None: there is no limit."""

    time_s: float = math.inf
    """Of all commands of a place together."""
    cpu_s: float | None = None
    memory_bytes: int | None = None
    processes: int | None = None

    def words(self, *, boxed: bool) -> list[str]:
        """Return what goes in front of a command's argv; nothing without limits.

        Args:
            boxed: Whether the kernel counts the processes of the command alone, and
                not all that our user has.

        Source:
            prlimit(1) of util-linux; user_namespaces(7) of RLIMIT_NPROC. Of memory the
            kernel counts what a process may write to (RLIMIT_DATA): runtimes reserve
            far more addresses than they use.
        """
        words = []
        if self.memory_bytes is not None:
            most = _allowed(resource.RLIMIT_DATA, self.memory_bytes)
            words.append(f"--data={most}")
        if self.cpu_s is not None:
            soft = math.ceil(self.cpu_s)
            most = _allowed(resource.RLIMIT_CPU, soft + _GRACE_S)
            words.append(f"--cpu={min(soft, most)}:{most}")
        if self.processes is not None:
            others = 0 if boxed else processes.threads_of_ours()
            most = _allowed(resource.RLIMIT_NPROC, self.processes + others)
            words.append(f"--nproc={most}")
        return [program("prlimit"), *words, "--"] if words else []


def _allowed(kind: int, wanted: int) -> int:
    """Return a limit that is not above ours: nobody may raise that (setrlimit(2))."""
    _, hard = resource.getrlimit(kind)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


class Gauge:
    """What the processes of one command use, looked at now and then."""

    def __init__(
        self, title: str, bounds: Bounds, running: Callable[[], Iterable[Process]]
    ) -> None:
        self._title = title
        self._bounds = bounds
        self._running = running
        self._since = Stopwatch()

    def look(self) -> None:
        """Say nothing as long as a command uses no more than it may.

        Raises:
            StepFailed: It uses more.
        """
        if self._since.seconds < _LOOK_S:
            return
        self._since = Stopwatch()
        there = list(self._running())
        bounds = self._bounds
        threads = sum(process.threads for process in there)
        self._hold(threads, bounds.processes, "processes", "{:,} processes".format)
        if bounds.memory_bytes is not None:
            used = sum(process.memory_bytes for process in there)
            self._hold(used, bounds.memory_bytes, "memory_bytes", _memory)
        if bounds.cpu_s is not None:
            spent = sum(process.cpu_s for process in there)
            self._hold(spent, bounds.cpu_s, "cpu_time", _cpu)

    def _hold(
        self,
        used: float,
        limit: float | None,
        key: str,
        words: Callable[[float], str],
    ) -> None:
        if limit is not None and used > limit:
            raise StepFailed(
                self._title,
                f"{words(used)}; the limit is {words(limit).split(' of ')[0]}",
                hint=f"[limits] {key}  in server.toml",
            )


def _memory(used: float) -> str:
    return f"{human_bytes(used)} of memory"


def _cpu(spent: float) -> str:
    return f"{human_time(spent)} of processor time"
