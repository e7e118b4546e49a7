"""`gitdeploy repair`: what a crash or a lost ledger left is made right."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import click

from gitdeploy.cli.acting import progress
from gitdeploy.cli.guarding import each_by_itself
from gitdeploy.cli.options import (
    acting,
    app_argument,
    json_option,
    opened,
    root_option,
    tell,
    wait_option,
)
from gitdeploy.cli.screen import fields, show_json
from gitdeploy.deploy.app import App, default_target, set_up_apps
from gitdeploy.errors import StateError, UsageError

__all__ = ["command"]


@click.command()
@app_argument(required=False)
@click.option(
    "--from-links",
    is_flag=True,
    help="Rebuild a lost ledger from what the links and directories tell.",
)
@click.option(
    "--target",
    type=click.Path(file_okay=False, resolve_path=True, path_type=Path),
    envvar="DEPLOYMENT_HELPER_TARGET",
    metavar="DIR",
    help="With --from-links: where the links are; else ROOT/www.",
)
@click.option(
    "--adopt",
    "also",
    type=click.Path(file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    help="With --from-links: a directory elsewhere that `deploy` had linked.",
)
@click.option(
    "--no-deploy",
    "deploys",
    flag_value=False,
    default=True,
    help="Leave refs that moved unseen as they are, and only say so.",
)
@click.option(
    "--deploy",
    "named",
    multiple=True,
    metavar="REF",
    help="Deploy this ref, which moved unseen and which nobody judged.",
)
@root_option
@wait_option
@json_option
def command(  # noqa: PLR0913 - the options of the verb
    *,
    app: str | None,
    from_links: bool,
    target: Path | None,
    also: tuple[Path, ...],
    deploys: bool,
    named: tuple[str, ...],
    root: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Make right what a crash or a lost ledger left.

    Unfinished deployments are ended, the links show the ledger, and refs are deployed
    that a push moved whose right was asked for before it died. Others that moved
    unseen are named: deploy them by --deploy. Without APP: every app of the root,
    whatever becomes of the others. Safe to repeat, and at every start of the machine.
    """
    if from_links and app is None:
        raise UsageError("--from-links needs the name of the app")
    if named and (app is None or from_links or not deploys):
        raise UsageError("--deploy needs the name of the app, and goes alone")
    names = [app] if app else set_up_apps(root)
    done: dict[str, Sequence[str]] = {}
    for name in names if len(names) > 1 else ():
        with suppress(Exception):  # it is told below
            _show_truth(root, name)
    with each_by_itself(alone=app is not None) as guard:
        for name in names:
            with (
                guard(name),
                acting(root, name) as opened_app,
                _locked(opened_app, wait_s),
            ):
                done[name] = (
                    _rebuilt(opened_app, target, also)
                    if from_links
                    else _mended(opened_app, deploys=deploys, named=named)
                )
        _show(done, as_json=as_json)


def _locked(app: App, wait_s: float) -> AbstractContextManager[None]:
    """Hold the lock and mend nothing yet: what is mended is to be told."""
    from gitdeploy.deploy.recover import working_on

    return working_on(app, "repair", wait_s=wait_s, tell=tell)


def _show_truth(root: Path, name: str) -> None:
    """Mend what needs no pusher's choice, so that no app waits for another's."""
    from gitdeploy.deploy.recover import recover

    with opened(root, name) as app, _locked(app, 0):
        recover(app, tries=False)


def _rebuilt(app: App, target: Path | None, also: Sequence[Path]) -> list[str]:
    from gitdeploy.deploy.repair import rebuild_from_links

    place = target or default_target(app.layout.root)
    named = [Path(os.path.abspath(path)) for path in also]
    return rebuild_from_links(app, place, also=named)


def _mended(app: App, *, deploys: bool, named: Sequence[str]) -> list[str]:
    from gitdeploy.deploy.flip import missing
    from gitdeploy.deploy.recover import recover
    from gitdeploy.deploy.repair import repair

    done = [*recover(app), *repair(app, progress(), deploys=deploys, named=named)]
    if app.ledger.deployments.unfinished():
        raise StateError(
            "; ".join(done) or "not finished", hint=f"gitdeploy doctor {app.name}"
        )
    if gone := missing(app):
        raise StateError(
            gone[0], hint=f"gitdeploy redeploy {app.name}, or roll back past it"
        )
    return done


def _show(done: dict[str, Sequence[str]], *, as_json: bool) -> None:
    if as_json:
        apps = [{"app": name, "done": list(said)} for name, said in done.items()]
        show_json({"apps": apps})
        return
    for name, said in done.items():
        fields([(name, text) for text in said or ["nothing to repair"]])
