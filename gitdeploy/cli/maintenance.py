"""`gitdeploy maintenance`: visitors see a page, and the site again."""

from pathlib import Path
from typing import Final

import click

from gitdeploy.cli.options import (
    app_argument,
    held,
    json_option,
    opened,
    root_option,
    wait_option,
)
from gitdeploy.cli.screen import ago, fields, show_json
from gitdeploy.deploy.app import App
from gitdeploy.deploy.look import Shape
from gitdeploy.errors import UsageError
from gitdeploy.system.terminal import printable

__all__ = ["command"]

_STATES: Final = ("on", "off")


@click.command()
@app_argument()
@click.argument("state", metavar="[on|off]", required=False, type=click.Choice(_STATES))
@click.option("--message", metavar="TEXT", help="What visitors read.")
@root_option
@wait_option
@json_option
def command(
    *,
    app: str,
    state: str | None,
    message: str | None,
    root: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Show visitors a page instead of prod, and prod again.

    Without on or off: tell which it is. Pushes, releases and roll backs work
    meanwhile; visitors see what came of them after `off`. The web server has to be
    told to answer 503: see docs/maintenance.md.
    """
    from gitdeploy.deploy.maintenance import shape

    if message is not None and state != "on":
        raise UsageError(
            "--message: is for  on  only", hint=f"gitdeploy maintenance {app} on"
        )
    with opened(root, app) as opened_app:
        was = shape(opened_app)
        changed = False
        if state:
            with held(opened_app, f"maintenance {state}", wait_s):
                was = shape(opened_app)
                changed = _turned(opened_app, state, message)
        now = shape(opened_app)
        if as_json:
            show_json(_shape(opened_app, now, changed=changed))
        else:
            fields(_lines(opened_app, was, now, changed=changed))


def _turned(app: App, state: str, message: str | None) -> bool:
    from gitdeploy.deploy.maintenance import turn_off, turn_on

    if state == "off":
        return turn_off(app) is not None
    one_line = None if message is None else printable(" ".join(message.split()))
    return turn_on(app, one_line or None)


def _shape(app: App, now: Shape | None, *, changed: bool) -> Shape:
    link = app.public.target / app.public.head_name("prod")
    return {
        "app": app.name,
        "maintenance": now,
        "changed": changed,
        "link": str(link),
        "path": str(link.resolve()),
    }


def _lines(
    app: App, was: Shape | None, now: Shape | None, *, changed: bool
) -> list[tuple[str, str]]:
    link = app.public.head_name("prod")
    if now:
        since = f", since {ago(now['since'])} by {now['by']}"
        already = "" if changed else since
        return [
            ("maintenance", f"{link} shows a page{already}: {now['message']}"),
            ("end with", f"gitdeploy maintenance {app.name} off"),
        ]
    if was and changed:
        on = f"on since {ago(was['since'])} by {was['by']}: {was['message']}"
        return [("maintenance", f"over, {link} is {_live(app)}"), ("was", on)]
    return [("maintenance", f"off, {link} is {_live(app)}")]


def _live(app: App) -> str:
    head = app.ledger.chains.read("prod").head
    return f"release {head.release}" if head else "empty"
