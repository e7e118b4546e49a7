"""`gitdeploy lock`: pushes are refused until somebody unlocks."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from gitdeploy.cli.options import app_argument, chosen_chain, opened, root_option
from gitdeploy.cli.screen import fields
from gitdeploy.errors import UsageError
from gitdeploy.model import CHAINS, Freeze
from gitdeploy.system import clock
from gitdeploy.system.terminal import printable

__all__ = ["command"]

_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}


@click.command()
@app_argument()
@click.option("--reason", default="no reason given", help="What the pusher reads.")
@click.option("--chain", type=click.Choice(CHAINS), help="Only this one.")
@click.option(
    "--until",
    metavar="TIME",
    help="When it ends by itself: 90m, 2h, 3d, or 2026-12-24T18:00Z.",
)
@root_option
def command(
    *, app: str, reason: str, chain: str | None, until: str | None, root: Path
) -> None:
    """Refuse pushes, with a reason, until `unlock` or --until.

    A push that runs already ends as it would have; the verbs on the server, such
    as rollback, still work. A later lock replaces an earlier one. Whoever has the
    right to override pushes all the same with  git push -o override.
    """
    end = _moment(until) if until else None
    with opened(root, app) as opened_app:
        one_line = printable(" ".join(reason.split()))
        of = chosen_chain(chain) if chain else None
        freeze = Freeze(one_line, opened_app.by, clock.now(), of, end)
        opened_app.ledger.set_freeze(freeze)
    rows = [("locked", f"{app}{f' {chain}' if chain else ''}: {one_line}")]
    rows += [("until", end)] if end else []
    fields([*rows, ("end with", f"gitdeploy unlock {app}")])


def _moment(text: str) -> str:
    """Return a time to come: so much from now, or a moment with its offset."""
    if found := re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text):
        return clock.later(int(found[1]) * _SECONDS[found[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"--until: should be as 90m, 2h, 3d, or 2026-12-24T18:00Z, got {text!r}"
        )
    if moment <= datetime.now(UTC):
        raise UsageError(f"--until: should be a time to come, got {text!r}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
