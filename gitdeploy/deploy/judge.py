"""A push judged: what each of its updates means, alone and together."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.decide import (
    Decision,
    Refuse,
    conflicts,
    decide,
    describe,
    withheld,
)
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import Source, gather
from gitdeploy.model import RefUpdate

__all__ = ["OPTIONS", "Push", "judge", "refused_together", "withheld_now"]

OPTIONS: Final[Mapping[str, str]] = {
    "plan": "say what would happen, then refuse",
    "rebuild": "make a new release even of known content",
    "skip-checks": "do not run the checks before the flip",
    "override": "deploy although the app is locked, where you may",
    "force": "roll back although a [[deactivate]] command fails",
}


class Push(Struct, frozen=True):
    """What a pusher asks for."""

    updates: tuple[RefUpdate, ...]
    options: tuple[str, ...] = ()
    atomic: bool = False
    """All refs or none."""

    @property
    def only_plans(self) -> bool:
        """Whether it asks what would happen, and is refused."""
        return "plan" in self.options


def judge(app: App, source: Source, push: Push) -> Decision:
    """Return what one update means by itself, right now."""
    facts = gather(app, source, rebuild="rebuild" in push.options)
    facts = replace(facts, override="override" in push.options)
    decision = decide(facts)
    if source.trouble and not isinstance(decision, Refuse):
        return source.trouble
    if push.only_plans:
        return Refuse(f"plan: {describe(decision)}")
    return decision


def withheld_now(
    app: App, source: Source, decision: Decision, push: Push
) -> Refuse | None:
    """Return what keeps an update from happening at this very moment; None: nothing.

    A build can take an hour: by then its pusher may have lost the right, the app may
    be locked, or its window closed. What the server's files say is read afresh.
    """
    app.look_again()
    facts = gather(app, source, rebuild="rebuild" in push.options)
    return withheld(replace(facts, override="override" in push.options), decision)


def refused_together(
    app: App, sources: Sequence[Source], push: Push
) -> dict[RefUpdate, Refuse]:
    """Return the refusals that come from the push as a whole."""
    if unknown := [option for option in push.options if option not in OPTIONS]:
        known = ", ".join(OPTIONS)
        no = Refuse(f"unknown push option {unknown[0]!r}", f"there are: {known}")
        return {source.update: no for source in sources}
    decisions = {source.update: judge(app, source, push) for source in sources}
    released = [entry.ref for entry in app.ledger.chains.read("prod").entries]
    return conflicts(decisions, released)
