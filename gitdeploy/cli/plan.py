"""`gitdeploy plan`: what a push would come to."""

from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import fields, show_json
from gitdeploy.deploy.plan import lines, plan_of_ref

__all__ = ["command"]


@click.command()
@app_argument()
@click.argument("ref_or_commit", metavar="REF")
@root_option
@json_option
def command(*, app: str, ref_or_commit: str, root: Path, as_json: bool) -> None:
    """Say what a push of a branch, tag or commit would do.

    REF is one that the app has already. Before a push, `git push -o plan server
    main` tells the same.
    """
    with opened(root, app) as opened_app:
        shape = plan_of_ref(opened_app, ref_or_commit)
    if as_json:
        show_json(shape)
    else:
        fields(lines(shape))
