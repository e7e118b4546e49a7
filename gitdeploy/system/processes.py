"""The processes of this machine as /proc shows them (proc(5)); it starts none.

Of other users' processes only root sees more than their arguments: for anybody else
`directory`, `variable` and `paths` say nothing of them. Whatever has ended meanwhile
reads as empty.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct

from gitdeploy.system import clock

__all__ = [
    "Process",
    "all_are_seen",
    "ancestors",
    "descendants",
    "running",
    "threads_of_ours",
]

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat, counted from the one after the program's name.
_PARENT: Final = 1
_SPENT: Final = slice(11, 15)  # utime, stime; and of children that have ended
_THREADS: Final = 17
_STARTED: Final = 19
# Words of /proc/PID/statm, in pages.
_RESIDENT: Final = 1
_SHARED: Final = 2
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
# Words of `Uid:` in /proc/PID/status: real, effective, saved, of the file system.
_FILES_BELONG_TO: Final = 4


class Process(Struct, frozen=True):
    """One process; each property is read anew."""

    pid: int

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its command line; empty for one that has ended, and for the kernel's."""
        with suppress(OSError):
            words = self._read("cmdline").removesuffix(b"\0").split(b"\0")
            return tuple(os.fsdecode(word) for word in words if words != [b""])
        return ()

    @property
    def owner(self) -> int | None:
        """Whom the files belong to that it makes; None for one that has ended."""
        with suppress(OSError):
            for line in self._read("status").splitlines():
                if line.startswith(b"Uid:"):
                    return int(line.split()[_FILES_BELONG_TO])
        return None

    @property
    def parent(self) -> int:
        """Who started it; 0: nobody, or it has ended."""
        fields = self._fields()
        return int(fields[_PARENT]) if fields else 0

    @property
    def name(self) -> str:
        """The first letters of its program's name; empty for one that has ended."""
        with suppress(OSError):
            return os.fsdecode(self._read("comm").removesuffix(b"\n"))
        return ""

    @property
    def threads(self) -> int:
        """How many threads it has; 0: it has ended."""
        fields = self._fields()
        return int(fields[_THREADS]) if fields else 0

    @property
    def cpu_s(self) -> float:
        """Processor time that it and its children that have ended took, in seconds."""
        return sum(map(int, self._fields()[_SPENT])) / _TICKS_A_SECOND

    @property
    def memory_bytes(self) -> int:
        """What of the memory it has for itself alone."""
        with suppress(OSError):
            pages = [int(word) for word in self._read("statm").split()]
            return (pages[_RESIDENT] - pages[_SHARED]) * _PAGE_BYTES
        return 0

    @property
    def mapped_memory_bytes(self) -> int:
        """What of the memory it shares, its part of it: of a tmpfs, of memfd_create."""
        with suppress(OSError):
            if b"RssShmem:\t       0 kB" not in self._read("status"):
                for line in self._read("smaps_rollup").splitlines():
                    if line.startswith(b"Pss_Shmem:"):
                        return int(line.split()[1]) * 1024
        return 0

    def files_of_memory(self) -> Iterator[tuple[tuple[int, int], int]]:
        """Yield each open file that is memory and has no name, and its bytes there."""
        with suppress(OSError):
            for fd in os.listdir(self._place("fd")):
                place = self._place(f"fd/{fd}")
                with suppress(OSError):
                    if os.readlink(place).startswith("/memfd:"):
                        status = os.stat(place)
                        one = status.st_dev, status.st_ino
                        yield one, status.st_blocks * 512  # stat(2)

    def seen(self, path: str) -> str:
        """Return where we find what it finds at an absolute path."""
        return self._place(f"root{path}")

    @property
    def children(self) -> list[int]:
        """Whom it started, or was given."""
        found: list[int] = []
        with suppress(OSError):
            for task in os.listdir(self._place("task")):
                with suppress(OSError):
                    found += map(int, self._read(f"task/{task}/children").split())
        return found

    @property
    def started_s(self) -> float | None:
        """When it was started, seconds since the epoch; None for one that has ended.

        True to a tick of the kernel, 10 ms, as long as nobody sets the clock.
        """
        fields = self._fields()
        if not fields:
            return None
        return clock.booted_s() + int(fields[_STARTED]) / _TICKS_A_SECOND

    @property
    def directory(self) -> str | None:
        """Its working directory; None where we may not know, or it has ended."""
        with suppress(OSError):
            return os.readlink(self._place("cwd"))
        return None

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment it was started with."""
        prefix = f"{name}=".encode()
        with suppress(OSError):
            for pair in self._read("environ").split(b"\0"):
                if pair.startswith(prefix):
                    return os.fsdecode(pair.removeprefix(prefix))
        return None

    def paths(self, below: str = "/") -> Iterator[str]:
        """Yield its directory, its root, its program, its open and mapped files.

        Args:
            below: Only what begins with this; there may be thousands of all.
        """
        links = [self._place(name) for name in ("cwd", "root", "exe")]
        with suppress(OSError):
            links += [self._place(f"fd/{fd}") for fd in os.listdir(self._place("fd"))]
        for link in links:
            with suppress(OSError):
                if (path := os.readlink(link)).startswith(below):  # not `pipe:[7]`
                    yield path
        with suppress(OSError):
            mapped, wanted = self._read("maps"), os.fsencode(below)
            for line in mapped.splitlines() if wanted in mapped else ():
                if (begin := line.find(b"/")) >= 0 and line.startswith(wanted, begin):
                    yield os.fsdecode(line[begin:])

    def _fields(self) -> list[bytes]:
        with suppress(OSError):
            # The program's name stands in parentheses and may hold anything.
            return self._read("stat").rpartition(b")")[2].split()
        return []

    def _read(self, name: str) -> bytes:
        with open(self._place(name), "rb") as file:
            return file.read()

    def _place(self, name: str) -> str:
        return f"/proc/{self.pid}/{name}"


def running() -> Iterator[Process]:
    """Yield every process that we know of, ourselves too."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield Process(int(name))


def descendants(pid: int) -> Iterator[Process]:
    """Yield what a process started, and what that started, whoever of them lives."""
    pending = Process(pid).children
    while pending:
        process = Process(pending.pop())
        yield process
        pending += process.children


def threads_of_ours() -> int:
    """Return how many threads our user has, as setrlimit(2) counts processes."""
    us = os.geteuid()
    return sum(process.threads for process in running() if process.owner == us)


def ancestors() -> set[int]:
    """Return our own process and those that wait for it: parent, grandparent, …."""
    found: set[int] = set()
    pid = os.getpid()
    while pid and pid not in found:
        found.add(pid)
        pid = Process(pid).parent
    return found


def all_are_seen() -> bool:
    """Return whether no process works unseen by us."""
    return os.geteuid() == 0
