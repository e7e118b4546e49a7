"""`gitdeploy release`: what is staged goes to prod."""

from pathlib import Path

import click

from gitdeploy.cli.acting import progress, show_outcome
from gitdeploy.cli.options import (
    acting,
    app_argument,
    held,
    json_option,
    root_option,
    wait_option,
)

__all__ = ["command"]


@click.command()
@app_argument()
@root_option
@wait_option
@json_option
def command(*, app: str, root: Path, wait_s: float, as_json: bool) -> None:
    """Put the staged release itself at the head of prod.

    Nothing is built again: it is the directory that dev shows; unless dev and prod
    have shared state of their own ([shared] scope = "chain").
    """
    from gitdeploy.deploy.roll import release_staged

    with acting(root, app) as opened_app:
        with held(opened_app, "release", wait_s):
            outcome = release_staged(opened_app, progress())
        show_outcome(opened_app, outcome, as_json=as_json)
