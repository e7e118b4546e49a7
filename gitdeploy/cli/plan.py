"""`gitdeploy plan`: what a push would come to."""

from collections.abc import Iterator
from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import fields, ref, short, show_json
from gitdeploy.deploy.look import Shape, plan
from gitdeploy.system.terminal import count, human_bytes

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
        shape = plan(opened_app, ref_or_commit)
    if as_json:
        show_json(shape)
    else:
        fields(_lines(shape))


def _lines(shape: Shape) -> Iterator[tuple[str, str]]:
    yield ref(shape["ref"]) or "commit", f"{short(shape['commit'])}: {shape['would']}"
    if shape["hint"]:
        yield "hint", shape["hint"]
    if shape["trouble"]:
        yield "would fail", shape["trouble"]
    if shape["files"] is not None:
        size = human_bytes(shape["size_bytes"])
        yield "checkout", f"{count(shape['files'], 'file')}, {size}"
    if shape["changes"]:
        differs = (f"{number:,} {word}" for word, number in shape["changes"].items())
        yield "of these", f"{', '.join(differs)} since what is live"
    for step in shape["steps"]:
        yield "step", step
    for name in shape["prune"]:
        yield "prune", name
