"""`gitdeploy lock`: pushes are refused until somebody unlocks."""

from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, opened, root_option
from gitdeploy.cli.screen import fields
from gitdeploy.model import Freeze
from gitdeploy.system import clock
from gitdeploy.system.terminal import printable

__all__ = ["command"]


@click.command()
@app_argument()
@click.option("--reason", default="no reason given", help="What the pusher reads.")
@root_option
def command(*, app: str, reason: str, root: Path) -> None:
    """Refuse pushes, with a reason, until `unlock`.

    A push that runs already ends as it would have; the verbs on the server, such
    as rollback, still work.
    """
    with opened(root, app) as opened_app:
        one_line = printable(" ".join(reason.split()))
        freeze = Freeze(one_line, opened_app.by, clock.now())
        opened_app.ledger.set_freeze(freeze)
    fields([("locked", f"{app}: {one_line}"), ("end with", f"gitdeploy unlock {app}")])
