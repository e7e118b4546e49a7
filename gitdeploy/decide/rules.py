"""The rule book: what one ref update means.

RULES says, for a kind of ref and a change to it, which rule answers; rules about
content look the answer up in CONTENT.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from gitdeploy.access import answer
from gitdeploy.config.access import Action
from gitdeploy.decide.words import (
    RESERVED,
    Accept,
    Change,
    Content,
    Decision,
    Deploy,
    Facts,
    RefKind,
    Refuse,
    RollBack,
    Unchanged,
    chain_of,
)
from gitdeploy.model import ChainName, RefUpdate

__all__ = ["CONTENT", "NEEDED", "RULES", "decide", "needed", "withheld"]

Rule: TypeAlias = Callable[[Facts], Decision]

MOST_BYTES: Final = 255
MOST_PARTS: Final = 16
"""Of a whole name of a ref; of `refs/heads/main` these are 15 and 3."""


def decide(facts: Facts) -> Decision:
    """Return what the update means. Total: every combination has an answer."""
    decision = _objection(facts) or RULES[_ruling(facts), facts.change](facts)
    return withheld(facts, decision) or decision


def withheld(facts: Facts, decision: Decision) -> Refuse | None:
    """Return what keeps a decision from being carried out, by this person, now.

    It is asked again when the ref is about to move: all of it may have changed.
    """
    if no := _forbidden(facts, decision):
        return no
    chain = facts.held_by
    if isinstance(decision, Refuse) or chain is None:
        return None
    return _unsigned(facts) or _held(facts, chain)


def _ruling(facts: Facts) -> RefKind:
    """Return the kind of ref whose rule answers.

    A deletion brings no deploy.toml: what the ref was when it deployed has the say,
    and not the commit that is deleted, which anybody who may stage can have put there.
    """
    if facts.change is Change.DELETED and facts.last:
        return RefKind.STAGE if facts.last == "dev" else RefKind.RELEASE
    return facts.kind


# --- the rules ------------------------------------------------------------------


def _by_content(facts: Facts) -> Decision:
    chain = chain_of(facts.kind)
    assert chain is not None
    assert facts.content is not None
    if facts.rebuild:
        return Deploy(chain, build=True)
    return CONTENT[facts.content](facts, chain)


def _moved_tag(facts: Facts) -> Decision:
    return _by_content(facts) if facts.tags_move else _not_moved(facts)


def _not_moved(facts: Facts) -> Refuse:
    no = f"tag {facts.update.short} exists; a release tag is not moved"
    if not facts.bounds.move_tags:
        return Refuse(f"{no} (server.toml, [refs])", hint="release under a new tag")
    or_set = "or set  [refs] move_tags = true  in deploy.toml"
    return Refuse(no, hint=f"release under a new tag, {or_set}")


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
    if not facts.still_followed:
        return Accept("branch deleted; nothing is staged from it any more")
    return Refuse(
        f"{facts.update.short} is staged from; a stage branch is not deleted",
        hint="take it out of  [refs] stage  of deploy.toml first, and push that",
    )


def _stored(facts: Facts) -> Decision:
    was_released = facts.last == "prod" and facts.change is Change.MOVED
    if was_released and not facts.tags_move:
        return _not_moved(facts)
    if facts.bounded:
        return Accept("stored; not deployed (server.toml, [refs])")
    return Accept('stored; not deployed ([refs] other = "store")')


def _nobody_follows(facts: Facts) -> Decision:
    where, refs = ("server.toml" if facts.bounded else "deploy.toml"), facts.refs
    stage, release = refs.stage, refs.release
    if facts.bounded:
        stage, release = facts.bounds.stage, facts.bounds.release
    follows = [f"branches {', '.join(stage)} stage"] if stage else []
    follows += [f"tags {', '.join(release)} release"] if release else []
    return Refuse(
        f"{facts.update.short} deploys nothing here",
        hint=f"{'; '.join(follows) or 'no ref deploys'} ({where}, [refs])",
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


NEEDED: Final[Mapping[RefKind, tuple[Action, ...]]] = {
    RefKind.STAGE: ("stage",),
    RefKind.RELEASE: ("release",),
    RefKind.PREVIEW: ("preview",),
    RefKind.STORED: ("stage",),
    RefKind.OTHER: (),
    RefKind.RESERVED: (),
}
"""The right that a push of such a branch takes; a tag always takes `release`."""

_ASK: Final = "ask whoever keeps this server (gitdeploy access grant)"
_ASK_DOCTOR: Final = "ask whoever keeps this server (gitdeploy doctor)"


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
    if no := _too_long(update):
        return no
    if not update.ref.isprintable():
        return Refuse(f"the name of {update.ref!a} cannot be shown; use another")
    if update.deletes:
        return None
    if facts.commit is None:
        what = "gone" if facts.object_type == "missing" else f"a {facts.object_type}"
        return Refuse(f"{update.short} is {what}, not a commit")
    if update.ref.startswith("refs/heads/") and facts.object_type == "tag":
        return Refuse(
            f"{update.short} is a branch, and what was pushed is an annotated tag",
            hint=f"git push server TAG^{{commit}}:{update.ref}",
        )
    return None


def _too_long(update: RefUpdate) -> Refuse | None:
    """Refuse a name that others would stumble on; one that is there may go."""
    parts = update.ref.count("/") + 1
    long = len(update.ref.encode("utf-8", "surrogateescape"))
    if update.deletes or (long <= MOST_BYTES and parts <= MOST_PARTS):
        return None
    got = f"{parts} parts" if parts > MOST_PARTS else f"{long} bytes"
    return Refuse(
        f"a ref's name has {got}; the limit is {MOST_BYTES} bytes, {MOST_PARTS} parts",
        hint="use a shorter name",
    )


def _forbidden(facts: Facts, decision: Decision) -> Refuse | None:
    """Refuse what the pusher lacks a right to; for a roll back `rollback` is enough."""
    ref, rights = facts.update.ref, facts.rights
    if isinstance(decision, RollBack) and answer(rights, "rollback", ref).allowed:
        return None
    for action in needed(ref, facts.kind, facts.last):
        found = answer(rights, action, ref)
        if not found.allowed:
            return Refuse(f"not allowed: {found.why}", hint=_ASK, lacking=True)
    return None


def needed(
    ref: str, kind: RefKind, last: ChainName | None = None
) -> tuple[Action, ...]:
    """Return the rights that a push of a ref takes, each of them.

    Args:
        ref: Its full name.
        kind: What deploy.toml makes of it.
        last: The chain that it last deployed to; None: it never did.
    """
    if kind is RefKind.RESERVED:
        return ()
    if ref.startswith("refs/tags/"):  # whatever deploy.toml says: the pusher wrote it
        return ("release",)
    before = ("stage",) if last == "dev" and kind is not RefKind.STAGE else ()
    return (*NEEDED[kind], *before)


def _unsigned(facts: Facts) -> Refuse | None:
    """Refuse what is not signed as its chain wants it."""
    if not facts.unsigned:
        return None
    if not facts.signing_helps:
        return Refuse(facts.unsigned, hint=_ASK_DOCTOR)
    if facts.signed == "commits":
        return Refuse(facts.unsigned, hint="git commit --amend --no-edit -S")
    import shlex

    name = facts.update.short
    words = ("git", "tag", "-f", "-s", name, f"{name}^{{commit}}")
    return Refuse(facts.unsigned, hint=shlex.join(words))


def _held(facts: Facts, chain: ChainName) -> Refuse | None:
    """Refuse what a lock or the time holds, but for one who may override it."""
    freeze = facts.freeze
    locked = freeze.words if freeze and freeze.holds(chain) else ""
    why = locked or facts.closed
    if not why:
        return None
    if not facts.override:
        return Refuse(why)
    overriding = answer(facts.rights, "override", facts.update.ref)
    if overriding.allowed:
        return None
    return Refuse(f"not allowed: {overriding.why}", lacking=True)
