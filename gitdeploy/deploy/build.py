"""The build steps of a release: run, or known already; with a stated environment."""

from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.reuse import reuse, step_key
from gitdeploy.deploy.still_wanted import check_still_wanted
from gitdeploy.model import Release
from gitdeploy.steps import Mask, run_step
from gitdeploy.system.terminal import for_humans

__all__ = ["build"]


def build(app: App, release: Release, wanted: Wanted, report: Report) -> None:
    """Run each step in the release, or take its outputs from an earlier one.

    Raises:
        StepFailed: A step did not succeed; the later ones did not run.
        Cancelled: Somebody did not want to wait for it any more.
    """
    steps = wanted.config.build.steps
    if not steps:
        return
    assert report.log is not None
    environment = _environment(app, release, wanted)
    mask = _mask(Path(environment["GITDEPLOY_SHARED_DIR"]))
    for step in steps:
        key = step_key(app, wanted, step)
        if key and not wanted.anew and (donor := reuse(app, key, step, release)):
            report.line(step.title, f"reused from release {donor.number}")
            app.ledger.releases.made(release.number, key)
            continue
        report.begin(step.title, for_humans(step.run) if step.name else "")
        seconds = run_step(
            step,
            directory=app.directory(release),
            environment=environment,
            timeout_s=wanted.config.limit_s(step),
            log=report.log,
            tell=report.output,
            mask=mask,
            check=lambda: check_still_wanted(app, wanted.config, report),
        )
        report.end(seconds)
        if key:
            app.ledger.releases.made(release.number, key)


def _environment(app: App, release: Release, wanted: Wanted) -> dict[str, str]:
    head = app.ledger.chains.read(wanted.chain).head
    before = app.ledger.releases.get(head.release) if head else None
    shared = app.layout.shared_of(wanted.config.shared.scope, wanted.chain)
    return {
        **app.surroundings.environment(),
        **wanted.config.env_for(wanted.chain),
        "GITDEPLOY_APP": app.name,
        "GITDEPLOY_CHAIN": wanted.chain,
        "GITDEPLOY_COMMIT": wanted.commit,
        "GITDEPLOY_REF": wanted.ref,
        "GITDEPLOY_RELEASE": release.name,
        "GITDEPLOY_RELEASE_DIR": str(app.directory(release)),
        "GITDEPLOY_SHARED_DIR": str(shared),
        "GITDEPLOY_PREVIOUS_DIR": str(app.directory(before)) if before else "",
    }


def _mask(shared: Path) -> Mask:
    """Return what hides the values of the shared .env in what steps print."""
    env_file = shared / ".env"
    if not env_file.is_file():
        return Mask()
    from gitdeploy.envfile import values

    lines = env_file.read_text("utf-8", "surrogateescape").splitlines()
    encoded = (line.partition("=")[2].strip("'\" \t") for line in lines)
    return Mask([*values(env_file).values(), *encoded])
