"""`gitdeploy prune`: old releases are removed."""

from collections.abc import Sequence
from pathlib import Path

import click

from gitdeploy.cli.inputs import Number
from gitdeploy.cli.options import (
    app_argument,
    held,
    json_option,
    opened,
    root_option,
    wait_option,
)
from gitdeploy.cli.screen import fields, show_json
from gitdeploy.model import Release
from gitdeploy.system.terminal import count

__all__ = ["command"]


@click.command()
@app_argument()
@click.option(
    "--keep",
    type=Number(),
    metavar="N",
    help="How many to keep besides those on a link; else as deploy.toml says.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@root_option
@wait_option
@json_option
def command(
    *,
    app: str,
    keep: int | None,
    dry_run: bool,
    root: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Remove releases that nobody needs.

    Never one that a link shows, that is pinned, or that a process uses.
    """
    from gitdeploy.deploy.prune import prune

    with opened(root, app) as opened_app, held(opened_app, "prune", wait_s):
        gone = prune(opened_app, keep=keep, dry_run=dry_run)
    if as_json:
        names = [release.name for release in gone]
        show_json({"app": app, "removed": names, "dry_run": dry_run})
    else:
        _show(gone, "would remove" if dry_run else "removed")


def _show(gone: Sequence[Release], word: str) -> None:
    names = [(word, f"{release.name}  ({release.state})") for release in gone]
    fields(names or [("pruned", f"{count(0, 'release')}: nothing is to be removed")])
