"""What the updates of one push mean together: their order, and what collides."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import takewhile

from gitdeploy.decide.words import Decision, Refuse, reached
from gitdeploy.model import ChainName, RefUpdate

__all__ = ["conflicts", "order"]


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


def conflicts(
    decisions: Mapping[RefUpdate, Decision], released: Sequence[str | None] = ()
) -> dict[RefUpdate, Refuse]:
    """Return a refusal for every update whose chain another update reaches too.

    Args:
        decisions: What each update of one push means, taken by itself.
        released: The refs that stand on prod, the live one first. Where several tags
            that follow each other are deleted, each would roll prod back.
    """
    reaching: dict[ChainName, list[RefUpdate]] = defaultdict(list)
    for update, decision in decisions.items():
        if chain := reached(decision):
            reaching[chain].append(update)
    going = {
        update.ref: update
        for update, decision in decisions.items()
        if update.deletes and not isinstance(decision, Refuse)
    }
    for ref in dict.fromkeys(takewhile(going.__contains__, released)):
        if ref and going[ref] not in reaching["prod"]:
            reaching["prod"].append(going[ref])
    return {
        update: _too_many(chain, updates)
        for chain, updates in reaching.items()
        if len(updates) > 1
        for update in updates
    }


def _too_many(chain: ChainName, updates: Sequence[RefUpdate]) -> Refuse:
    import shlex

    one = next(u for u in reversed(updates) if not u.deletes or u is updates[0])
    colon = ":" if one.deletes else ""
    return Refuse(
        f"{len(updates)} refs of this push reach {chain}; push one",
        hint=f"git push server {shlex.quote(colon + one.short)}",
    )
