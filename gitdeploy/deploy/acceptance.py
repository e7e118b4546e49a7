"""How a ref is accepted or declined: before it moved, or after git moved it."""

from collections.abc import Callable, Sequence
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

    def decline(self, update: RefUpdate) -> str | None:
        """Make the ref hold what it held before.

        Returns:
            What it holds again; None where it had not moved, or stays as it is.
        """

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
            raise self._in_words(objection, updates)

    def accept(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        try:
            self._repository.move(updates, why="push")
        except RefsMoved as error:
            raise self._in_words(error, updates) from error

    def _in_words(self, said: RefsMoved, updates: Sequence[RefUpdate]) -> RefsMoved:
        """Return what git said, in better words where the refs have moved on."""
        moved_on = self._moved_on(updates)
        return RefsMoved(moved_on) if moved_on else said

    def _moved_on(self, updates: Sequence[RefUpdate]) -> str:
        have = self._repository.refs(*(update.ref for update in updates))
        for update in updates:
            there = have.get(update.ref, "nothing")
            if not update.creates and there != update.old:
                return f"{update.short} has moved on: it is at {there[:7]} by now"
        return ""

    def decline(self, _update: RefUpdate) -> str | None:
        """See `Acceptance`; the ref has not moved."""
        return None

    def take_back(self, update: RefUpdate) -> None:
        """See `Acceptance`."""
        _put_back(self._repository, update, update.old)


class Afterwards:
    """post-receive: git has moved the refs; we put back what cannot be deployed.

    While we judge a push, git takes further ones. A branch that has moved forward
    over ours has taken ours along: ours goes live now, and its turn comes next.
    """

    def __init__(
        self,
        repository: Repository,
        value_before: Callable[[RefUpdate], str] | None = None,
    ) -> None:
        """Judge refs that have moved.

        Args:
            repository: Whose refs.
            value_before: What a ref shall hold where its update is declined; None:
                it stays as it is.
        """
        self._repository = repository
        self._value_before = value_before

    def catch_up(self, updates: Sequence[RefUpdate]) -> list[RefUpdate]:
        """See `Acceptance`; the refs have moved as they were pushed."""
        return list(updates)

    def check(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        have = self._repository.refs(*(update.ref for update in updates))
        for update in updates:
            there = have.get(update.ref, "0" * len(update.new))
            if there != update.new and not self._has_gone_on(update, there):
                gone = not there.strip("0")
                holds = "is gone by now" if gone else f"is at {there[:7]} by now"
                raise Superseded(f"superseded: {update.short} {holds}")

    def _has_gone_on(self, update: RefUpdate, there: str) -> bool:
        is_branch = update.ref.startswith("refs/heads/")
        return is_branch and self._repository.contains(there, update.new)

    def accept(self, updates: Sequence[RefUpdate]) -> None:
        """See `Acceptance`."""
        self.check(updates)
        self._repository.sync()

    def decline(self, update: RefUpdate) -> str | None:
        """See `Acceptance`."""
        if self._value_before is None:
            return None
        return _put_back(self._repository, update, self._value_before(update))

    def take_back(self, update: RefUpdate) -> None:
        """See `Acceptance`."""
        self.decline(update)


def _put_back(repository: Repository, update: RefUpdate, value: str) -> str | None:
    """Undo an update; a ref that has moved on is left to its newer push."""
    back = RefUpdate(update.ref, update.new, value)
    try:
        repository.move([back], why="put back")
    except (RefsMoved, OSError):
        return None
    return value
