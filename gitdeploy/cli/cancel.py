"""`gitdeploy cancel`: what runs on an app is stopped, and what was live stays live."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click
from msgspec.structs import asdict

from gitdeploy.cli.inputs import SECONDS
from gitdeploy.cli.options import app_argument, json_option, opened, root_option
from gitdeploy.cli.screen import fields, ref, show_json
from gitdeploy.deploy import wording
from gitdeploy.deploy.app import App
from gitdeploy.errors import LockHeld, SystemFailed
from gitdeploy.lock import Holder, at_work, cancel, interrupt, waiting
from gitdeploy.model import ACCEPTED, Deployment
from gitdeploy.system.clock import Stopwatch

__all__ = ["command"]

_LOOK_AGAIN_S: Final = 0.1
_WAIT_S: Final = 30.0
_MOST: Final = 100
_LOOKS: Final = 10
_READS_NO_NOTE_S: Final = 3.0
"""How long one that reads its notes may take at most, until it is sent a signal."""


@click.command()
@app_argument()
@click.option("--all", "all_", is_flag=True, help="Also those that wait.")
@click.option(
    "--wait",
    "wait_s",
    type=SECONDS,
    default=_WAIT_S,
    metavar="SECONDS",
    help=f"How long to wait for them to end; else {_WAIT_S:.0f}.",
)
@root_option
@json_option
def command(*, app: str, all_: bool, wait_s: float, root: Path, as_json: bool) -> None:
    """Stop what runs on APP, also while what it shows is tried out.

    Its steps and checks are ended, and waits for health. The branch stays where it
    was, and its pusher reads who cancelled it. What is shown already and still tried
    out is taken back; what works by then is finished: roll back instead.
    """
    with opened(root, app) as opened_app:
        unfinished = opened_app.ledger.deployments.unfinished()
        first = min([e.id for e in unfinished], default=_newest_id(opened_app) + 1)
        asked = _known(opened_app, all_=all_)
        for one in asked:
            cancel(opened_app.layout.lock, one, by=opened_app.by)
        _wait_for(opened_app, asked, wait_s)
        latest = opened_app.ledger.deployments.history(_MOST) if asked else []
        live = wording.live(opened_app)
        ended = [
            event
            for event in latest
            if event.id >= first and any(_is_by(event, one) for one in asked)
        ]
    _show(app, asked, ended, live, as_json=as_json)
    if done := [event for event in ended if event.verdict in ACCEPTED]:
        raise SystemFailed(
            f"too late for {ref(done[0].ref) or done[0].action}: {done[0].verdict}",
            hint=f"gitdeploy rollback {app} {done[0].chain or ''}".rstrip(),
        )


def _is_by(event: Deployment, one: Holder) -> bool:
    """Return whether an event is what somebody was at, as far as that can be known."""
    if event.ref:
        return one.wants.get(event.ref) == event.new
    return event.by == one.by and one.what.split()[0] == event.action


def _newest_id(app: App) -> int:
    newest = app.ledger.deployments.history(1)
    return newest[0].id if newest else 0


def _running(app: App, *, all_: bool) -> Iterator[Holder]:
    """Yield those to be stopped; first who waits, or the next would begin."""
    if all_:
        yield from waiting(app.layout.lock)
    yield from at_work(app.layout.lock)


def _known(app: App, *, all_: bool) -> list[Holder]:
    """Return those to be stopped; who has just begun says in a moment who it is."""
    for _ in range(_LOOKS):
        found = list(_running(app, all_=all_))
        if all(one.pid for one in found):
            break
        time.sleep(_LOOK_AGAIN_S)
    return [one for one in found if one.pid]


def _wait_for(app: App, asked: Iterable[Holder], wait_s: float) -> None:
    pids = {one.pid: one for one in asked}
    watch, signalled = Stopwatch(), False
    while left := pids.keys() & {one.pid for one in _running(app, all_=True)}:
        if watch.seconds > _READS_NO_NOTE_S and not signalled:
            signalled = True
            for pid in left:
                interrupt(app.layout.lock, pids[pid])
        if watch.seconds > wait_s:
            raise LockHeld(
                f"process {min(left)} was asked to stop and still runs",
                hint=f"gitdeploy status {app.name}",
            )
        time.sleep(_LOOK_AGAIN_S)


def _show(
    app: str,
    asked: Sequence[Holder],
    ended: Sequence[Deployment],
    live: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        show_json(
            {
                "app": app,
                "asked": [asdict(one) for one in asked],
                "ended": [
                    {"id": e.id, "ref": e.ref, "verdict": e.verdict} for e in ended
                ],
            }
        )
        return
    lines: list[tuple[str, str]] = [
        (event.verdict or "running", f"{event.action} of {ref(event.ref)}, {event.by}")
        for event in reversed(ended)
    ]
    if not asked:
        lines = [("idle", f"nothing runs on {app}")]
    fields(lines or [("ended", one.what) for one in asked])
    if asked:
        fields([("live", live)])
