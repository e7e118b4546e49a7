"""Whether a deployment is wanted still: nobody cancelled it, somebody waits for it."""

from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.errors import Cancelled
from gitdeploy.system.signals import asked_to_stop

__all__ = ["check_still_wanted"]


def check_still_wanted(app: App, config: Config, report: Report) -> None:
    """Say nothing as long as a deployment shall go on; cheap, to be asked often.

    Raises:
        Cancelled: Somebody cancelled it; or the pusher left, where deploy.toml says
            that this is the end of it.
    """
    if app.turn and asked_to_stop():
        app.turn.stop("a signal")
    if app.turn and (by := app.turn.cancelled_by):
        raise Cancelled(f"cancelled by {by}")
    if config.build.on_disconnect == "cancel" and report.pusher_left:
        raise Cancelled("cancelled: the pusher left")
