"""The old names and arguments of deployment helper; the same engine behind them.

    depl-help-setup    APP [DIR]
    depl-help-deploy   APP BUILD dev|prod [DIR]
    depl-help-release  APP [DIR]
    depl-help-rollback APP dev|prod [DIR]

DIR, else DEPLOYMENT_HELPER_TARGET, is the directory of the links.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from gitdeploy.cli.acting import progress, show_outcome
from gitdeploy.cli.invoking import invoked
from gitdeploy.cli.options import (
    app_argument,
    chain_argument,
    chosen_chain,
    default_root,
    held,
    opened,
)
from gitdeploy.cli.screen import fields
from gitdeploy.deploy.app import App, set_up_apps
from gitdeploy.door import acting_name, guarded, surroundings
from gitdeploy.errors import UsageError

__all__ = ["deploy", "release", "rollback", "setup"]

F = TypeVar("F", bound=Callable[..., Any])

_WAIT_S: Final = 30.0
_DIRECTORY: Final = click.Path(file_okay=False, resolve_path=True, path_type=Path)


def setup() -> int:
    """Run depl-help-setup."""
    return guarded(lambda: invoked(_setup, "depl-help-setup"))


def deploy() -> int:
    """Run depl-help-deploy."""
    return guarded(lambda: invoked(_deploy, "depl-help-deploy"))


def release() -> int:
    """Run depl-help-release."""
    return guarded(lambda: invoked(_release, "depl-help-release"))


def rollback() -> int:
    """Run depl-help-rollback."""
    return guarded(lambda: invoked(_rollback, "depl-help-rollback"))


def _target_argument(verb: F) -> F:
    return click.argument(
        "target",
        required=False,
        metavar="[DIR]",
        type=_DIRECTORY,
        envvar="DEPLOYMENT_HELPER_TARGET",
    )(verb)


@click.command()
@app_argument()
@_target_argument
def _setup(app: str, target: Path | None) -> None:
    """Make the links of an app: APP, APP-staging, and three for each chain."""
    from gitdeploy.deploy.setup import set_up

    root, environ = default_root(), os.environ
    if app in set_up_apps(root):
        with opened(root, app) as known:
            _check_target(known, target)
    done = set_up(
        root,
        app,
        surroundings(environ),
        acting_name(environ),
        target=target,
        links=None,
        gate=None,
    )
    with done.app:
        word = "is set up" if done.changes else "was set up, and all is right"
        fields([(app, f"{word} in {done.app.public.target}")])


@click.command()
@app_argument()
@click.argument("build", type=click.Path(path_type=Path))
@chain_argument(required=True)
@_target_argument
def _deploy(app: str, build: Path, chain: str, target: Path | None) -> None:
    """Link a directory at the head of a chain."""
    from gitdeploy.deploy.roll import deploy_directory

    with _at_work(app, target, f"deploy {chain}") as known:
        path = build.expanduser().resolve()
        outcome = deploy_directory(known, path, chosen_chain(chain), progress())
        show_outcome(known, outcome, as_json=False)


@click.command()
@app_argument()
@_target_argument
def _release(app: str, target: Path | None) -> None:
    """Put what is at the head of dev at the head of prod."""
    from gitdeploy.deploy.roll import release_staged

    with _at_work(app, target, "release") as known:
        show_outcome(known, release_staged(known, progress()), as_json=False)


@click.command()
@app_argument()
@chain_argument(required=True)
@_target_argument
def _rollback(app: str, chain: str, target: Path | None) -> None:
    """Go back to the build before, on dev or prod."""
    from gitdeploy.deploy.roll import roll_back

    with _at_work(app, target, f"rollback {chain}") as known:
        outcome = roll_back(known, chosen_chain(chain), progress())
        show_outcome(known, outcome, as_json=False)


@contextmanager
def _at_work(name: str, target: Path | None, what: str) -> Iterator[App]:
    """Hold an app with its lock, having looked that it is the one meant."""
    with opened(default_root(), name) as app:
        _check_target(app, target)
        with held(app, what, _WAIT_S):
            yield app


def _check_target(app: App, target: Path | None) -> None:
    """Say nothing if the app's links are where the caller thinks.

    Raises:
        UsageError: They are elsewhere; moving them is for `gitdeploy setup`.
    """
    has = app.public.target
    if target is not None and target != has.resolve():
        raise UsageError(
            f"{app.name} has its links in {has}, not in {target}",
            hint=f"gitdeploy setup {app.name} --target {target}  moves them",
        )
