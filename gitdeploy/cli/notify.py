"""`gitdeploy notify`: who is told what became of deployments; a test of it."""

from collections.abc import Iterator
from pathlib import Path

import click

from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import fields, show_json
from gitdeploy.deploy.app import App
from gitdeploy.deploy.look import Shape
from gitdeploy.errors import SystemFailed, UsageError

__all__ = ["command"]


@click.command()
@app_argument()
@click.option("--test", is_flag=True, help="Tell everybody something, now.")
@root_option
@json_option
def command(*, app: str, test: bool, root: Path, as_json: bool) -> None:
    """Show or test who is told what became of deployments.

    Who is told stands in the app's server.toml, under [notify].
    """
    with opened(root, app) as opened_app:
        shape = _tested(opened_app) if test else _configured(opened_app)
    if as_json:
        show_json(shape)
    else:
        fields(_lines(shape))
    failed = [one["name"] for one in shape["channels"] if one.get("why")]
    if failed:
        raise SystemFailed(f"{', '.join(failed)} could not be told")


def _configured(app: App) -> Shape:
    from gitdeploy.channels import channels_of
    from gitdeploy.deploy.notices import to_be_told

    notify = app.server.notify
    return {
        "app": app.name,
        "channels": [{"name": channel.name} for channel in channels_of(notify)],
        "on": list(notify.on),
        "chains": list(notify.chains),
        "waiting": len(to_be_told(app)) if notify.is_on else 0,
    }


def _tested(app: App) -> Shape:
    from gitdeploy.channels import channels_of
    from gitdeploy.deploy.notices import test_notice, told

    if not app.server.notify.is_on:
        raise UsageError(
            f"nobody is to be told what becomes of {app.name}",
            hint=f"write  [notify] urls = [...]  into {app.layout.server_toml}",
        )
    notify, notice = app.server.notify, test_notice(app)
    names = [one.name for one in channels_of(notify)]
    app.ledger.close()
    failed = dict(told(notify, notice, tries=1))
    said = [(name, failed.get(name, "")) for name in names]
    return {
        "app": app.name,
        "channels": [{"name": name, "ok": not why, "why": why} for name, why in said],
    }


def _lines(shape: Shape) -> Iterator[tuple[str, str]]:
    if not shape["channels"]:
        yield "told", "nobody"
    for channel in shape["channels"]:
        tried = "why" in channel
        outcome = f": {channel['why'] or 'told'}" if tried else ""
        yield "channel", f"{channel['name']}{outcome}"
    if "on" in shape and shape["channels"]:
        yield "told of", f"{', '.join(shape['on'])}, on {' and '.join(shape['chains'])}"
    if shape.get("waiting"):
        yield "waiting", f"{shape['waiting']} to be told"
