"""Where and as what the commands of a release run: their stated environment."""

from collections.abc import Callable
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.confining import bounds_of, confinement_of
from gitdeploy.deploy.report import Report
from gitdeploy.errors import ReleaseFailed
from gitdeploy.ground import Ground
from gitdeploy.model import Release
from gitdeploy.steps import HideAll, Mask, Place, Workplace

__all__ = ["environment_of", "mask_of", "place_of", "workplace"]


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
    place = place_of(app, release, wanted, app.directory(release), stage=stage)
    return Workplace(
        place.directory,
        place.environment,
        place.confinement,
        place.bounds,
        log=report.log,
        tell=report.output,
        mask=mask_of(app.shared_of(wanted.config.shared.scope, wanted.chain)),
        check=check,
    )


def place_of(
    app: App,
    release: Release,
    wanted: Wanted,
    directory: Path,
    *,
    stage: str,
    looks: bool = False,
) -> Place:
    """Return where the commands of a release run, and what holds them.

    Args:
        app: The app.
        release: The release; it need not be there.
        wanted: What it is made of, and for which chain.
        directory: Where they run.
        stage: What they run for: build, check, activate or deactivate.
        looks: Whether they may write nothing but to that directory.
    """
    # By the stage leftovers of a crash are known.
    ours = {**_ours(app, release, wanted), "GITDEPLOY_STAGE": stage}
    around = app.surroundings.of_commands()
    previous = ours["GITDEPLOY_PREVIOUS_DIR"]
    return Place(
        directory,
        {**around, **wanted.config.env_for(wanted.chain), **ours},
        confinement_of(
            app,
            release=directory,
            shared=app.shared_of(wanted.config.shared.scope, wanted.chain),
            previous=Path(previous) if previous else None,
            links=(app.public.target / app.public.name(wanted.chain, 1),),
            free_environment={**app.surroundings.environment().variables, **ours},
            looks=looks,
        ),
        bounds_of(app),
    )


def environment_of(app: App, release: Release, wanted: Wanted) -> dict[str, str]:
    """Return the variables that the commands of a release see."""
    return {
        **app.surroundings.of_commands(),
        **wanted.config.env_for(wanted.chain),
        **_ours(app, release, wanted),
    }


def _ours(app: App, release: Release, wanted: Wanted) -> dict[str, str]:
    shown = app.ledger.chains.first(wanted.chain, 2)
    others = [entry.release for entry in shown if entry.release != release.number]
    before = app.ledger.releases.get(others[0]) if others else None
    shared = app.shared_of(wanted.config.shared.scope, wanted.chain)
    return {
        "GITDEPLOY_APP": app.name,
        "GITDEPLOY_CHAIN": wanted.chain,
        "GITDEPLOY_COMMIT": wanted.commit,
        "GITDEPLOY_REF": wanted.ref,
        "GITDEPLOY_RELEASE": release.name,
        "GITDEPLOY_RELEASE_DIR": str(app.directory(release)),
        "GITDEPLOY_SHARED_DIR": str(shared),
        "GITDEPLOY_PREVIOUS_DIR": str(app.directory(before)) if before else "",
    }


def mask_of(shared: Ground) -> Mask:
    """Return what hides the values of the shared .env in what commands print.

    All that they print, where nobody can read them: what a command made of the file
    keeps nobody from going back.
    """
    from gitdeploy.shared import ENV, read_env

    try:
        data = read_env(shared / ENV)
    except ReleaseFailed:
        return HideAll()
    if not data:
        return Mask()
    from gitdeploy.envfile import values

    lines = data.decode("utf-8", "surrogateescape").splitlines()
    encoded = (line.partition("=")[2].strip("'\" \t") for line in lines)
    return Mask([*values(data).values(), *encoded])
