"""`gitdeploy logs`: what a release's steps printed."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click

from gitdeploy.cli.finding import release_named
from gitdeploy.cli.options import app_argument, completed_releases, opened, root_option
from gitdeploy.cli.screen import show_line
from gitdeploy.deploy.app import App
from gitdeploy.errors import UsageError
from gitdeploy.lock import holder
from gitdeploy.model import Release
from gitdeploy.system.terminal import printable

__all__ = ["command"]

_LOOK_AGAIN_S = 0.2


@click.command()
@app_argument()
@click.argument("release", required=False, shell_complete=completed_releases)
@click.option("-f", "--follow", is_flag=True, help="Go on until it has its verdict.")
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
                _follow(log, lambda: _under_way(opened_app, found))
                _print_verdict(opened_app, found)


def _newest(app: App) -> Release:
    newest = app.ledger.releases.newest(1)
    if not newest:
        raise UsageError(f"{app.name} has no release yet, so there is no log")
    return newest[0]


def _under_way(app: App, release: Release) -> bool:
    """Return whether a release is being made or shown, by somebody who lives."""
    made = app.ledger.releases.get(release.number).state != "preparing"
    if made and app.ledger.deployments.latest_about(release.number):
        return False
    return holder(app.layout.lock) is not None


def _print_verdict(app: App, release: Release) -> None:
    if event := app.ledger.deployments.latest_about(release.number):
        why = f": {event.reason}" if event.reason else ""
        show_line(f"== {event.verdict}  {event.chain or ''}{why}")


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
