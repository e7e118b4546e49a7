"""A chain of releases and the moves along it; pure, knows neither links nor ledger.

Position 1 is the head. The whole list is kept, of which links show the first few.
What a roll back takes off the chain is kept beside it, so that it can be undone.
"""

from collections.abc import Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.errors import NothingThere
from gitdeploy.model import ChainName, Entry

__all__ = ["MOST_ENTRIES", "Chain"]

MOST_ENTRIES: Final = 1000
"""Chains are read and written whole, so that none may grow for ever."""


class Chain(Struct, frozen=True):
    """One chain at one moment.

    A release may stand on it more than once only by actions on the server
    (`deploy`, `release`); a push recognises content and moves along the chain.
    """

    name: ChainName
    entries: tuple[Entry, ...] = ()
    """Head first; empty before the first deployment."""
    undone: tuple[tuple[Entry, ...], ...] = ()
    """What roll backs took off, the latest first; each group head first."""

    @property
    def head(self) -> Entry | None:
        """What is live on this chain; None before the first deployment."""
        return self.entries[0] if self.entries else None

    def position_of(self, releases: Collection[int]) -> int | None:
        """Return the position nearest to the head that holds one of `releases`."""
        for position, entry in enumerate(self.entries, start=1):
            if entry.release in releases:
                return position
        return None

    def push(self, entry: Entry) -> "Chain":
        """Return the chain with `entry` at its head; every other moves down by one.

        What roll backs took off is forgotten: a new head starts a new future. So is
        the tail beyond `MOST_ENTRIES`; its releases stay until they are pruned.
        """
        return Chain(self.name, (entry, *self.entries[: MOST_ENTRIES - 1]))

    def roll_back(self, steps: int, since: str) -> "Chain":
        """Return the chain without its `steps` first entries; they can come back.

        Args:
            steps: How many positions to go back, 1 or more.
            since: When it happens, for the entry that becomes the head.

        Raises:
            NothingThere: The chain is not that long.
        """
        if steps < 1 or steps >= len(self.entries):
            raise NothingThere(self._why_not_back())
        left, (head, *rest) = self.entries[:steps], self.entries[steps:]
        return Chain(
            self.name,
            (replace(head, since=since), *rest),
            (left, *self.undone),
        )

    def roll_forward(self, since: str) -> "Chain":
        """Return the chain as it was before the latest roll back.

        Raises:
            NothingThere: No roll back is left to undo.
        """
        if not self.undone:
            raise NothingThere(f"nothing to roll {self.name} forward to")
        (head, *rest), *older = self.undone
        return Chain(
            self.name,
            (replace(head, since=since), *rest, *self.entries),
            tuple(older),
        )

    def with_head(self, *, commit: str | None, ref: str | None) -> "Chain":
        """Return the chain with its head attributed to another commit and ref."""
        head, *rest = self.entries
        return replace(self, entries=(replace(head, commit=commit, ref=ref), *rest))

    def without(self, releases: Collection[int]) -> "Chain":
        """Return the chain with `releases` gone from it and from what was undone."""
        undone = (_without(group, releases) for group in self.undone)
        return Chain(
            self.name,
            _without(self.entries, releases),
            tuple(group for group in undone if group),
        )

    def _why_not_back(self) -> str:
        if not self.entries:
            return f"nothing is on {self.name} yet"
        behind = len(self.entries) - 1
        return (
            f"nothing to roll {self.name} back to: "
            f"{behind or 'no'} earlier release{'s' * (behind != 1)} behind the live one"
        )


def _without(
    entries: tuple[Entry, ...], releases: Collection[int]
) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if entry.release not in releases)
