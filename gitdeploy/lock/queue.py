"""Who waits for an app's lock, one ticket each, served in the order of arrival.

A ticket is a file that its owner holds locked: it counts as long as its owner lives
(flock(2)), and whoever finds a dead one clears it away. Tickets are ordered by what
they are for (`tickets`), then by the machine's monotonic clock, which nobody sets back.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, field
from msgspec.structs import asdict

from gitdeploy.lock.tickets import (
    LENT,
    URGENT,
    chain_of,
    in_order,
    kind_of,
    new_name,
    owner_of,
)
from gitdeploy.system import clock, files, flock
from gitdeploy.system.terminal import human_time

__all__ = ["Amid", "Holder", "Queue", "Ticket", "described", "written"]

_CANCEL: Final = "cancel-"
_AMID: Final = "amid"
_MOST_REFS: Final = 50


class Amid(Struct, frozen=True):
    """What somebody is in the middle of who lends the lock: nobody mends it."""

    events: frozenset[int] = frozenset()
    releases: frozenset[int] = frozenset()
    """The numbers of those that are being prepared."""


class Holder(Struct, frozen=True):
    """Who works on an app, or waits to."""

    by: str
    what: str
    """`push of main`, `rollback prod`."""
    pid: int
    since: str
    """ISO 8601, UTC."""
    wants: dict[str, str] = field(default_factory=dict)
    """The refs that are to move, and the object ids they shall hold."""

    def __str__(self) -> str:
        """Return the holder as part of a sentence."""
        ago = human_time(max(clock.seconds_since(self.since), 0))
        return f"{self.by} ({self.what}, process {self.pid}, since {ago})"


NOTHING: Final = Amid()


class Ticket:
    """Our place in the queue; where none could be had, the lock alone decides."""

    def __init__(self, queue: "Queue", name: str | None) -> None:
        self._queue = queue
        self._name = name
        self._predecessor: str | None = None

    @property
    def is_drawn(self) -> bool:
        """Whether it has a place, which others see."""
        return self._name is not None

    def is_next(self) -> bool:
        """Return whether nobody alive goes before us.

        Only the one right before us is looked at, however long the queue is; but who
        goes before a roll back may change.
        """
        if self._predecessor and self._queue.is_alive(self._predecessor):
            return False
        for name in reversed(self._earlier()):
            if self._queue.is_alive(name):
                if not kind_of(self._name or ""):
                    self._predecessor = name
                return False
            self._queue.clear_away(name)
        return True

    def before(self) -> int:
        """Return how many go before us and wait as well."""
        return len(self._earlier())

    def _earlier(self) -> list[str]:
        names = self._queue.names()
        return names[: names.index(self._name)] if self._name in names else []


class Queue:
    """The directory of the tickets, and of notes to their owners."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def names(self) -> list[str]:
        """Return the names of all tickets, in order; dead ones too."""
        return in_order(name for name in self._all() if name[0].isdecimal())

    def waiting(self) -> list[Holder]:
        """Return who waits, in the order of their turns."""
        names = [name for name in self.names() if kind_of(name) != LENT]
        found = (described(self._directory / name) for name in names)
        return [one for one in found if one]

    def is_empty(self) -> bool:
        """Return whether nobody alive has a ticket."""
        return not any(map(self.is_alive, self.names()))

    def has_urgent(self, *, besides: str | None) -> bool:
        """Return whether a roll back waits, of another chain than one."""
        return any(
            kind_of(name) == URGENT
            and chain_of(name) != besides
            and self.is_alive(name)
            for name in self.names()
        )

    def lender(self) -> tuple[Holder, Amid] | None:
        """Return who lends the lock, and what they are in the middle of."""
        for name in self.names():
            path = self._directory / name
            if kind_of(name) == LENT and (one := described(path)):
                return one, _amid(path)
        return None

    @contextmanager
    def ticket(
        self,
        me: Holder,
        *,
        kind: str = "",
        chain: str | None = None,
        amid: Amid = NOTHING,
    ) -> Iterator[Ticket]:
        """Have a place in the queue for the body; on a full disk do without.

        Args:
            me: Who waits.
            kind: What it is for; see `tickets`.
            chain: The chain that it is about.
            amid: What somebody is in the middle of who lends the lock.
        """
        name, fd = self._draw(kind, chain, written(me, amid))
        try:
            yield Ticket(self, name)
        finally:
            if name:
                self.clear_away(name)
            if fd is not None:
                os.close(fd)

    def is_alive(self, name: str) -> bool:
        """Return whether the owner of a ticket still waits."""
        return flock.is_held(self._directory / name)

    def clear_away(self, name: str) -> None:
        """Remove a ticket that is not needed any more."""
        with suppress(OSError):
            files.remove_file(self._directory / name)

    def clear_dead(self, holder: int) -> None:
        """Remove the tickets of the dead, and notes that nobody is left to read.

        Args:
            holder: The process that holds the lock, whose notes stay.
        """
        notes = {name for name in self._all() if name.startswith(_CANCEL)}
        notes.discard(f"{_CANCEL}{holder}")
        for name in self.names():
            if self.is_alive(name):
                notes.discard(f"{_CANCEL}{owner_of(name)}")
            else:
                self.clear_away(name)
        for name in notes:
            self.clear_away(name)

    # --- notes --------------------------------------------------------------------

    def cancel(self, pid: int, by: str) -> None:
        """Leave a note for a process: stop, please."""
        files.make_directory(self._directory)
        files.write_whole(self._note(pid), by.encode("utf-8", "backslashreplace"))

    def canceller(self, pid: int) -> str | None:
        """Return who left a note for a process; None where there is none."""
        try:
            return self._note(pid).read_text("utf-8", "replace")
        except OSError:
            return None

    def forget(self, pid: int) -> None:
        """Take the note for a process away; none is fine."""
        with suppress(OSError):
            files.remove_file(self._note(pid))

    def _all(self) -> list[str]:
        with suppress(OSError):
            return os.listdir(self._directory)
        return []

    def _note(self, pid: int) -> Path:
        return self._directory / f"{_CANCEL}{pid}"

    # --- drawing a ticket ---------------------------------------------------------

    def _draw(
        self, kind: str, chain: str | None, text: bytes
    ) -> tuple[str | None, int | None]:
        """Return a new ticket's name, and the descriptor that keeps it alive."""
        fd = None
        with suppress(OSError):
            files.make_directory(self._directory)
            while True:
                name = new_name(kind, chain)
                fd = files.open_to_hold(self._directory / name)
                files.overwrite(fd, text)  # whole before anybody counts it
                if flock.try_to_hold(fd) and self._still_there(name, fd):
                    return name, fd
                os.close(fd)  # taken for dead before it was held
        return None, fd

    def _still_there(self, name: str, fd: int) -> bool:
        try:
            return os.stat(self._directory / name).st_ino == os.fstat(fd).st_ino
        except FileNotFoundError:
            return False


def written(holder: Holder, amid: Amid = NOTHING) -> bytes:
    """Return what stands in the file of who holds, lends or waits."""
    few = dict(list(holder.wants.items())[:_MOST_REFS])
    more = {_AMID: [list(amid.events), list(amid.releases)]}
    return json.dumps({**asdict(holder), "wants": few, **more}).encode()


def _amid(path: Path) -> Amid:
    try:
        return Amid(*map(frozenset, json.loads(path.read_bytes())[_AMID]))
    except (OSError, ValueError, TypeError, KeyError):
        return NOTHING  # it has just gone


def described(path: Path) -> Holder | None:
    """Return who holds that file; None where nobody does.

    Its holder may be just about to write who it is.
    """
    if not flock.is_held(path):
        return None
    try:
        told = json.loads(path.read_bytes())
        return Holder(**{k: v for k, v in told.items() if k != _AMID})
    except (OSError, ValueError, TypeError, AttributeError):
        return Holder("somebody", "just started", 0, clock.now())
