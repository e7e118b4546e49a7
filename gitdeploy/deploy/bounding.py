"""Which bounds hold an app's commands here, and what holds them.

A cgroup counts all processes of a command at once, and all their memory; the kernel's
limits hold one process, or all of a user; the rest is looked at while commands run.
"""

import os
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from gitdeploy.deploy.app import App
from gitdeploy.steps import held_by_group
from gitdeploy.system.terminal import human_bytes, human_time

__all__ = ["bounds_shape", "bounds_words"]

_Holder: TypeAlias = Literal["cgroup", "kernel", "look"]

_WORDS: Final = {
    "cgroup": "by a cgroup",
    "kernel": "by the kernel",
    "look": "looked at",
}
_NAMES: Final = {
    "processes": "processes",
    "memory_bytes": "of memory",
    "cpu_time": "of processor time",
    "tmp_bytes": "in /tmp",
    "disk_bytes": "of the disk",
    "disk_files": "files",
}


def bounds_shape(app: App, *, boxed: bool) -> dict[str, Any]:
    """Return each bound of a command and of the app by its key in [limits].

    Each has its `limit`, None where there is none, and by what it is `held`: `cgroup`,
    `kernel`, or `look` (twice a second; the disk more seldom); None: by nothing.

    Args:
        app: The app.
        boxed: Whether bubblewrap confines its commands.
    """
    limits, together = app.server.limits, held_by_group()
    counted = os.geteuid() != 0  # of root the kernel counts no processes
    alone: _Holder = "kernel" if counted else "look"
    found: dict[str, tuple[float | None, _Holder | None]] = {
        "processes": (limits.processes, "cgroup" if "pids" in together else alone),
        "memory_bytes": (
            limits.memory_bytes,
            "cgroup" if "memory" in together else "look",
        ),
        "cpu_time": (limits.cpu_time_s, "look"),
        "tmp_bytes": (limits.tmp_bytes, "look" if boxed else None),
        "disk_bytes": (limits.disk_bytes, "look"),
        "disk_files": (limits.disk_files, "look"),
    }
    return {key: {"limit": limit, "held": by} for key, (limit, by) in found.items()}


def bounds_words(shape: Mapping[str, Any]) -> str:
    """Return what `bounds_shape` returned as people read it; without what is open."""
    return "; ".join(
        f"{_amount(key, one['limit'])} {_NAMES[key]}, {_WORDS[one['held']]}"
        for key, one in shape.items()
        if one["limit"] is not None and one["held"]
    )


def _amount(key: str, limit: float) -> str:
    if key.endswith("_bytes"):
        return human_bytes(limit)
    return human_time(limit) if key.endswith("_time") else f"{limit:,}"
