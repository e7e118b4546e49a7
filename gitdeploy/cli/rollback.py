"""`gitdeploy rollback`: an earlier release is live again."""

from pathlib import Path

import click

from gitdeploy.cli.acting import progress, show_outcome
from gitdeploy.cli.finding import release_named
from gitdeploy.cli.inputs import Number
from gitdeploy.cli.options import (
    acting,
    app_argument,
    chain_argument,
    chosen_chain,
    completed_releases,
    held,
    json_option,
    root_option,
    wait_option,
)
from gitdeploy.errors import UsageError

__all__ = ["command"]


@click.command()
@app_argument()
@chain_argument()
@click.option(
    "--to",
    metavar="RELEASE",
    shell_complete=completed_releases,
    help="The release to go back to, by number or name.",
)
@click.option(
    "--steps",
    type=Number(1),
    metavar="N",
    help="How many positions to go back; else 1.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Go on although a [[deactivate]] command fails.",
)
@root_option
@wait_option
@json_option
def command(  # noqa: PLR0913 - the words of the verb
    *,
    app: str,
    chain: str,
    to: str | None,
    steps: int | None,
    force: bool,
    root: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Make an earlier release live again.

    Of prod, unless you say dev. The refs stay where they are, and nothing is put
    back by itself. `gitdeploy rollforward` undoes it.
    """
    from gitdeploy.deploy.roll import roll_back

    if to is not None and steps is not None:
        raise UsageError("--to and --steps say the same thing; give one of them")
    name = chosen_chain(chain)
    with acting(root, app) as opened_app:
        with held(opened_app, f"rollback {chain}", wait_s, rolls_back=name):
            release = release_named(opened_app, to) if to else None
            outcome = roll_back(
                opened_app,
                name,
                progress(),
                steps=steps or 1,
                to=release,
                force=force,
            )
        show_outcome(opened_app, outcome, as_json=as_json)
