"""Refs that moved without a deployment: what of them is deployed by `repair`.

Only what somebody judged: who moves a ref by a push has a right, asked before it moved
(`pushed`) and once more now; or whoever keeps the server names the ref. What nobody
judged is told, with the command that deploys it.
"""

import shlex
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from gitdeploy.decide import Accept, Refuse, order
from gitdeploy.deploy.acceptance import Afterwards
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import read_sources
from gitdeploy.deploy.judge import Push, judge
from gitdeploy.deploy.push import settle
from gitdeploy.deploy.pushed import Pushed, forget, pushes
from gitdeploy.deploy.report import Report
from gitdeploy.errors import UsageError
from gitdeploy.ledger import Ledger
from gitdeploy.model import RefUpdate
from gitdeploy.system import clock

__all__ = ["catch_up", "deploys_it", "forget_settled", "leave_as_it_is", "was_judged"]


def catch_up(
    app: App, report: Report, updates: Sequence[RefUpdate], named: Sequence[str]
) -> list[str]:
    """Deploy what was judged of some refs that moved unseen; return what was done.

    Args:
        app: The app, whose lock is held.
        report: Told how far it is.
        updates: What was missed.
        named: The refs that whoever keeps the server wants deployed, by whatever name.

    Raises:
        UsageError: There is no such ref.

    Changes: whatever the updates deploy; notes of what was judged. Safe to repeat.
    """
    known = list(_known(app, updates, named))
    noted = pushes(app.layout)
    wanted = [update for update in updates if _is_named(update, named)]
    rest = [update for update in updates if update not in wanted]
    theirs = {update: _judged(noted, update) for update in rest}
    unjudged = [update for update, push in theirs.items() if push is None]
    deploying = [] if not unjudged else list(_deploying(app, unjudged))
    mine = [*wanted, *(update for update in unjudged if update not in deploying)]
    done = [*known, *_settled(app, mine, report)]
    for push in noted:
        if its := [update for update, by in theirs.items() if by is push]:
            with _acting_as(app, push) as other:
                done += _settled(other, its, report)
    done += [
        f"{update.short} had moved unseen, and nobody judged it; to deploy it:"
        f"  {deploys_it(app, update)}"
        for update in deploying
    ]
    forget_settled(app, noted)
    return done


def deploys_it(app: App, update: RefUpdate) -> str:
    """Return the command that deploys what nobody judged."""
    return f"gitdeploy repair {app.name} --deploy {shlex.quote(update.short)}"


def was_judged(app: App, update: RefUpdate) -> bool:
    """Return whether `repair` deploys an update that was missed, or only tells it."""
    judged = _judged(pushes(app.layout), update) is not None
    return judged or not list(_deploying(app, [update]))


def forget_settled(app: App, noted: Sequence[Pushed]) -> None:
    """Take away notes of pushes that are deployed, or whose refs are elsewhere."""
    if not noted:
        return
    have, judged = app.repository.refs(), app.ledger.deployments.judged
    if app.repository.receives():  # git may be about to move what was noted just now
        return
    forget(
        [
            push
            for push in noted
            if all(
                have.get(u.ref, "0" * 40) != u.new or judged(u) for u in push.updates
            )
        ]
    )


def leave_as_it_is(ledger: Ledger, by: str, update: RefUpdate, why: str) -> None:
    """Note that a ref is known and deploys nothing, so that nobody asks again."""
    event = ledger.deployments.begin(
        "adopt",
        by=by,
        started=clock.now(),
        ref=update.ref,
        old=update.old,
        new=update.new,
    )
    ledger.deployments.end(event.id, "accepted", reason=why)


def _known(
    app: App, updates: Sequence[RefUpdate], named: Sequence[str]
) -> Iterator[str]:
    """Yield a sentence for each ref that was named and did not move unseen."""
    for name in named:
        if not any(_is_named(update, [name]) for update in updates):
            if app.repository.find(name) is None:
                raise UsageError(f"{app.name}.git has no branch or tag {name!r}")
            yield f"{name} did not move unseen"


def _is_named(update: RefUpdate, named: Sequence[str]) -> bool:
    return update.ref in named or update.short in named


def _judged(noted: Sequence[Pushed], update: RefUpdate) -> Pushed | None:
    return next((push for push in noted if push.tells_of(update)), None)


def _deploying(app: App, updates: Sequence[RefUpdate]) -> Iterator[RefUpdate]:
    """Yield the updates that would change what a chain shows, or by which ref."""
    for source in read_sources(app, order(updates)):
        if not isinstance(judge(app, source, Push(())), Accept | Refuse):
            yield source.update


def _acting_as(app: App, push: Pushed) -> App:
    """Return the app as whoever made a push has it: with their rights, and our lock."""
    around = replace(app.surroundings, keys=push.keys)
    other = type(app)(app.layout, around, push.person, push.key)
    other.turn = app.turn
    return other


def _settled(app: App, updates: Sequence[RefUpdate], report: Report) -> list[str]:
    """Deploy some updates, with the rights of whoever acts; return what came of it."""
    if not updates:
        return []
    done, acceptance = [], Afterwards(app.repository)
    for verdict in settle(app, Push(tuple(updates)), acceptance, report):
        done.append(f"{verdict.update.short} had moved unseen: {verdict.word}")
        if verdict.word == "refused" and _by_the_rules(app, verdict.update):
            leave_as_it_is(app.ledger, app.by, verdict.update, verdict.reason)
    return done


def _by_the_rules(app: App, update: RefUpdate) -> bool:
    """Return whether a refusal is about the ref itself, not about this moment."""
    event = app.ledger.deployments.latest_of(update.ref)
    return event is not None and event.action == "refuse" and not app.ledger.freeze
