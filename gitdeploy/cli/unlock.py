"""`gitdeploy unlock`: pushes deploy again."""

from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, opened, root_option
from gitdeploy.cli.screen import ago, fields

__all__ = ["command"]


@click.command()
@app_argument()
@root_option
def command(*, app: str, root: Path) -> None:
    """Let pushes deploy again after `lock`."""
    with opened(root, app) as opened_app:
        freeze = opened_app.ledger.freeze
        opened_app.ledger.set_freeze(None)
    if freeze is None:
        fields([("unlocked", f"{app} was not locked")])
    else:
        was = f"locked by {freeze.by} {ago(freeze.since)}: {freeze.reason}"
        fields([("unlocked", app), ("was", was)])
