"""`gitdeploy redeploy`: what is live is built anew."""

from pathlib import Path

import click

from gitdeploy.cli.acting import progress, show_outcome
from gitdeploy.cli.options import (
    acting,
    app_argument,
    chain_argument,
    chosen_chain,
    held,
    json_option,
    root_option,
    wait_option,
)

__all__ = ["command"]


@click.command()
@app_argument()
@chain_argument()
@root_option
@wait_option
@json_option
def command(*, app: str, chain: str, root: Path, wait_s: float, as_json: bool) -> None:
    """Build what is live anew and show the new release.

    Of prod, unless you say dev. For a build that depends on more than its commit: a
    changed .env, a mirror that was down.
    """
    from gitdeploy.deploy.roll import redeploy

    with acting(root, app) as opened_app:
        with held(opened_app, f"redeploy {chain}", wait_s):
            outcome = redeploy(opened_app, chosen_chain(chain), progress())
        show_outcome(opened_app, outcome, as_json=as_json)
