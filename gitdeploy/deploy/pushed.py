"""Pushes that were judged before git moved their refs, where no gate moves them.

Without the gate a ref moves, and then post-receive deploys it; where that never runs,
since its pusher is gone or git was killed, nobody would know afterwards who moved the
ref, and whether they may. So pre-receive leaves a note of what it judged. `repair`
deploys what one tells of, with the rights that its person has by then; nothing else.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from msgspec import Struct

from gitdeploy.layout import Layout
from gitdeploy.model import RefUpdate
from gitdeploy.system import files

__all__ = ["Pushed", "forget", "leave", "pushes"]

_PRIVATE = 0o600
_PRIVATE_DIRECTORY = 0o700
_FEWEST_LINES = 5
_MOST = 1000


class Pushed(Struct, frozen=True):
    """A push that somebody may make, as pre-receive found."""

    path: Path
    git: bytes
    """The line by which hooks of one push know each other."""
    person: str
    key: str
    keys: str
    """The authorized_keys file that the key came from; empty: nobody said."""
    updates: tuple[RefUpdate, ...]

    def tells_of(self, update: RefUpdate) -> bool:
        """Return whether it moved a ref to where an update has it."""
        return any((u.ref, u.new) == (update.ref, update.new) for u in self.updates)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return what a note tells; None: it is none."""
        try:
            lines = path.read_text("utf-8", "surrogateescape").split("\n")
        except OSError:
            return None
        if len(lines) < _FEWEST_LINES:
            return None
        git, person, key, keys, *rest = lines
        updates = [line.split(" ", 2) for line in rest if line]
        return cls(
            path,
            git.encode(),
            person,
            key,
            keys,
            tuple(RefUpdate(ref, old, new) for old, new, ref in updates),
        )


def leave(
    layout: Layout, git: bytes, person: str, key: str, keys: str, updates: bytes
) -> None:
    """Note what was judged, before git moves it.

    Args:
        layout: Of the app.
        git: The line by which hooks of one push know each other; with its end.
        person: Who pushes.
        key: The fingerprint of their key.
        keys: The authorized_keys file that it came from.
        updates: As git hands them to pre-receive: `OLD NEW REF`, a line each.

    Changes: a file, 0600, durably.
    """
    if files.make_directory(layout.pushed, _PRIVATE_DIRECTORY):
        files.change_mode(layout.pushed, _PRIVATE_DIRECTORY)
    who = f"{person}\n{key}\n{keys}\n".encode("utf-8", "surrogateescape")
    name = f"{os.getpid()}-{os.urandom(8).hex()}"
    files.write_whole(layout.pushed / name, git + who + updates, _PRIVATE)


def pushes(layout: Layout) -> list[Pushed]:
    """Return what is noted, newest first."""
    with suppress(FileNotFoundError):
        entries = sorted(layout.pushed.iterdir(), key=_age)
        return [found for path in entries if (found := Pushed.read(path))]
    return []


def forget(noted: Sequence[Pushed]) -> None:
    """Take notes away: what they tell of was dealt with, or never happened.

    Changes: the files. Safe to repeat.
    """
    for one in noted:
        files.remove_file(one.path)


def _age(path: Path) -> int:
    try:
        return -path.stat().st_mtime_ns
    except OSError:
        return 0
