"""How much of the disk an app takes, and that it takes no more than it may.

du(1) is asked: it counts a file with several names once. Nothing is measured where
server.toml sets no quota ([limits] disk_bytes).
"""

from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import process
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import BARE
from gitdeploy.system.terminal import human_bytes

__all__ = ["QuotaWatch", "check_quota"]

_SOONEST_S: Final = 3.0
_SPARSE: Final = 20
"""Measuring takes at most the 20th part of the time."""


def check_quota(app: App, *, more_bytes: int = 0) -> None:
    """Say nothing if an app takes no more of the disk than it may.

    Args:
        app: The app.
        more_bytes: What is about to be written besides.

    Raises:
        ReleaseFailed: It takes more, or would.
    """
    limit = app.server.limits.disk_bytes
    if limit is None:
        return
    used = _used_bytes(app)
    if used + more_bytes > limit:
        would = f" and {human_bytes(more_bytes)} more are needed" if more_bytes else ""
        raise ReleaseFailed(
            f"{app.name} takes {human_bytes(used)} of the disk{would}; the limit is"
            f" {human_bytes(limit)}",
            hint=f"gitdeploy prune {app.name} --keep 0, or  [limits] disk_bytes  in"
            " server.toml",
        )


class QuotaWatch:
    """Looks while commands run whether the app stays within its quota."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._since = Stopwatch()
        self._pause_s = _SOONEST_S

    def look(self) -> None:
        """Say nothing as long as it does; cheap, to be asked often.

        Raises:
            ReleaseFailed: It takes more.
        """
        if self._app.server.limits.disk_bytes is None:
            return
        if self._since.seconds < self._pause_s:
            return
        watch = Stopwatch()
        check_quota(self._app)
        self._pause_s = max(_SOONEST_S, watch.seconds * _SPARSE)
        self._since = Stopwatch()


def _used_bytes(app: App) -> int:
    """Return what the app's directory and repository take, in bytes of the disk."""
    places = [str(app.layout.home), str(app.layout.repository)]
    try:
        said = process.run(
            [program("du"), "--summarize", "--total", "--block-size=1", "--", *places],
            env=BARE,
        )
    except process.CommandFailed as error:  # a file went while it was counted
        said = error.stdout
    *_, total = said.decode("utf-8", "replace").splitlines() or [""]
    return int(total.split("\t")[0] or 0)
