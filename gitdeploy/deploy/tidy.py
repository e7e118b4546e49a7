"""What is done after a push that nobody waits for: old releases go, git packs."""

import os
from contextlib import suppress
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.prune import (
    mark_pruned,
    may_prune,
    remove_all_pruned,
    to_prune,
)
from gitdeploy.errors import GitdeployError, LockHeld
from gitdeploy.system import files, flock

__all__ = ["is_due", "tidy_in_background"]

# git's own estimate: one of 256 directories counted (git-gc(1), gc.auto).
_MANY_LOOSE_IN_ONE: Final = 8
# Each push adds a pack of its own, of two or three files (gc.autoPackLimit).
_MANY_PACK_FILES: Final = 150


def is_due(app: App) -> bool:
    """Return whether there may be something to tidy up; cheap.

    A ledger that cannot be asked is told of elsewhere.
    """
    with suppress(GitdeployError, OSError):
        return may_prune(app) or _should_pack(app)
    return False


def tidy_in_background(app: App) -> None:
    """Prune and pack in a process of its own; the pusher waits for none of it.

    From before this returns until it is done `layout.tidying` is held locked: to wait
    for it, lock that (`flock ROOT/APP/tidying true`). The app's lock is held only
    while the ledger changes, so that no push has to wait for directories to go.

    What it cannot do is left to the next push; `doctor` tells of what stays.

    Args:
        app: The app, its ledger closed.
    """
    from gitdeploy.system.background import go_on_in_background

    again = App(app.layout, app.surroundings, app.by, app.key)
    with suppress(OSError):
        fd = files.open_to_hold(app.layout.tidying)
        try:
            flock.try_to_hold(fd)
            go_on_in_background(
                lambda: _tidy_up(again, fd), directory=app.layout.home, keeps=fd
            )
        finally:
            os.close(fd)


def _tidy_up(app: App, fd: int) -> None:
    flock.hold(fd)  # after whoever is at it
    with app:
        with suppress(LockHeld):  # whoever holds it tidies up afterwards
            _mark(app)
        remove_all_pruned(app)
        if _should_pack(app):
            app.repository.maintain()


def _mark(app: App) -> None:
    from gitdeploy.deploy.recover import locked

    if may_prune(app):
        with locked(app, "prune", wait_s=0, tell=lambda _: None):
            mark_pruned(app, to_prune(app, None))


def _should_pack(app: App) -> bool:
    loose, packs = _count(app, "17"), _count(app, "pack")
    return loose > _MANY_LOOSE_IN_ONE or packs > _MANY_PACK_FILES


def _count(app: App, objects: str) -> int:
    try:
        return len(os.listdir(app.layout.repository / "objects" / objects))
    except FileNotFoundError:
        return 0
