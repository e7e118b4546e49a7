"""What is done after a push that nobody waits for: old releases go, git packs."""

import os
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.prune import may_prune, prune
from gitdeploy.deploy.report import Report
from gitdeploy.errors import GitdeployError, LockHeld
from gitdeploy.system.disk import blamed

__all__ = ["is_due", "tidy_up"]

# git's own estimate: one of 256 directories counted (git-gc(1), gc.auto).
_MANY_LOOSE_IN_ONE: Final = 8
# A larger push adds a pack of its own, of two or three files (gc.autoPackLimit).
_MANY_PACK_FILES: Final = 150


def is_due(app: App) -> bool:
    """Return whether there may be something to tidy up; cheap, never wrongly no."""
    return may_prune(app) or _should_pack(app)


def tidy_up(app: App, report: Report) -> None:
    """Prune and pack if there is reason to; a failure is a warning, no more.

    Somebody who works on the app meanwhile will prune afterwards.
    """
    try:
        if may_prune(app):
            from gitdeploy.deploy.recover import locked

            with locked(app, "prune", wait_s=0, tell=lambda _: None):
                prune(app, keep=None, dry_run=False)
        if _should_pack(app):
            app.repository.maintain()
    except LockHeld:
        pass  # whoever holds it tidies up
    except (GitdeployError, OSError) as error:
        report.line("warning", f"tidying up after the push failed: {blamed(error)}")


def _should_pack(app: App) -> bool:
    loose, packs = _count(app, "17"), _count(app, "pack")
    return loose > _MANY_LOOSE_IN_ONE or packs > _MANY_PACK_FILES


def _count(app: App, objects: str) -> int:
    try:
        return len(os.listdir(app.layout.repository / "objects" / objects))
    except FileNotFoundError:
        return 0
