"""`gitdeploy history`: every deployment there was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from gitdeploy.cli.inputs import Number
from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import moment, ref, show_json, show_line, table
from gitdeploy.deploy.look import Shape, history
from gitdeploy.model import ACCEPTED
from gitdeploy.system.terminal import fit, human_time

__all__ = ["command"]

_SHOWN: Final = 20
_REF: Final = 24
_DONE: Final = {"stage": "staged", "release": "released", "redeploy": "redeployed"}
_SAID: Final = ("maintenance on", "maintenance off")


@click.command()
@app_argument()
@click.option(
    "--limit",
    type=Number(),
    default=_SHOWN,
    show_default=True,
    metavar="N",
    help="How many of the latest; 0 for all.",
)
@root_option
@json_option
def command(*, app: str, limit: int, root: Path, as_json: bool) -> None:
    """Show who deployed what, when, and what came of it.

    The latest comes first; refused pushes are among them.
    """
    with opened(root, app) as opened_app:
        shape = history(opened_app, limit)
    if as_json:
        show_json(shape)
    elif not shape["deployments"]:
        show_line(f"nothing was ever deployed to {app}")
    else:
        _show(shape["deployments"])


def _show(events: Sequence[Shape]) -> None:
    table(
        ["when (UTC)", "what", "ref", "release", "by", "took"],
        [_row(event) for event in events],
        right=["took"],
        notes=[_note(event) for event in events],
    )


def _row(event: Shape) -> list[str]:
    seconds = event["seconds"]
    return [
        moment(event["started"]),
        _what(event),
        fit(ref(event["ref"]), _REF),
        _releases(event),
        event["by"],
        "" if seconds is None else human_time(seconds),
    ]


def _what(event: Shape) -> str:
    verdict, chain = event["verdict"], event["chain"] or ""
    if verdict == "accepted" and event["action"] in _SAID:
        return str(event["action"])
    if verdict == "deployed" and event["action"] in _DONE:
        return _DONE[event["action"]]
    return f"{verdict or event['action']} {chain}".rstrip()


def _note(event: Shape) -> str:
    signed = f"signed by {event['signer']}" if event["signer"] else ""
    return "; ".join(filter(None, [_why_not(event), signed]))


def _why_not(event: Shape) -> str:
    if event["verdict"] is None:
        return "running, or interrupted"
    shown_s = event["public_seconds"]
    went_well = event["verdict"] in ACCEPTED and shown_s is None
    why = "" if went_well else event["reason"] or ""
    return f"{why}; was public for {human_time(shown_s)}" if shown_s else why


def _releases(event: Shape) -> str:
    now, was = event["number"], event["from_number"]
    if now is None:
        return ""
    return f"{was} > {now}" if was and was != now else f"{now}"
