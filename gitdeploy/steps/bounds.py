"""How much one command may use: what the kernel holds it to, and what is looked at.

The kernel's limits (setrlimit(2)) hold one process each, and at once. What all
processes of a command use together is looked at now and then.
"""

import math
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from gitdeploy.errors import StepFailed
from gitdeploy.steps.memory import used_bytes
from gitdeploy.system import processes
from gitdeploy.system.cgroup import Group, can_hold, group
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.processes import Process
from gitdeploy.system.programs import program
from gitdeploy.system.terminal import human_bytes, human_time
from gitdeploy.system.usage import Usage, UsageWatch

__all__ = ["Begun", "Bounds", "Gauge", "held_by_group", "out_of_time"]

_LOOK_S: Final = 0.5
_GRACE_S: Final = 5  # from SIGXCPU to SIGKILL, setrlimit(2)


class Bounds(Struct, frozen=True):
    """What a command may use at most; None: there is no limit."""

    time_s: float = math.inf
    """Of all commands of a place together."""
    cpu_s: float | None = None
    memory_bytes: int | None = None
    processes: int | None = None
    tmp_bytes: int | None = None
    """Of the disk, for what is gone with it."""

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

    def group(self) -> AbstractContextManager[Group | None]:
        """Give what the kernel counts a command by with all that it starts."""
        if not held_by_group():
            return nullcontext()
        return group(memory_bytes=self.memory_bytes, processes=self.processes)


@cache
def held_by_group() -> frozenset[str]:
    """Return what the kernel counts of a command as a whole here: memory, pids."""
    return can_hold()


def out_of_time(title: str, bounds: Bounds) -> StepFailed:
    """Return the failure of a command for which the others left no time."""
    return StepFailed(
        title,
        f"no time left; all commands together have {human_time(bounds.time_s)}",
        hint="[limits] steps_time  in server.toml",
    )


def _allowed(kind: int, wanted: int) -> int:
    """Return a limit that is not above ours: nobody may raise that (setrlimit(2))."""
    _, hard = resource.getrlimit(kind)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


class Begun(NamedTuple):
    """A command that was started."""

    child: "subprocess.Popen[bytes]"
    scratch: tuple[Path, ...] = ()
    """Where it writes what is gone with it."""
    group: Group | None = None
    """What the kernel counts it by, and all that it starts."""


class Gauge:
    """What the processes of one command use, looked at now and then."""

    def __init__(
        self,
        title: str,
        bounds: Bounds,
        running: Callable[[], Iterable[Process]],
        begun: Begun,
    ) -> None:
        self._title = title
        self._bounds = bounds
        self._running = running
        self._since = Stopwatch()
        self._group = begun.group
        scratch = begun.scratch
        most = bounds.tmp_bytes if scratch else None
        allowed = Usage(most or 0, sys.maxsize)
        self._files = None if most is None else UsageWatch(scratch, allowed)

    def look_back(self) -> None:
        """Say nothing if the kernel ended none of them for the memory of all.

        Raises:
            StepFailed: It did.
        """
        limit = self._bounds.memory_bytes
        if limit is not None and self._group and self._group.ran_out_of_memory:
            raise StepFailed(
                self._title,
                f"more than {human_bytes(limit)} of memory",
                hint="[limits] memory_bytes  in server.toml",
            )

    def look(self) -> None:
        """Say nothing as long as a command uses no more than it may.

        Raises:
            StepFailed: It uses more.
        """
        if self._since.seconds < _LOOK_S:
            return
        self._since = Stopwatch()
        self._look_at_files()
        there = list(self._running())
        bounds = self._bounds
        threads = sum(process.threads for process in there)
        self._hold(threads, bounds.processes, "processes", "{:,} processes".format)
        if bounds.memory_bytes is not None:
            used = used_bytes(there)
            self._hold(used, bounds.memory_bytes, "memory_bytes", _memory)
        if bounds.cpu_s is not None:
            spent = sum(process.cpu_s for process in there)
            self._hold(spent, bounds.cpu_s, "cpu_time", _cpu)

    def _look_at_files(self) -> None:
        found = self._files and self._files.look()
        if found:
            self._hold(found.size_bytes, self._bounds.tmp_bytes, "tmp_bytes", _tmp)

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
                f"{words(used)}; the limit is {_without_what(words(limit))}",
                hint=f"[limits] {key}  in server.toml",
            )


def _without_what(words: str) -> str:
    return words.split(" of ", maxsplit=1)[0].split(" in ", maxsplit=1)[0]


def _tmp(used: float) -> str:
    return f"{human_bytes(used)} in /tmp"


def _memory(used: float) -> str:
    return f"{human_bytes(used)} of memory"


def _cpu(spent: float) -> str:
    return f"{human_time(spent)} of processor time"
