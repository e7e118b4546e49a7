"""Where and as what the commands of a release run: their stated environment."""

from collections.abc import Callable
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.report import Report
from gitdeploy.model import Release
from gitdeploy.steps import Mask, Workplace

__all__ = ["environment_of", "mask_of", "workplace"]


def workplace(
    app: App,
    release: Release,
    wanted: Wanted,
    report: Report,
    *,
    stage: str = "build",
    check: Callable[[], None] = lambda: None,
) -> Workplace:
    """Return what the commands of a release have in common.

    Args:
        app: The app.
        release: The release, whose files are there.
        wanted: What it is made of, and for which chain.
        report: Tells the pusher; its log is open.
        stage: What they run for: build, check, activate or deactivate.
        check: What ends a command that nobody wants any more.
    """
    assert report.log is not None
    environment = {
        **environment_of(app, release, wanted),
        "GITDEPLOY_STAGE": stage,  # by which leftovers of a crash are known
    }
    return Workplace(
        app.directory(release),
        environment,
        report.log,
        report.output,
        mask_of(Path(environment["GITDEPLOY_SHARED_DIR"])),
        check,
    )


def environment_of(app: App, release: Release, wanted: Wanted) -> dict[str, str]:
    """Return the variables that the commands of a release see."""
    shown = app.ledger.chains.first(wanted.chain, 2)
    others = [entry.release for entry in shown if entry.release != release.number]
    before = app.ledger.releases.get(others[0]) if others else None
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


def mask_of(shared: Path) -> Mask:
    """Return what hides the values of the shared .env in what steps print."""
    env_file = shared / ".env"
    if not env_file.is_file():
        return Mask()
    from gitdeploy.envfile import values

    lines = env_file.read_text("utf-8", "surrogateescape").splitlines()
    encoded = (line.partition("=")[2].strip("'\" \t") for line in lines)
    return Mask([*values(env_file).values(), *encoded])
