"""What is live made to work: the commands after the flip, then its health.

And before a roll back the commands that undo them, in what is being left.
"""

from collections.abc import Callable
from itertools import zip_longest
from typing import Final

from msgspec.structs import replace

from gitdeploy.chain import Chain
from gitdeploy.config import Activation, Health
from gitdeploy.deploy.app import App
from gitdeploy.deploy.asking import Asking
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.flip import shows_a_page
from gitdeploy.deploy.lending import lending
from gitdeploy.deploy.placed import wanted_of
from gitdeploy.deploy.quota import QuotaWatch
from gitdeploy.deploy.release_log import log_open
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.still_wanted import check_not_cancelled, heard_meanwhile
from gitdeploy.deploy.trial_time import TrialTime
from gitdeploy.deploy.workplace import workplace
from gitdeploy.errors import (
    Cancelled,
    GitdeployError,
    ReleaseFailed,
    StepFailed,
    Unhealthy,
)
from gitdeploy.model import Release
from gitdeploy.probe import Heard, why_not_asked
from gitdeploy.steps import Mask, Workplace, run_step
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.disk import blamed

__all__ = ["activate", "deactivate"]

_MORE_S: Final = 1.0
"""Than all commands may take: so it is told which of them ran out of its own time."""


def activate(
    app: App,
    release: Release,
    wanted: Wanted,
    report: Report,
    time: TrialTime,
    *,
    is_new: bool,
) -> None:
    """Run the `[[activate]]` commands of what is live, its services, ask its health.

    Args:
        app: The app.
        release: The head of the chain, which the links show.
        wanted: What it was made of, and the chain.
        report: Tells the pusher.
        time: How long its parts have run already.
        is_new: Whether it was not live before; what was, goes on without its health
            where server.toml does not let that be asked any more.

    Raises:
        StepFailed: A command did not succeed; the later ones did not run.
        ReleaseFailed: A service did not get ready, or a command took too much of the
            disk.
        Unhealthy: It does not answer as it should.
        Cancelled: Somebody did not want to wait for it any more.
    """
    config, chain = wanted.config, wanted.chain
    with log_open(app, release, report), heard_meanwhile(app):
        check = _looking(app)
        place = workplace(app, release, wanted, report, stage="activate", check=check)
        _run_commands(app, wanted, place, report, time)
        if is_new and config.activate_for(chain):  # nothing hinders a roll back
            _check_links(app, release, wanted)
        if config.services_for(chain):  # what they need is there by now
            from gitdeploy.deploy.services import restart_services

            with lending(app, trial=chain):
                restart_services(app, wanted, report, running=time.begun("services"))
        health, reach = config.health_for(chain), app.server.reach
        if health and shows_a_page(app, chain):
            report.line("health", "not asked: maintenance is on")
        elif health and not is_new and (why := why_not_asked(health.url, reach)[0]):
            report.line("health", f"not asked: {why}")
        elif health:
            _see_healthy(app, health, place.mask, report, time)


def _run_commands(
    app: App,
    wanted: Wanted,
    place: Workplace,
    report: Report,
    time: TrialTime,
) -> None:
    """Run the `[[activate]]` commands where the public link leads."""
    config, chain = wanted.config, wanted.chain
    steps = config.activate_for(chain)
    if not steps:
        return
    public = app.public.target / app.public.name(chain, 1)
    each_in_time_s = sum(config.limit_s(step) for step in steps) + _MORE_S
    all_s = min(place.bounds.time_s, each_in_time_s)
    place = replace(
        place,
        directory=public,
        environment={**place.environment, "PWD": str(public)},
        bounds=replace(place.bounds, time_s=all_s),
        running=time.begun("commands"),
    )
    for step in steps:
        place.check()
        with lending(app, trial=chain):
            _run(step, place, config.limit_s(step), report)


def _check_links(app: App, release: Release, wanted: Wanted) -> None:
    from gitdeploy.deploy.release_links import check_links

    check_links(app, app.directory(release), wanted.config, wanted.chain)


def _looking(app: App) -> Callable[[], None]:
    """Return what ends commands around the flip: who cancels, and a full quota."""
    quota = QuotaWatch(app, over_already=True)

    def look() -> None:
        check_not_cancelled(app)
        quota.look()

    return look


def deactivate(
    app: App, before: Chain, after: Chain, report: Report, *, force: bool
) -> None:
    """Run the `[[deactivate]]` commands of the releases that a roll back leaves.

    Args:
        app: The app.
        before: The chain as it is.
        after: The chain as it shall be, shorter.
        report: Tells the pusher.
        force: Whether to go on where one fails.

    Raises:
        ReleaseFailed: A command did not succeed; the later ones did not run.
    """
    left = before.entries[: len(before.entries) - len(after.entries)]
    for entry, behind in zip_longest(left, before.entries[1 : len(left) + 1]):
        assert entry is not None
        release = app.ledger.releases.get(entry.release)
        previous = app.ledger.releases.get(behind.release) if behind else None
        try:
            if wanted := wanted_of(app, before.name, entry):
                _deactivate(app, release, previous, wanted, report)
        except Cancelled:
            raise
        except Exception as error:
            no = foreseen(error)
            if not force:
                raise _as_failure(no) from error
            report.line("forced", f"although {blamed(no)}")


def _as_failure(error: GitdeployError | OSError) -> ReleaseFailed:
    if isinstance(error, ReleaseFailed):
        return error
    return ReleaseFailed(blamed(error), hint=getattr(error, "hint", ""))


def _deactivate(
    app: App,
    release: Release,
    previous: Release | None,
    wanted: Wanted,
    report: Report,
) -> None:
    """Run what a release undoes; the previous one is that behind it on the chain."""
    config = wanted.config
    steps = config.deactivate_for(wanted.chain)
    if steps:
        with log_open(app, release, report):
            check = _looking(app)
            place = workplace(
                app, release, wanted, report, stage="deactivate", check=check
            )
            behind = str(app.directory(previous)) if previous else ""
            known = {**place.environment, "GITDEPLOY_PREVIOUS_DIR": behind}
            place = replace(place, environment=known)
            for step in steps:
                check()
                with lending(app, trial=wanted.chain):
                    _run(step, place, config.limit_s(step), report)


def _run(step: Activation, place: Workplace, limit_s: float, report: Report) -> None:
    report.begin(step.title, step.title if step.name is None else "")
    try:
        seconds = run_step(step, place, timeout_s=limit_s)
    except StepFailed as error:
        raise StepFailed(
            f"{place.environment['GITDEPLOY_STAGE']} {step.title}",
            error.outcome,
            hint=error.hint,
        ) from error
    report.end(seconds)


def _see_healthy(
    app: App, health: Health, mask: Mask, report: Report, time: TrialTime
) -> None:
    watch = Stopwatch()
    heard = _heard(app, health, time)
    if not heard.right:
        raise Unhealthy(f"health: {health.url}: {mask(heard.words)}")
    report.line("health", f"{health.url}  {heard.words}", watch.seconds)


def _heard(app: App, health: Health, time: TrialTime) -> Heard:
    """Ask until it is healthy, and hear meanwhile who cancels or wants to go first.

    Raises:
        Cancelled: Somebody did not want to wait for it any more.
    """
    asking = Asking(health, time.begun("health"), app.server.reach)
    with lending(app, trial=time.chain):
        return asking.followed(lambda: check_not_cancelled(app))
