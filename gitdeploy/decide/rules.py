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
    reached,
)
from gitdeploy.model import ChainName

__all__ = ["CONTENT", "NEEDED", "RULES", "decide"]

Rule: TypeAlias = Callable[[Facts], Decision]


def decide(facts: Facts) -> Decision:
    """Return what the update means. Total: every combination has an answer."""
    decision = _objection(facts) or RULES[facts.kind, facts.change](facts)
    if not isinstance(decision, Refuse) and (no := _forbidden(facts, decision)):
        return no
    if reached(decision) and (no := _unsigned(facts)):
        return no
    if isinstance(decision, Deploy | RollBack):
        return _held(facts, decision.chain) or decision
    return decision


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
    if not facts.still_followed:
        return Accept("branch deleted; nothing is staged from it any more")
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


NEEDED: Final[Mapping[RefKind, tuple[Action, ...]]] = {
    RefKind.STAGE: ("stage",),
    RefKind.RELEASE: ("release",),
    RefKind.PREVIEW: ("preview",),
    RefKind.STORED: ("stage",),
    RefKind.OTHER: (),
    RefKind.RESERVED: (),
}
"""The rights of which a push of such a ref takes one; a roll back: or `rollback`."""

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


def _forbidden(facts: Facts, decision: Decision) -> Refuse | None:
    """Refuse what the pusher has no right to; any of the rights it takes is enough."""
    actions = list(NEEDED[facts.kind])
    if isinstance(decision, RollBack):
        actions.append("rollback")
    answers = [answer(facts.rights, action, facts.update.ref) for action in actions]
    if any(one.allowed for one in answers):
        return None
    return Refuse(f"not allowed: {answers[0].why}", hint=_ASK)


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
    return None if overriding.allowed else Refuse(f"not allowed: {overriding.why}")
