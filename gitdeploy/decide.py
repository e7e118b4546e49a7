"""What a ref update of a push means: facts in, decision out; touches nothing.

The table RULES is the rule book. A row says, for a kind of ref and a change to it,
which rule answers; rules about content look the answer up in CONTENT.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from gitdeploy.config import Refs
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
    "conflicts",
    "decide",
    "describe",
    "order",
    "reached",
]

RESERVED: Final = "refs/deploy/"
"""Where the server publishes what is live; nobody pushes here."""


class RefKind(Enum):
    """What deploy.toml makes of a ref."""

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


@dataclass(frozen=True, slots=True)
class Deploy:
    """Put a release with this content at the head of `chain`."""

    chain: ChainName
    build: bool
    """Whether a release has to be prepared; else a ready one is used."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Take `steps` releases off the head of `chain`."""

    chain: ChainName
    steps: int


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The content is live already; the ref moves, the chain does not."""

    chain: ChainName


@dataclass(frozen=True, slots=True)
class Accept:
    """The ref moves and nothing is deployed; `why` says so to the pusher."""

    why: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """The ref does not move.

    Attributes:
        reason: One line, fit for git's status line.
        hint: The command or edit that helps; empty where there is none.
    """

    reason: str
    hint: str = ""


Decision: TypeAlias = Deploy | RollBack | Unchanged | Accept | Refuse


@dataclass(frozen=True, slots=True)
class Facts:
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
    position: int | None = None
    """Where the content stands in its chain, where it is HEAD or DEEPER."""
    live_by_this_ref: bool = False
    """Whether this very ref put the head of its chain there."""
    behind: int = 0
    """How many releases stand behind the head of the chain."""
    rebuild: bool = False
    """Whether the pusher asks for a new release of known content."""
    freeze: Freeze | None = None

    @property
    def change(self) -> Change:
        """What the push does to the ref."""
        if self.update.deletes:
            return Change.DELETED
        return Change.CREATED if self.update.creates else Change.MOVED


Rule: TypeAlias = Callable[[Facts], Decision]


def classify(ref: str, refs: Refs) -> RefKind:
    """Return what `refs`, the section of deploy.toml, makes of a full ref name."""
    if ref.startswith(RESERVED):
        return RefKind.RESERVED
    for prefix, patterns, kind in (
        ("refs/heads/", refs.stage, RefKind.STAGE),
        ("refs/tags/", refs.release, RefKind.RELEASE),
        ("refs/heads/", refs.preview, RefKind.PREVIEW),
    ):
        name = ref.removeprefix(prefix)
        if name != ref and any(fnmatchcase(name, pattern) for pattern in patterns):
            return kind
    return RefKind.STORED if refs.other == "store" else RefKind.OTHER


def chain_of(kind: RefKind) -> ChainName | None:
    """Return the chain that refs of this kind deploy to; None where they do not."""
    return {RefKind.STAGE: "dev", RefKind.RELEASE: "prod"}.get(kind)  # type: ignore[return-value]  # dict.get widens the literals


def decide(facts: Facts) -> Decision:
    """Return what the update means. Total: every combination has an answer."""
    decision = _objection(facts) or RULES[facts.kind, facts.change](facts)
    if facts.freeze and isinstance(decision, Deploy | RollBack):
        return _frozen(facts.freeze)
    return decision


def conflicts(decisions: Mapping[RefUpdate, Decision]) -> dict[RefUpdate, Refuse]:
    """Return a refusal for every update whose chain another update reaches too.

    Args:
        decisions: What each update of one push means, taken by itself.
    """
    reaching: dict[ChainName, list[RefUpdate]] = defaultdict(list)
    for update, decision in decisions.items():
        if chain := reached(decision):
            reaching[chain].append(update)
    return {
        update: _too_many(chain, updates)
        for chain, updates in reaching.items()
        if len(updates) > 1
        for update in updates
    }


def order(updates: Sequence[RefUpdate]) -> list[RefUpdate]:
    """Return the updates branches first, then tags, then the rest.

    So a push of a branch and a tag stages once and releases that very build.
    """
    ranks = ("refs/heads/", "refs/tags/")
    return sorted(
        updates,
        key=lambda update: next(
            (n for n, prefix in enumerate(ranks) if update.ref.startswith(prefix)),
            len(ranks),
        ),
    )


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


# --- the rules ------------------------------------------------------------------


def _by_content(facts: Facts) -> Decision:
    chain = chain_of(facts.kind)
    assert chain is not None
    assert facts.content is not None
    if facts.rebuild:
        return Deploy(chain, build=True)
    return CONTENT[facts.content](facts, chain)


def _moved_tag(facts: Facts) -> Decision:
    if facts.refs.move_tags:
        return _by_content(facts)
    return Refuse(
        f"tag {facts.update.short} exists; a release tag is not moved",
        hint="release under a new tag, or set  [refs] move_tags = true",
    )


def _deleted_tag(facts: Facts) -> Decision:
    if not facts.live_by_this_ref:
        return Accept("tag deleted; nothing is deployed or rolled back")
    if not facts.behind:
        return Refuse(
            f"{facts.update.short} is live on prod and no release is behind it",
            hint="release another tag first",
        )
    return RollBack("prod", 1)


def _deleted_stage_branch(facts: Facts) -> Decision:
    return Refuse(
        f"{facts.update.short} is staged from; a stage branch is not deleted",
        hint="take it out of  [refs] stage  first, and push that",
    )


def _stored(_facts: Facts) -> Decision:
    return Accept('stored; not deployed ([refs] other = "store")')


def _nobody_follows(facts: Facts) -> Decision:
    stage, release = facts.refs.stage, facts.refs.release
    follows = [f"branches {', '.join(stage)} stage"] if stage else []
    follows += [f"tags {', '.join(release)} release"] if release else []
    return Refuse(
        f"{facts.update.short} deploys nothing here",
        hint=f"{'; '.join(follows) or 'no ref deploys'} (deploy.toml, [refs])",
    )


def _preview(_facts: Facts) -> Decision:
    return Refuse("preview branches are not supported yet")


def _reserved(_facts: Facts) -> Decision:
    return Refuse(f"{RESERVED}* is written by the server only")


RULES: Final[Mapping[tuple[RefKind, Change], Rule]] = {
    (RefKind.STAGE, Change.CREATED): _by_content,
    (RefKind.STAGE, Change.MOVED): _by_content,
    (RefKind.STAGE, Change.DELETED): _deleted_stage_branch,
    (RefKind.RELEASE, Change.CREATED): _by_content,
    (RefKind.RELEASE, Change.MOVED): _moved_tag,
    (RefKind.RELEASE, Change.DELETED): _deleted_tag,
    (RefKind.PREVIEW, Change.CREATED): _preview,
    (RefKind.PREVIEW, Change.MOVED): _preview,
    (RefKind.PREVIEW, Change.DELETED): _preview,
    (RefKind.STORED, Change.CREATED): _stored,
    (RefKind.STORED, Change.MOVED): _stored,
    (RefKind.STORED, Change.DELETED): _stored,
    (RefKind.OTHER, Change.CREATED): _nobody_follows,
    (RefKind.OTHER, Change.MOVED): _nobody_follows,
    (RefKind.OTHER, Change.DELETED): _nobody_follows,
    (RefKind.RESERVED, Change.CREATED): _reserved,
    (RefKind.RESERVED, Change.MOVED): _reserved,
    (RefKind.RESERVED, Change.DELETED): _reserved,
}


def _roll_back_to(facts: Facts, chain: ChainName) -> Decision:
    assert facts.position is not None
    return RollBack(chain, facts.position - 1)


CONTENT: Final[Mapping[Content, Callable[[Facts, ChainName], Decision]]] = {
    Content.HEAD: lambda _facts, chain: Unchanged(chain),
    Content.DEEPER: _roll_back_to,
    Content.READY: lambda _facts, chain: Deploy(chain, build=False),
    Content.NEW: lambda _facts, chain: Deploy(chain, build=True),
}


# --- objections that hold for every rule ----------------------------------------


def _objection(facts: Facts) -> Refuse | None:
    update = facts.update
    if not update.ref.isprintable():
        return Refuse(f"the name of {update.ref!a} cannot be shown; use another")
    if update.deletes:
        return None
    if facts.commit is None:
        return Refuse(f"{update.short} is a {facts.object_type}, not a commit")
    if update.ref.startswith("refs/heads/") and facts.object_type == "tag":
        return Refuse(
            f"{update.short} is a branch, and what was pushed is an annotated tag",
            hint=f"git push server TAG^{{commit}}:{update.ref}",
        )
    return None


def _frozen(freeze: Freeze) -> Refuse:
    return Refuse(f"locked by {freeze.by} since {freeze.since}: {freeze.reason}")


def _too_many(chain: ChainName, updates: Sequence[RefUpdate]) -> Refuse:
    last = updates[-1].short
    return Refuse(
        f"{len(updates)} refs of this push reach {chain}; push one",
        hint=f"git push server {last}",
    )
