"""How a ref is accepted or declined: before it moved, or after git moved it."""

from collections.abc import Sequence
from typing import Protocol

from gitdeploy.model import RefUpdate
from gitdeploy.repository import RefsMoved, Repository

__all__ = ["Acceptance", "Afterwards", "Gate", "Superseded"]


class Superseded(RefsMoved):
    """The ref has moved on meanwhile; the newer push decides."""


class Acceptance(Protocol):
    """What the flow of a push asks of the refs."""

    def catch_up(self, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
        """Return the updates as they would read had they been pushed just now.

        While a push waited for its turn, another may have moved its branch forward;
        where what is pushed holds that too, nothing is lost by moving on from there.
        """

    def check(self, updates: Sequence[RefUpdate]) -> None:
        """Say nothing if the refs could move now.

        Raises:
            RefsMoved: They could not; nothing has to be built.
        """

    def accept(self, updates: Sequence[RefUpdate]) -> None:
        """Make the refs hold what was pushed; all of them, or none.

        Raises:
            RefsMoved: A ref is not where it was.
        """

    def decline(self, update: RefUpdate) -> bool:
        """Make the ref hold what it held before; return whether it had moved."""

    def take_back(self, update: RefUpdate) -> None:
        """Make the ref hold what it held before, although it was accepted."""


class Gate:
    """proc-receive: the refs have not moved; we move them, by compare-and-swap."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def catch_up(self, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
        """See `Acceptance`."""
        branches = [u.ref for u in updates if u.ref.startswith("refs/heads/")]
        have = self._repository.refs(*branches) if branches else {}
        return [self._from(have.get(u.ref, u.old), u) for u in updates]

    def _from(self, there: str, update: RefUpdate) -> RefUpdate:
        if there == update.old or update.deletes:
            return update
        contains = self._repository.contains
        forward = update.creates or contains(there, update.old)
        if forward and contains(update.new, there):
            return RefUpdate(update.ref, there, update.new)
        return update

    def check(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        if objection := self._repository.objection(updates):
            moved_on = self._moved_on(updates)
            raise RefsMoved(moved_on) if moved_on else objection

    def accept(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        self._repository.move(updates, why="push")

    def _moved_on(self, updates: Sequence[RefUpdate]) -> str:
        have = self._repository.refs(*(update.ref for update in updates))
        for update in updates:
            there = have.get(update.ref, "nothing")
            if not update.creates and there != update.old:
                return f"{update.short} has moved on: it is at {there[:7]} by now"
        return ""

    def decline(self, _update: RefUpdate) -> bool:
        """See `Acceptance`; the ref has not moved."""
        return False

    def take_back(self, update: RefUpdate) -> None:
        """See `Acceptance`."""
        _put_back(self._repository, update)


class Afterwards:
    """post-receive: git has moved the refs; we put back what cannot be deployed."""

    def __init__(self, repository: Repository, *, put_back: bool = True) -> None:
        self._repository = repository
        self._may_put_back = put_back

    def catch_up(self, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
        """See `Acceptance`; the refs have moved as they were pushed."""
        return list(updates)

    def check(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        have = self._repository.refs(*(update.ref for update in updates))
        for update in updates:
            there = have.get(update.ref)
            if there != (None if update.deletes else update.new):
                holds = f"is at {there[:7]} by now" if there else "is gone by now"
                raise Superseded(f"superseded: {update.short} {holds}")

    def accept(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        self.check(updates)
        self._repository.sync()

    def decline(self, update: RefUpdate) -> bool:
        """See `Acceptance`."""
        return self._may_put_back and _put_back(self._repository, update)

    def take_back(self, update: RefUpdate) -> None:
        """See `Acceptance`."""
        self.decline(update)


def _put_back(repository: Repository, update: RefUpdate) -> bool:
    """Undo an update; a ref that has moved on is left to its newer push."""
    try:
        repository.move([update.reversed()], why="put back")
    except (RefsMoved, OSError):
        return False
    return True
