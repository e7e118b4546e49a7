"""Whether there is something to tell; a process that tells it, begun."""

from gitdeploy.deploy.app import App
from gitdeploy.system import clock

__all__ = ["is_told", "notify_in_background", "told_up_to"]

_TOLD = "notified"
_LATEST = 100


def is_told(app: App) -> bool:
    """Return whether all was told that is to be; cheap where nobody is to be told."""
    if not app.server.notify.is_on:
        return True
    latest = app.ledger.deployments.history(1)
    return not latest or latest[0].id <= told_up_to(app)


def told_up_to(app: App) -> int:
    """Return the id of the last event that was told.

    Before anything was: the last that began before somebody wrote who is to be told.
    """
    if said := app.ledger.setting(_TOLD):
        return int(said)
    written_s = clock.age_s(app.layout.server_toml.stat().st_mtime)
    latest = app.ledger.deployments.history(_LATEST)
    before = (e.id for e in latest if clock.seconds_since(e.started) > written_s + 1)
    return next(before, max(latest[-1].id - 1, 0) if latest else 0)


def notify_in_background(app: App) -> None:
    """Tell what is to be told, in a process that nobody waits for.

    Args:
        app: The app, its ledger closed.
    """
    from gitdeploy.deploy.notices import deliver
    from gitdeploy.system.background import go_on_in_background

    go_on_in_background(lambda: deliver(app), directory=app.layout.home)
