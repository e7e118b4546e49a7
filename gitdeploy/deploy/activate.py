"""What is live made to work: the commands after the flip, then its health.

And before a roll back the commands that undo them, in what is being left.
"""

from itertools import zip_longest

from msgspec.structs import replace

from gitdeploy.chain import Chain
from gitdeploy.config import Activation, Health
from gitdeploy.config.places import Reach
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.flip import shows_a_page
from gitdeploy.deploy.placed import wanted_of
from gitdeploy.deploy.release_log import log_open
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.workplace import workplace
from gitdeploy.errors import ReleaseFailed, StepFailed, Unhealthy
from gitdeploy.model import Release
from gitdeploy.probe import ask_until_healthy, why_not_asked
from gitdeploy.steps import Mask, Workplace, run_step
from gitdeploy.system.clock import Stopwatch

__all__ = ["activate", "deactivate"]


def activate(
    app: App, release: Release, wanted: Wanted, report: Report, *, is_new: bool
) -> None:
    """Run the `[[activate]]` commands of what is live, its services, ask its health.

    Args:
        app: The app.
        release: The head of the chain, which the links show.
        wanted: What it was made of, and the chain.
        report: Tells the pusher.
        is_new: Whether it was not live before; what was, goes on without its health
            where server.toml does not let that be asked any more.

    Raises:
        StepFailed: A command did not succeed; the later ones did not run.
        ReleaseFailed: A service did not get ready.
        Unhealthy: It does not answer as it should.
    """
    config, chain = wanted.config, wanted.chain
    with log_open(app, release, report):
        place = workplace(app, release, wanted, report, stage="activate")
        public = app.public.target / app.public.name(chain, 1)
        place = replace(
            place,
            directory=public,
            environment={**place.environment, "PWD": str(public)},
        )
        for step in config.activate_for(chain):
            _run(step, place, config.limit_s(step), report)
        if config.services_for(chain):  # what they need is there by now
            from gitdeploy.deploy.services import restart_services

            restart_services(app, wanted, report)
        health, reach = config.health_for(chain), app.server.reach
        if health and shows_a_page(app, chain):
            report.line("health", "not asked: maintenance is on")
        elif health and not is_new and (why := why_not_asked(health.url, reach)[0]):
            report.line("health", f"not asked: {why}")
        elif health:
            _see_healthy(health, place.mask, report, reach)


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
        except ReleaseFailed as error:
            if not force:
                raise
            report.line("forced", f"although {error.message}")


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
            place = workplace(app, release, wanted, report, stage="deactivate")
            behind = str(app.directory(previous)) if previous else ""
            known = {**place.environment, "GITDEPLOY_PREVIOUS_DIR": behind}
            place = replace(place, environment=known)
            for step in steps:
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


def _see_healthy(health: Health, mask: Mask, report: Report, reach: Reach) -> None:
    watch = Stopwatch()
    heard = ask_until_healthy(health, stop=lambda: False, reach=reach)
    if not heard.right:
        raise Unhealthy(f"health: {health.url}: {mask(heard.words)}")
    report.line("health", f"{health.url}  {heard.words}", watch.seconds)
