"""`gitdeploy setup`: make an app, or make it whole again."""

import os
import platform
import shlex
from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, root_option
from gitdeploy.cli.screen import fields
from gitdeploy.deploy.app import set_up_apps
from gitdeploy.deploy.setup import SetUp, set_up
from gitdeploy.door import acting_name, surroundings

__all__ = ["command"]

_TARGET = click.Path(file_okay=False, resolve_path=True, path_type=Path)


@click.command()
@app_argument()
@root_option
@click.option(
    "--target",
    type=_TARGET,
    metavar="DIR",
    help="Where the public links are; else DEPLOYMENT_HELPER_TARGET, else ROOT/www.",
)
@click.option("--links", type=int, metavar="N", help="Links for each chain; else 3.")
@click.option(
    "--gate/--no-gate",
    default=None,
    help="Whether a deployment that fails makes the push fail.",
)
def command(
    *, app: str, root: Path, target: Path | None, links: int | None, gate: bool | None
) -> None:
    """Make an app that can be pushed to, or make it whole again.

    Safe to repeat: what is right is not touched.
    """
    is_new = app not in set_up_apps(root)
    if target is None and is_new:
        target = _usual_target()
    done = set_up(
        root,
        app,
        surroundings(os.environ),
        acting_name(os.environ),
        target=target,
        links=links,
        gate=gate,
    )
    with done.app:
        _show(done, is_new=is_new)


def _usual_target() -> Path | None:
    """Return where deployment helper's users have their links, for a new app.

    Never for one that is there: a variable set for another app would move its links.
    """
    usual = os.environ.get("DEPLOYMENT_HELPER_TARGET")
    return Path(usual).expanduser().resolve() if usual else None


def _show(done: SetUp, *, is_new: bool) -> None:
    app, target = done.app, done.app.public.target
    place = f"{app.surroundings.user}@{platform.node()}:{app.layout.repository}"
    changes = done.kept if is_new else done.changes
    word = "is set up" if done.changes else "was set up, and all is right"
    failed = "is refused" if done.gate else "is put back; git does not tell the pusher"
    fields(
        [
            (app.name, word),
            *(("changed", change) for change in changes),
            *(("rights", told) for told in done.told),
            ("serve", f"{target / app.public.head_name('prod')}  (prod)"),
            ("serve", f"{target / app.public.head_name('dev')}  (dev)"),
            ("gate", f"a push whose deployment fails {failed}"),
            ("push", f"git remote add server {shlex.quote(place)}"),
            ("push", "git push server main"),
        ]
    )
