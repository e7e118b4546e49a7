"""`gitdeploy releases`: what can be live."""

from collections.abc import Sequence
from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import ago, short, show_json, show_line, table
from gitdeploy.deploy.look import Shape, releases
from gitdeploy.system.terminal import count, human_bytes

__all__ = ["command"]


@click.command()
@app_argument()
@click.option("--all", "every", is_flag=True, help="Show pruned ones, too.")
@root_option
@json_option
def command(*, app: str, every: bool, root: Path, as_json: bool) -> None:
    """Show the releases and which links show them.

    The newest comes first. With --json pruned ones are among them.
    """
    with opened(root, app) as opened_app:
        shape = releases(opened_app)
    if as_json:
        show_json(shape)
        return
    shown = [r for r in shape["releases"] if every or r["state"] != "pruned"]
    if not shown:
        show_line(f"{app} has no release yet")
    else:
        _show(shown, hidden=len(shape["releases"]) - len(shown))


def _show(shown: Sequence[Shape], *, hidden: int) -> None:
    table(
        ["", "commit", "state", "on", "made", "files", "size", "note"],
        [_row(release) for release in shown],
        right=["", "files", "size"],
        folded="note",
    )
    if hidden:
        show_line()
        show_line(f"{count(hidden, 'pruned release')} not shown; --all shows them")


def _row(release: Shape) -> list[str]:
    files, size = release["files"], release["size_bytes"]
    return [
        str(release["number"]),
        short(release["commit"]),
        "bad" if release["bad_why"] else release["state"],
        " ".join(release["on"]),
        ago(release["created"]),
        "" if files is None else f"{files:,}",
        "" if size is None else human_bytes(size),
        _note(release),
    ]


def _note(release: Shape) -> str:
    notes = ["pinned"] if release["pinned"] else []
    if release["failed_why"]:
        notes.append(release["failed_why"])
    if release["bad_why"]:
        notes.append(f"{ago(release['bad_at'])}: {release['bad_why']}")
    elif release["left_why"] and not release["on"] and release["state"] == "ready":
        notes.append(f"left {ago(release['left_at'])}: {release['left_why']}")
    if release["commit"] is None and release["path"]:
        notes.append(release["path"])
    return "; ".join(notes)
