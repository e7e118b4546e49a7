"""Whether a deployment is wanted still: nobody cancelled it, somebody waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.errors import Cancelled
from gitdeploy.system.process import looking_meanwhile
from gitdeploy.system.signals import asked_to_stop

__all__ = ["check_not_cancelled", "check_still_wanted", "heard_meanwhile"]


def check_still_wanted(app: App, config: Config, report: Report) -> None:
    """Say nothing as long as a deployment shall go on; cheap, to be asked often.

    Changes: lends the lock where it may be lent (`lending`).

    Raises:
        Cancelled: Somebody cancelled it; or the pusher left, where deploy.toml says
            that this is the end of it.
    """
    if app.turn:
        app.turn.look()
        if asked_to_stop():
            app.turn.stop("a signal")
        if by := app.turn.cancelled_by:
            raise Cancelled(f"cancelled by {by}")
    if config.build.on_disconnect == "cancel" and report.pusher_left:
        raise Cancelled("cancelled: the pusher left")


def check_not_cancelled(app: App) -> None:
    """Say nothing as long as nobody cancels what is shown already, and tried out.

    What is asked for by a signal comes too late: the server may be shutting down, and
    the next one goes on. Whoever cancels is heard once: what is done about it then can
    be cancelled, too.

    Changes: as `check_still_wanted`.

    Raises:
        Cancelled: Somebody cancelled it.
    """
    if app.turn:
        app.turn.look()
        if by := app.turn.heard_cancel():
            raise Cancelled(f"cancelled by {by}")


@contextmanager
def heard_meanwhile(app: App) -> Iterator[None]:
    """Let `check_not_cancelled` end programs of our own that the body waits for."""
    with looking_meanwhile(lambda: check_not_cancelled(app)):
        yield
