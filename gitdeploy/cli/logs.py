"""`gitdeploy logs`: what a release's steps printed."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click

from gitdeploy.cli.finding import release_named
from gitdeploy.cli.options import app_argument, completed_releases, opened, root_option
from gitdeploy.deploy.app import App
from gitdeploy.errors import UsageError
from gitdeploy.model import Release
from gitdeploy.system.terminal import printable

__all__ = ["command"]

_LOOK_AGAIN_S = 0.2


@click.command()
@app_argument()
@click.argument("release", required=False, shell_complete=completed_releases)
@click.option("-f", "--follow", is_flag=True, help="Go on while it is being prepared.")
@root_option
def command(*, app: str, release: str | None, follow: bool, root: Path) -> None:
    """Show what a release printed while it was prepared.

    Without RELEASE, a number or a name: the newest.
    """
    with opened(root, app) as opened_app:
        found = release_named(opened_app, release) if release else _newest(opened_app)
        path = opened_app.layout.log(found.name)
        if not path.exists():
            raise UsageError(f"release {found.number} has no log ({found.state})")
        with path.open(encoding="utf-8", errors="backslashreplace") as log:
            _print(log)
            if follow:
                _follow(log, lambda: _preparing(opened_app, found))


def _newest(app: App) -> Release:
    newest = app.ledger.releases.newest(1)
    if not newest:
        raise UsageError(f"{app.name} has no release yet, so there is no log")
    return newest[0]


def _preparing(app: App, release: Release) -> bool:
    return app.ledger.releases.get(release.number).state == "preparing"


def _follow(log: IO[str], still: Callable[[], bool]) -> None:
    """Print what comes, until nothing comes any more; the end is not missed."""
    going = True
    while going:
        time.sleep(_LOOK_AGAIN_S)
        going = still()
        _print(log)


def _print(log: IO[str]) -> None:
    for line in log:
        end = "\n" if line.endswith("\n") else ""
        sys.stdout.write(f"{printable(line.removesuffix(chr(10)))}{end}")
    sys.stdout.flush()
