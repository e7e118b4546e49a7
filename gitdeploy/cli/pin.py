"""`gitdeploy pin`: a release is kept for good."""

from pathlib import Path

import click

from gitdeploy.cli.finding import release_named
from gitdeploy.cli.options import app_argument, completed_releases, opened, root_option
from gitdeploy.cli.screen import fields
from gitdeploy.errors import UsageError

__all__ = ["command"]


@click.command()
@app_argument()
@click.argument("release", shell_complete=completed_releases)
@click.option("--off", is_flag=True, help="Let it be pruned again.")
@root_option
def command(*, app: str, release: str, off: bool, root: Path) -> None:
    """Keep a release from ever being pruned.

    RELEASE is a number or a name.
    """
    with opened(root, app) as opened_app:
        found = release_named(opened_app, release)
        if found.state == "pruned":
            raise UsageError(f"release {found.number} was pruned; it is gone")
        opened_app.ledger.releases.pin(found.number, pinned=not off)
    if off:
        fields([("unpinned", f"release {found.number} may be pruned again")])
    else:
        fields([("pinned", f"release {found.number} is kept until pin --off")])
