"""`gitdeploy rollforward`: the latest roll back is undone."""

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
    """Undo the latest roll back.

    Of prod, unless you say dev.
    """
    from gitdeploy.deploy.roll import roll_forward

    with acting(root, app) as opened_app:
        with held(opened_app, f"rollforward {chain}", wait_s):
            outcome = roll_forward(opened_app, chosen_chain(chain), progress())
        show_outcome(opened_app, outcome, as_json=as_json)
