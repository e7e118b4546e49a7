"""Rights: who may do what, told from what was granted; touches nothing."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from gitdeploy.config.access import Access, Action, Grant
from gitdeploy.config.patterns import fits, takes_away

__all__ = ["EVERYTHING", "Answer", "Rights", "answer", "refs_of", "rights_of"]


class Answer(Struct, frozen=True):
    """Whether somebody may do something, and by which grant."""

    allowed: bool
    why: str
    """One sentence."""


class Rights(Struct, frozen=True):
    """What one person may do with one app."""

    person: str
    grants: tuple[tuple[str, Grant], ...] = ()
    """What was granted to them, each with where it stands."""
    everything: bool = False
    """Whether nothing is asked: the server's own user, who owns all of it."""
    turned_away: str = ""
    """Why their key lets them in no more, whatever was granted; empty: it does."""

    def allow(self, action: Action, ref: str | None = None) -> bool:
        """Return whether they may do it; by a push of `ref`, where one is named."""
        return answer(self, action, ref).allowed

    @property
    def words(self) -> str:
        """What they may do, as words: `read, stage`."""
        return ", ".join(sorted({word for _, one in self.grants for word in one.may}))

    @property
    def letting_in(self) -> bool:
        """Whether they may see the app at all: any right holds the one to read."""
        return self.everything or bool(self.grants and not self.turned_away)


EVERYTHING: Final = Rights("", everything=True)
"""What the server's own user may do."""


def rights_of(
    person: str, app: str, files: Sequence[tuple[str, Access]], made: str = ""
) -> Rights:
    """Return what a person may do with an app; with none of the grants: nothing.

    Args:
        person: As their keys call them.
        app: The app's name.
        files: What was granted, each with what its file is called.
        made: When the app was made, ISO 8601, UTC; empty where nobody knows.
    """
    found = [
        (f"{where}, grant {number}", grant)
        for where, access in files
        for number, grant in enumerate(access.grant, 1)
        if grant.may  # one of nothing would let in to read
        and _reaches(access, grant, person)
        and grant.is_for(app, made)
    ]
    return Rights(person, tuple(found))


def answer(rights: Rights, action: Action, ref: str | None = None) -> Answer:
    """Return whether somebody may do something, and why.

    Args:
        rights: What was granted to them for one app.
        action: What they want to do.
        ref: The full name of the ref that a push would move, or that what a verb
            moves came from, empty where nobody knows; None where it is about none.
    """
    if rights.everything:
        return Answer(allowed=True, why="the server's own user may do everything")
    if rights.turned_away:
        return Answer(allowed=False, why=rights.turned_away)
    for where, grant in rights.grants:
        if _holds(grant, action) and (ref is None or _covers(grant, ref)):
            return Answer(allowed=True, why=f"by {where}")
    if not rights.grants:
        return Answer(allowed=False, why=f"{rights.person} has no right to this app")
    beyond = _beyond(rights, action)
    why = f"only for {beyond}" if beyond else f"has: {rights.words}"
    return Answer(allowed=False, why=f"{rights.person} lacks {action} ({why})")


def refs_of(rights: Rights, action: Action) -> list[str]:
    """Return patterns of refs for which somebody may do something.

    Not all of them: those of a grant that takes some away mean nothing alone.
    """
    if rights.everything:
        return ["*"]
    if rights.turned_away:
        return []
    grants = [grant for _, grant in rights.grants if _holds(grant, action)]
    return [
        pattern
        for grant in grants
        if not any(map(takes_away, grant.refs))
        for pattern in grant.refs
    ]


def _beyond(rights: Rights, action: Action) -> str:
    """Return the refs for which an action was granted, when it was for others."""
    patterns = [
        pattern
        for _, grant in rights.grants
        if _holds(grant, action)
        for pattern in grant.refs
    ]
    return ", ".join(patterns)


def _holds(grant: Grant, action: Action) -> bool:
    return action == "read" or action in grant.may or "admin" in grant.may


def _covers(grant: Grant, ref: str) -> bool:
    return fits(grant.refs, *_names(ref))


def _names(ref: str) -> Iterator[str]:
    """Yield a ref's full name, and how people write it: `main`, `v1.2`."""
    yield ref
    for prefix in ("refs/heads/", "refs/tags/"):
        if ref.startswith(prefix):
            yield ref.removeprefix(prefix)


def _reaches(access: Access, grant: Grant, person: str) -> bool:
    return any(
        person in access.members(name[1:]) if name.startswith("@") else name == person
        for name in grant.to
    )
