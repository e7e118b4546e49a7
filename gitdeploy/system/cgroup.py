"""Processes that the kernel counts and ends together, where it lets us (cgroups(7)).

That takes a directory of the second version in which we may make one: as root, or in
what systemd delegates to a user. An ssh session of an ordinary user has none.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy.errors import SystemFailed
from gitdeploy.system import process
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import BARE

__all__ = ["Group", "can_hold", "group", "home_of_groups"]

_MOUNTS: Final = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_OWN: Final = Path("/proc/self/cgroup")
_PREFIX: Final = "gitdeploy-"
_COUNTED: Final = {"memory": "memory.max", "pids": "pids.max"}
_ENTER: Final = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
_TRIAL_S: Final = 5.0
_LOOKS: Final = 100
_LOOK_S: Final = 0.01


class Group(Struct, frozen=True):
    """A directory of the kernel's that stands for some processes."""

    path: Path
    counts: frozenset[str]
    """What the kernel holds of them together: memory, pids."""

    @property
    def words(self) -> list[str]:
        """What goes in front of an argv, so that the program begins in it."""
        return [program("sh"), "-c", _ENTER, str(self.path)]

    @property
    def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended one of them, as together they had too much."""
        with suppress(OSError):
            for line in (self.path / "memory.events").read_text().splitlines():
                if line.startswith("oom_kill "):
                    return line != "oom_kill 0"
        return False


@contextmanager
def group(
    *, memory_bytes: int | None = None, processes: int | None = None
) -> Iterator[Group | None]:
    """Give a group of processes for the body; None where there can be none.

    Args:
        memory_bytes: How much memory they may have, swapped out or not; None: all.
        processes: How many there may be, threads too; None: any number.

    Changes: a directory of the kernel's, which is gone afterwards with all processes
        in it; and what those left that were killed.
    """
    above = home_of_groups()
    made = _made(above, memory_bytes, processes) if above else None
    if made is None:
        yield None
        return
    try:
        yield made
    finally:
        _end(made.path)


def can_hold() -> frozenset[str]:
    """Return what a group would count here, by trying: memory, pids; empty: nothing.

    Whether it can at all be entered and ended is tried as well.
    """
    with group(memory_bytes=2**30, processes=100) as tried:
        if tried is None:
            return frozenset()
        try:
            argv = [*tried.words, program("true")]
            process.run(argv, env=BARE, timeout_s=_TRIAL_S)
        except SystemFailed:
            return frozenset()
        return tried.counts


def home_of_groups() -> Path | None:
    """Return where groups can be made: the nearest directory above us that lets us.

    We do not live in it, but where it is the top: one with processes of its own counts
    nothing for those below it. And a process goes from one into another only where
    what is above both is ours.
    """
    with suppress(OSError):
        for mount in _MOUNTS:
            if (mount / "cgroup.controllers").exists():
                return _nearest(mount, _own_path())
    return None


def _own_path() -> str:
    for line in _OWN.read_text().splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            return path.strip("/")
    raise FileNotFoundError(_OWN)


def _nearest(mount: Path, own: str) -> Path | None:
    here = mount / own
    for place in (here, *here.parents):
        if not place.is_relative_to(mount):
            break
        control = place / "cgroup.subtree_control"
        is_open = os.access(place, os.W_OK) and os.access(
            place / "cgroup.procs", os.W_OK
        )
        if is_open and (place == mount or control.read_text().strip()):
            return place
    return None


def _made(above: Path, memory_bytes: int | None, processes: int | None) -> Group | None:
    _remove_leftovers(above)
    try:
        path = next(filter(None, map(_directory, _names(above))))
    except OSError:
        return None
    counts = {one for one, file in _COUNTED.items() if (path / file).exists()}
    try:
        if "memory" in counts and memory_bytes is not None:
            _tell(path / "memory.max", f"{memory_bytes}")
            _tell(path / "memory.oom.group", "1")
            with suppress(OSError):  # a kernel that counts no swap
                _tell(path / "memory.swap.max", "0")
        if "pids" in counts and processes is not None:
            _tell(path / "pids.max", f"{processes}")
    except OSError:
        _end(path)
        return None
    return Group(path, frozenset(counts))


def _names(above: Path) -> Iterator[Path]:
    return (above / f"{_PREFIX}{os.getpid()}-{number}" for number in count())


def _directory(path: Path) -> Path | None:
    try:
        path.mkdir()
    except FileExistsError:
        return None
    return path


def _remove_leftovers(above: Path) -> None:
    """End what those left whose number no process has any more."""
    for left in above.glob(f"{_PREFIX}*-*"):
        pid = left.name.split("-")[1]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            _end(left)


def _tell(file: Path, words: str) -> None:
    """Write to a file of the kernel's; one that is not there is not made."""
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, words.encode())
    finally:
        os.close(fd)


def _end(path: Path) -> None:
    """Kill all in a group, and remove it; what does not end is left to the next."""
    with suppress(OSError):  # before Linux 5.14 it is ended by those who began it
        _tell(path / "cgroup.kill", "1")
    for _ in range(_LOOKS):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_LOOK_S)
        else:
            return
