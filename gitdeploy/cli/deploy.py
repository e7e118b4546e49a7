"""`gitdeploy deploy`: link any directory."""

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

_BUILD = click.Path(file_okay=False, exists=True, resolve_path=True, path_type=Path)


@click.command()
@app_argument()
@click.argument("path", type=_BUILD)
@chain_argument(required=True)
@root_option
@wait_option
@json_option
def command(
    *, app: str, path: Path, chain: str, root: Path, wait_s: float, as_json: bool
) -> None:
    """Put any directory at the head of a chain, without git.

    The directory is linked where it is, never changed and never pruned.
    """
    from gitdeploy.deploy.roll import deploy_directory

    with acting(root, app) as opened_app:
        with held(opened_app, f"deploy {chain}", wait_s):
            outcome = deploy_directory(
                opened_app, path, chosen_chain(chain), progress()
            )
        show_outcome(opened_app, outcome, as_json=as_json)
