"""A ledger that is lost or damaged, or that is ahead of the clock."""

from collections.abc import Iterator
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.errors import StateError
from gitdeploy.system import clock
from gitdeploy.system.terminal import human_time

__all__ = ["clock_findings", "findings"]

_MEANS: Final = "nobody who visits; nothing can be pushed, released or rolled back"
# Two machines that share a disk may disagree by as much.
_LATE_S: Final = 60.0


def findings(app: App) -> Iterator[Finding]:
    """Yield what keeps the ledger from being read."""
    try:
        damage = app.ledger.damage()
    except StateError as error:
        lost = "missing" if not app.layout.ledger.exists() else "damaged"
        yield Finding(f"ledger-{lost}", error.message, _MEANS, error.hint)
        return
    if damage:
        what, hint = f"{app.layout.ledger}: {damage[0]}", app.ledger.way_out
        yield Finding("ledger-damaged", what, _MEANS, hint)


def clock_findings(app: App) -> Iterator[Finding]:
    """Yield that something happened in the future, if it did."""
    events = app.ledger.deployments.history(1)
    releases = app.ledger.releases.newest(1)
    times = [*(e.started for e in events), *(r.created for r in releases)]
    newest = max(times, default="")
    if newest and clock.seconds_since(newest) < -_LATE_S:
        late = human_time(-clock.seconds_since(newest))
        yield Finding(
            "clock-set-back",
            f"the ledger's newest event is of {newest}, which is still to come",
            "nobody: order goes by number, so nothing is lost or mixed up;"
            f" times will be right again in {late}, or when the clock is",
            "date --utc",
        )
