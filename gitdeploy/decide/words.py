"""The words of the rule book: facts, decisions, and what kinds of refs there are."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from gitdeploy.access import EVERYTHING, Rights
from gitdeploy.config import UNBOUNDED, RefBounds, Refs
from gitdeploy.config.patterns import fits
from gitdeploy.config.signed import Wanted
from gitdeploy.model import ChainName, Freeze, RefUpdate

__all__ = [
    "RESERVED",
    "Accept",
    "Change",
    "Content",
    "Decision",
    "Deploy",
    "Facts",
    "RefKind",
    "Refuse",
    "RollBack",
    "Unchanged",
    "chain_of",
    "classify",
    "describe",
    "reached",
]

RESERVED: Final = "refs/deploy/"
"""Where the server publishes what is live; nobody pushes here."""


class RefKind(Enum):
    """What deploy.toml makes of a ref, as far as the server lets it."""

    STAGE = "stage branch"
    RELEASE = "release tag"
    PREVIEW = "preview branch"
    STORED = "stored ref"
    OTHER = "other ref"
    RESERVED = "reserved ref"


class Change(Enum):
    """What the push does to the ref."""

    CREATED = "created"
    MOVED = "moved"
    DELETED = "deleted"


class Content(Enum):
    """Where the pushed content stands, seen from the chain it is meant for."""

    HEAD = "is the head of the chain"
    DEEPER = "is deeper in the chain"
    READY = "is in a ready release elsewhere"
    NEW = "is new"


class Deploy(Struct, frozen=True):
    """Put a release with this content at the head of `chain`."""

    chain: ChainName
    build: bool
    """Whether a release has to be prepared; else a ready one is used."""


class RollBack(Struct, frozen=True):
    """Take `steps` releases off the head of `chain`."""

    chain: ChainName
    steps: int


class Unchanged(Struct, frozen=True):
    """The content is live already; the ref moves, the chain does not."""

    chain: ChainName


class Accept(Struct, frozen=True):
    """The ref moves and nothing is deployed; `why` says so to the pusher."""

    why: str


class Refuse(Struct, frozen=True):
    """The ref does not move.

    Attributes:
        reason: One line, fit for git's status line.
        hint: The command or edit that helps; empty where there is none.
        lacking: Whether it is for want of a right: others could push it.
    """

    reason: str
    hint: str = ""
    lacking: bool = False


Decision: TypeAlias = Deploy | RollBack | Unchanged | Accept | Refuse


class Facts(Struct, frozen=True):
    """All that the rule book may know about one update."""

    update: RefUpdate
    kind: RefKind
    object_type: str | None
    """Type of the pushed object; None for a deletion."""
    commit: str | None
    """What the pushed object peels to; None where that is no commit."""
    content: Content | None
    """None for a deletion and for refs that do not deploy."""
    refs: Refs
    """The section of deploy.toml at the pushed commit."""
    bounds: RefBounds = UNBOUNDED
    """How far the server lets deploy.toml decide."""
    last: ChainName | None = None
    """The chain that the ref last deployed to; None: it never did."""
    position: int | None = None
    """Where the content stands in its chain, where it is HEAD or DEEPER."""
    live_by_this_ref: bool = False
    """Whether this very ref put the head of its chain there."""
    behind: int = 0
    """How many releases stand behind the head of the chain."""
    still_followed: bool = True
    """For a deletion: whether deploy.toml of what is live still has the ref deploy."""
    rebuild: bool = False
    """Whether the pusher asks for a new release of known content."""
    freeze: Freeze | None = None
    rights: Rights = EVERYTHING
    """What the pusher may do with the app."""
    closed: str = ""
    """Why the chain may not be moved at this time; empty: it may."""
    override: bool = False
    """Whether the pusher asks that no lock holds them."""
    signed: Wanted = "no"
    """What the chain wants signed."""
    unsigned: str = ""
    """Why that signature does not hold; empty: it holds, or none is wanted."""
    signing_helps: bool = True
    """Whether another signature could hold; not where the server lacks the keys."""

    @property
    def held_by(self) -> ChainName | None:
        """The chain whose lock, windows and signatures hold every change of the ref.

        What it once deployed to counts as much as what deploy.toml makes of it now.
        """
        return chain_of(self.kind) or self.last

    @property
    def tags_move(self) -> bool:
        """Whether a release tag may be moved: both files have to allow it."""
        return self.refs.move_tags and self.bounds.move_tags

    @property
    def bounded(self) -> bool:
        """Whether server.toml forbids what deploy.toml makes of the ref."""
        ref, refs = self.update.ref, self.refs
        return classify(ref, refs) is not classify(ref, refs, self.bounds)

    @property
    def change(self) -> Change:
        """What the push does to the ref."""
        if self.update.deletes:
            return Change.DELETED
        return Change.CREATED if self.update.creates else Change.MOVED


def classify(ref: str, refs: Refs, bounds: RefBounds = UNBOUNDED) -> RefKind:
    """Return what a full ref name is.

    Args:
        ref: The name.
        refs: What deploy.toml says.
        bounds: What the server allows of that: a ref deploys where both let it.
    """
    if f"{ref}/".startswith(RESERVED):
        return RefKind.RESERVED
    for prefix, patterns, allowed, kind in (
        ("refs/heads/", refs.stage, bounds.stage, RefKind.STAGE),
        ("refs/tags/", refs.release, bounds.release, RefKind.RELEASE),
        ("refs/heads/", refs.preview, bounds.preview, RefKind.PREVIEW),
    ):
        name = ref.removeprefix(prefix)
        if name != ref and fits(patterns, name) and fits(allowed, name):
            return kind
    stored = refs.other == bounds.other == "store"
    return RefKind.STORED if stored else RefKind.OTHER


def chain_of(kind: RefKind) -> ChainName | None:
    """Return the chain that refs of this kind deploy to; None where they do not."""
    return {RefKind.STAGE: "dev", RefKind.RELEASE: "prod"}.get(kind)  # type: ignore[return-value]  # dict.get widens the literals


def reached(decision: Decision) -> ChainName | None:
    """Return the chain that a decision is about; None where it touches none."""
    match decision:
        case Deploy(chain) | RollBack(chain) | Unchanged(chain):
            return chain
        case Accept() | Refuse():
            return None


def describe(decision: Decision) -> str:
    """Return the decision as a sentence about the future, for `plan`."""
    match decision:
        case Deploy(chain, build=True):
            return f"would prepare a release and put it at the head of {chain}"
        case Deploy(chain):
            return f"would put a ready release at the head of {chain}, no build"
        case RollBack(chain, steps):
            return f"would roll {chain} back by {steps}, no build"
        case Unchanged(chain):
            return f"would change nothing: this content is live on {chain}"
        case Accept(why):
            return f"would accept: {why}"
        case Refuse(reason):
            return f"would refuse: {reason}"
