"""What a flip has shown is tried out; what does not work is withdrawn at once.

Between the flip and the end of the trial the deployment is `changed`, and `condemned`
once it was found not to work: whoever finds it so later goes on from there (`recover`).
"""

from contextlib import suppress

from gitdeploy.chain import Chain
from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.flip import go_back
from gitdeploy.deploy.placed import in_time, wanted_of
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.trial_time import TrialTime
from gitdeploy.errors import Cancelled, GitdeployError, Withdrawn
from gitdeploy.model import ChainName, Watch
from gitdeploy.system import clock
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.disk import blamed

__all__ = ["has_trial", "take_back", "try_out", "withdraw"]


def has_trial(app: App, before: Chain, after: Chain) -> bool:
    """Return whether a flip is tried out by anything that its deploy.toml asks for.

    Raises:
        ReleaseFailed: Its deploy.toml cannot be read any more.
    """
    if after.head is None or _same_head(before, after):
        return False
    wanted = wanted_of(app, after.name, after.head)
    return bool(wanted and _asks_anything(wanted.config, after.name))


def try_out(  # noqa: PLR0913 - an event, its two chains, and who is told
    app: App,
    event: int,
    before: Chain,
    after: Chain,
    report: Report,
    *,
    wanted: Wanted | None = None,
    is_new: bool,
) -> None:
    """Activate what a flip has shown and see whether it is healthy.

    Args:
        app: The app, whose lock is held.
        event: The deployment that showed it.
        before: The chain as it was.
        after: The chain as it is now.
        report: Tells the pusher.
        wanted: What the head was made of; None: to be read.
        is_new: Whether the event brought the head; else it was on the chain before.

    Raises:
        Withdrawn: It does not work; chain and links are what they were before.
    """
    if after.head is None or _same_head(before, after):
        return
    _end_watch(app, after.name)
    if after.head.commit is None:
        _stop_services(app, after.name, None, report)
        return
    watch = Stopwatch()
    try:
        wanted = wanted or wanted_of(app, after.name, after.head)
        if wanted and _asks_anything(wanted.config, after.name):
            wanted = in_time(app, wanted)
            _activate_head(app, event, after, wanted, report, is_new=is_new)
            if is_new:  # going back and forth for ever would help nobody
                _begin_watch(app, after, wanted)
        _stop_services(app, after.name, wanted, report)
    except Exception as error:  # whatever it is, it does not work
        no = foreseen(error)
        cancelled = isinstance(error, Cancelled)
        is_bad = is_new and not cancelled
        why, condemned = blamed(no), after.head.release if is_bad else None
        _tell_going_back(report, before, no)
        with suppress(GitdeployError):  # what can be taken back is, all the same
            app.ledger.condemn(event, why, release=condemned, at=clock.now())
        gone = withdraw(app, event, before, why, report, shown=watch)
        gone.cancelled = cancelled
        raise gone from error


def _tell_going_back(
    report: Report, before: Chain, error: GitdeployError | OSError
) -> None:
    to = f"to release {before.head.release}" if before.head else "to nothing"
    report.line("going back", to)
    if isinstance(error, GitdeployError) and error.hint:
        report.copyable("hint", error.hint)


def withdraw(
    app: App, event: int, before: Chain, why: str, report: Report, *, shown: Stopwatch
) -> Withdrawn:
    """Take back what an event showed and does not work; return what came of it.

    Args:
        app: The app, whose lock is held.
        event: The deployment, which is condemned.
        before: The chain as it was.
        why: What does not work.
        report: Tells the pusher.
        shown: Runs since the release was shown.

    Changes: the chain, the links, `refs/deploy/*`; and whatever the commands change of
        the release that is live again. Safe to repeat.
    """
    if stuck := go_back(app, before):
        why += f"; it is STILL LIVE, as it could not be taken back: {stuck}"
        return Withdrawn(why, unfinished=True)
    with suppress(GitdeployError):
        app.ledger.deployments.withdrawn(event, public_seconds=shown.seconds)
    return Withdrawn(why + _activated_again(app, event, before, report))


def take_back(app: App, event: int, before: Chain, report: Report) -> str:
    """Take back what works, since something else of the same push does not.

    Returns:
        What is to be said of it, where even that failed; else empty.
    """
    if stuck := go_back(app, before):
        return f"; it could not be taken back: {stuck}"
    return _activated_again(app, event, before, report)


def _same_head(before: Chain, after: Chain) -> bool:
    assert after.head is not None
    return before.head is not None and before.head.release == after.head.release


def _asks_anything(config: Config, chain: ChainName) -> bool:
    return bool(
        config.services_for(chain)
        or config.activate_for(chain)
        or config.health_for(chain)
    )


def _activate_head(
    app: App,
    event: int,
    chain: Chain,
    wanted: Wanted,
    report: Report,
    *,
    is_new: bool = False,
) -> None:
    from gitdeploy.deploy.activate import activate

    assert chain.head is not None
    release = app.ledger.releases.get(chain.head.release)
    time = TrialTime(app, chain.name, event, release.number)
    activate(app, release, wanted, report, time, is_new=is_new)
    if release.bad_at:
        app.ledger.releases.absolve(release.number)


def _activated_again(app: App, event: int, before: Chain, report: Report) -> str:
    """Activate what is live again; return what to say of it if that fails too."""
    if before.head is None:
        _stop_services(app, before.name, None, report)
        return ""
    try:
        wanted = wanted_of(app, before.name, before.head)
        if wanted and _asks_anything(wanted.config, before.name):
            _activate_head(app, event, before, wanted, report)
        _stop_services(app, before.name, wanted, report)
    except Exception as error:  # noqa: BLE001 - it is live again all the same
        number, why = before.head.release, blamed(foreseen(error))
        return f"; release {number} is live again, and fails too: {why}"
    return ""


def _stop_services(
    app: App, chain: ChainName, live: Wanted | None, report: Report
) -> None:
    """Stop the services of a chain that what is live does not describe."""
    if app.may_keep_services:
        from gitdeploy.deploy.services import stop_services

        try:
            described = live.config.services_for(chain) if live else ()
            stop_services(app, chain, described, report)
        except Exception as error:  # noqa: BLE001 - `doctor` tells what goes on
            report.line("service", f"not stopped: {blamed(foreseen(error))}")


def _begin_watch(app: App, chain: Chain, wanted: Wanted) -> None:
    health, head = wanted.config.health_for(chain.name), chain.head
    if health and health.watch_s and head:
        until = clock.later(health.watch_s)
        app.ledger.watches.begin(Watch(chain.name, head.release, head.since, until))


def _end_watch(app: App, chain: ChainName) -> None:
    if any(watch.chain == chain for watch in app.ledger.watches.all()):
        app.ledger.watches.end(chain)
