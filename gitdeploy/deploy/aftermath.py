"""What goes on after an action, in processes that nobody waits for."""

from contextlib import suppress
from typing import Final

from msgspec import Struct

from gitdeploy.deploy.app import App
from gitdeploy.deploy.notified import is_told, notify_in_background
from gitdeploy.deploy.tidy import is_due, tidy_in_background
from gitdeploy.deploy.watched import unwatched, watch_in_background
from gitdeploy.errors import GitdeployError
from gitdeploy.model import ChainName

__all__ = ["Aftermath", "begin_aftermath", "due"]

_WAIT_S: Final = 1800.0


class Aftermath(Struct, frozen=True):
    """What is left to do when somebody has their verdict."""

    tidies: bool = False
    """Whether there may be something to tidy up."""
    watches: tuple[ChainName, ...] = ()
    """The chains that are to be watched and that nobody watches."""
    tells: bool = False
    """Whether somebody is to be told what became of a deployment."""
    finishes: bool = False
    """Whether what a crash left is still to be tried out."""


def due(app: App, *, tidies: bool = True) -> Aftermath:
    """Return what is left to do; cheap, and asked while the ledger is open.

    Args:
        app: The app. A ledger that cannot be asked is told of elsewhere.
        tidies: Whether to look for something to tidy up.
    """
    with suppress(GitdeployError, OSError):
        return Aftermath(
            tidies and is_due(app),
            tuple(unwatched(app)),
            not is_told(app),
            app.leaves_trials and bool(app.ledger.deployments.unfinished()),
        )
    return Aftermath()


def begin_aftermath(app: App, aftermath: Aftermath) -> None:
    """Let what is left be done by processes that nobody waits for.

    Args:
        app: The app, its ledger closed.
        aftermath: What is left.
    """
    watch_in_background(app, aftermath.watches)
    if aftermath.finishes:
        _finish_in_background(app)
    if aftermath.tells:
        notify_in_background(app)
    if aftermath.tidies:
        tidy_in_background(app)


def _finish_in_background(app: App) -> None:
    """Let what a crash left be tried out by a process of its own."""
    from gitdeploy.system.background import go_on_in_background

    again = App(app.layout, app.surroundings, app.by, app.key)
    go_on_in_background(lambda: _finish(again), directory=app.layout.home)


def _finish(app: App) -> None:
    from gitdeploy.deploy.recover import locked

    with app, locked(app, "repair", wait_s=_WAIT_S, tell=lambda _: None):
        pass
    begin_aftermath(app, due(app, tidies=False))
