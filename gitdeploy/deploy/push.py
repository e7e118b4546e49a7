"""One push from start to end.

`receive` takes the updates of a push through facts (`facts`), decision (`judge`),
preparation, acceptance, flip and verdict (`flow`).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from gitdeploy.decide import Decision, order
from gitdeploy.deploy import wording
from gitdeploy.deploy.acceptance import Acceptance
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import Source, read_source, read_sources
from gitdeploy.deploy.flow import Flow
from gitdeploy.deploy.judge import OPTIONS, Push, judge, refused_together
from gitdeploy.deploy.recover import locked, unheard
from gitdeploy.deploy.report import Report
from gitdeploy.errors import GitdeployError, UsageError
from gitdeploy.model import Verdict
from gitdeploy.system import clock

__all__ = ["OPTIONS", "Push", "plan_ref", "receive", "settle"]

_WAIT_S: Final = 1800.0
_MOST_OPTION_BYTES: Final = 64 * 1024


def receive(
    app: App,
    push: Push,
    acceptance: Acceptance,
    report: Report,
    *,
    then: Callable[[Sequence[Verdict]], None] = lambda _: None,
) -> list[Verdict]:
    """Take a push through to a verdict for each of its refs, in the push's order.

    Args:
        app: The app pushed to.
        push: What is asked for.
        acceptance: How refs move, before us or after us.
        report: Tells the pusher.
        then: What else is done with the lock held, when the verdicts stand.

    Raises:
        LockHeld: Another action on the app did not end in time.
    """
    names = ", ".join(update.short for update in push.updates[:3])
    with locked(
        app,
        f"push of {names}",
        wait_s=_WAIT_S,
        tell=report.waiting,
        wants={} if push.only_plans else {u.ref: u.new for u in push.updates},
        report=report,
    ):
        verdicts = settle(app, push, acceptance, report)
        with suppress(GitdeployError, OSError):  # the verdicts stand
            _tell_what_was_missed(app, report)
        with suppress(GitdeployError, OSError):
            then(verdicts)
        return verdicts


def settle(
    app: App, push: Push, acceptance: Acceptance, report: Report
) -> list[Verdict]:
    """Do what `receive` does, with the lock held already."""
    app.look_again()  # it may have waited for the lock
    limit = app.server.limits.refs
    if len(push.updates) > limit:
        no = f"{len(push.updates)} refs in one push; the limit is {limit}"
        return _refuse_all(app, push, report, no)
    if sum(len(os.fsencode(option)) for option in push.options) > _MOST_OPTION_BYTES:
        return _refuse_all(app, push, report, "push options of more than 64 KiB")
    push = replace(push, updates=tuple(acceptance.catch_up(push.updates)))
    sources = read_sources(app, order(push.updates))
    refused = refused_together(app, sources, push)
    flow = Flow(app, acceptance, report, push)
    verdicts = {
        verdict.update: verdict
        for group in _groups(sources, atomic=push.atomic)
        for verdict in flow.settle(group, refused)
    }
    return [verdicts[update] for update in push.updates]


def plan_ref(app: App, words: str) -> tuple[Source, Decision]:
    """Return what pushing a ref of the app's repository again would mean.

    Args:
        app: The app.
        words: A branch, tag or commit id that the repository has.

    Raises:
        UsageError: The repository has no such thing.
    """
    update = app.repository.find(words)
    if update is None:
        raise UsageError(f"{app.name}.git has no branch, tag or commit {words!r}")
    source = read_source(app, update.ref, update.new)
    return source, judge(app, source, Push((update,)))


def _refuse_all(app: App, push: Push, report: Report, reason: str) -> list[Verdict]:
    """Refuse a push for its size alone, without a look at any of its refs."""
    event = app.ledger.deployments.begin(
        "refuse", by=app.by, key=app.key, started=clock.now()
    )
    app.ledger.deployments.end(event.id, "refused", reason=reason)
    report.line("refused", reason)
    return [Verdict(update, "refused", reason) for update in push.updates]


def _tell_what_was_missed(app: App, report: Report) -> None:
    """Tell which refs moved without a deployment.

    Without the gate a ref moves before its push is heard: git may be about to tell.
    """
    found = unheard(app)
    if found and (app.ledger.setting("gate") != "no" or not app.repository.receives()):
        wording.unseen(app, report, found)


def _groups(sources: Sequence[Source], *, atomic: bool) -> Iterator[Sequence[Source]]:
    """Yield what succeeds or fails together: one ref at a time, or all of them."""
    if atomic:
        yield sources
    else:
        yield from ([source] for source in sources)
