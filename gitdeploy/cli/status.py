"""`gitdeploy status`: what is live now, and what stands in the way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import ago, fields, ref, short, show_json, show_line, table
from gitdeploy.deploy.app import set_up_apps
from gitdeploy.deploy.bounding import bounds_words
from gitdeploy.deploy.look import Shape, status
from gitdeploy.model import CHAINS
from gitdeploy.system.terminal import fit

__all__ = ["command"]

_REF: Final = 20


@click.command()
@app_argument(required=False)
@root_option
@json_option
def command(*, app: str | None, root: Path, as_json: bool) -> None:
    """Show what is live, and what stands in the way.

    Without APP: every app of the root.
    """
    shapes = [_seen(root, name) for name in ([app] if app else set_up_apps(root))]
    if as_json:
        show_json(shapes[0] if app else {"apps": shapes})
        return
    if not shapes:
        show_line(f"{root} has no app yet")
    for n, shape in enumerate(shapes):
        if n:
            show_line()
        _show(shape)


def _seen(root: Path, name: str) -> Shape:
    with opened(root, name) as app:
        return status(app)


def _show(shape: Shape) -> None:
    places = list(_places(shape))
    table(
        ["served as", "link", "release", "ref", "commit", "since"],
        [_row(served_as, place) if place else None for served_as, place in places],
        notes=[_outside(place) if place else "" for _, place in places],
    )
    if lines := list(_lines(shape)):
        show_line()
        fields(lines)


def _places(shape: Shape) -> Iterator[tuple[str, Shape | None]]:
    """Yield every position with the name it is served as; None between chains."""
    prod = "" if shape["maintenance"] else shape["app"]
    heads = {"prod": prod, "dev": f"{shape['app']}-staging"}
    for chain in reversed(CHAINS):
        if chain != CHAINS[-1]:
            yield "", None
        for place in shape["chains"][chain]:
            yield heads[chain] if place["position"] == 1 else "", place


def _row(served_as: str, place: Shape) -> list[str]:
    if place["release"] is None:
        return [served_as, place["link"], "-"]
    return [
        served_as,
        place["link"],
        str(place["number"]),
        fit(ref(place["ref"]), _REF),
        short(place["commit"]),
        ago(place["since"]),
    ]


def _outside(place: Shape) -> str:
    """Return the path of a directory that is not ours."""
    return "" if place["commit"] else place["path"] or ""


def _lines(shape: Shape) -> Iterator[tuple[str, str]]:
    """Yield what a person should know besides."""
    yield from (("missing", sentence) for sentence in shape["missing"])
    yield from (("trouble", sentence) for sentence in shape["trouble"])
    if shape["trouble"]:
        yield "mend with", f"gitdeploy doctor {shape['app']} --fix"
    yield from _closed(shape)
    if running := shape["running"]:
        since = ago(running["since"])
        yield "running", f"{running['what']} by {running['by']}, begun {since}"
    else:
        yield from _pending(shape)
    for one in shape["queue"]:
        yield "waiting", f"{one['what']} by {one['by']}, since {ago(one['since'])}"
    yield from (("watched", _watched(watch)) for watch in shape["watched"])
    yield from (("behind", sentence) for sentence in shape["behind"])
    yield "steps", _steps(shape["steps"])
    if bounds := bounds_words(shape["steps"]["bounds"]):
        yield "bounds", bounds


def _steps(steps: Shape) -> str:
    """Return what holds the commands of deploy.toml."""
    network = "" if steps["network"] else ", without network"
    return {
        "bubblewrap": f"confined by bubblewrap{network}",
        "kernel": f"gain no privileges, not confined: {steps['why']}",
        "nothing": f"not confined: {steps['why']}",
        "refused": f"are not run: {steps['why']}",
    }[steps["confined_by"]]


def _watched(watch: Shape) -> str:
    what = f"release {watch['release']} on {watch['chain']}"
    until = f"until {watch['until'][11:16]} UTC"
    return (
        f"{what} {until}" if watch["alive"] else f"{what}: not, but was to be {until}"
    )


def _closed(shape: Shape) -> Iterator[tuple[str, str]]:
    """Yield what a person closed: to visitors, to pushers."""
    if page := shape["maintenance"]:
        on = f"on, by {page['by']} {ago(page['since'])}: {page['message']}"
        yield "maintenance", on
    if lock := shape["locked"]:
        until = f", until {lock['until']}" if lock["until"] else ""
        what = f"{lock['chain']} " if lock["chain"] else ""
        since = f"{what}by {lock['by']} {ago(lock['since'])}{until}"
        yield "locked", f"{since}: {lock['reason']}"


def _pending(shape: Shape) -> Iterator[tuple[str, str]]:
    for event in shape["unfinished"]:
        what = f"{event['action']} of {ref(event['ref']) or event['chain']}"
        yield "pending", f"{what} was interrupted {ago(event['started'])}"
    for update in shape["missed"]:
        where = short(update["new"]) if update["new"].strip("0") else "nothing"
        yield "pending", f"{ref(update['ref'])} moved to {where} without us"
    if shape["pending"]:
        yield "mend with", f"gitdeploy repair {shape['app']}"
