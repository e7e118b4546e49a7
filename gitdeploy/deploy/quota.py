"""How much of the disk an app takes, and that it takes no more than it may.

What counts is all in its directory and repository: releases, what is shared, caches,
logs, and what commands have in /tmp. Nothing is measured where server.toml sets no
quota ([limits] disk_bytes, disk_files).
"""

import sys
from pathlib import Path
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system.scratch import remove_leftovers
from gitdeploy.system.terminal import count, human_bytes
from gitdeploy.system.usage import Usage, UsageWatch, usage

__all__ = ["QuotaWatch", "check_quota"]

_NOTHING: Final = Usage(0, 0)
_SLACK: Final = 10


def check_quota(app: App, *, more: Usage = _NOTHING) -> None:
    """Say nothing if an app takes no more of the disk than it may.

    Args:
        app: The app.
        more: What is about to be written besides.

    Changes: what a crash left of commands' /tmp, if it takes more.

    Raises:
        ReleaseFailed: It takes more, or would.
    """
    if _has_quota(app) and _exceeds(_sum(usage(_places(app)), more), _allowed(app)):
        remove_leftovers(app.layout.tmp)
        used = usage(_places(app))
        if _exceeds(_sum(used, more), _allowed(app)):
            raise _refusal(app, used, more)


class QuotaWatch:
    """Looks while commands run whether the app stays within its quota."""

    def __init__(self, app: App, *, over_already: bool = False) -> None:
        """Begin to watch.

        Args:
            app: The app.
            over_already: Whether it may go on although it takes more than it may, as
                long as that is not a tenth more still: as on the way back.
        """
        self._app = app
        self._over_already = over_already
        self._watch: UsageWatch | None = None

    def look(self) -> None:
        """Say nothing as long as it does; cheap, to be asked often.

        Raises:
            ReleaseFailed: It takes more.
        """
        if not _has_quota(self._app):
            return
        self._watch = self._watch or self._begun()
        found = self._watch.look()
        if found and _exceeds(found, self._watch.allowed):
            raise _refusal(self._app, found, _NOTHING)

    def _begun(self) -> UsageWatch:
        allowed, places = _allowed(self._app), _places(self._app)
        if self._over_already:
            more = Usage(allowed.size_bytes // _SLACK, allowed.files // _SLACK)
            allowed = _larger(allowed, _sum(usage(places), more))
        return UsageWatch(places, allowed)


def _has_quota(app: App) -> bool:
    limits = app.server.limits
    return limits.disk_bytes is not None or limits.disk_files is not None


def _places(app: App) -> list[Path]:
    return [app.layout.home, app.layout.repository]


def _allowed(app: App) -> Usage:
    limits = app.server.limits
    return Usage(limits.disk_bytes or sys.maxsize, limits.disk_files or sys.maxsize)


def _larger(one: Usage, other: Usage) -> Usage:
    return Usage(max(one.size_bytes, other.size_bytes), max(one.files, other.files))


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(one.size_bytes + other.size_bytes, one.files + other.files)


def _exceeds(used: Usage, allowed: Usage) -> bool:
    return used.size_bytes > allowed.size_bytes or used.files > allowed.files


def _refusal(app: App, used: Usage, more: Usage) -> ReleaseFailed:
    allowed = _allowed(app)
    key, has, needs, limit = (
        "disk_bytes",
        *map(human_bytes, (used.size_bytes, more.size_bytes, allowed.size_bytes)),
    )
    if used.size_bytes + more.size_bytes <= allowed.size_bytes:
        key, has, needs, limit = (
            "disk_files",
            *map(_files, (used.files, more.files, allowed.files)),
        )
    would = f" and {needs} more are needed" if more != _NOTHING else ""
    return ReleaseFailed(
        f"{app.name} takes {has} of the disk{would}; the limit is {limit}",
        hint=f"gitdeploy prune {app.name} --keep 0, or  [limits] {key}  in server.toml",
    )


def _files(number: int) -> str:
    return count(number, "file")
