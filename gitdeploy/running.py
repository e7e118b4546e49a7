"""Which releases a running process works in."""

import os
from pathlib import Path

from gitdeploy.system import processes

__all__ = ["names_in_use"]


def names_in_use(releases: Path) -> set[str]:
    """Return the names of the directories in `releases` that a process uses.

    Used means: its working directory, its root, its program, or an open or mapped
    file lies there. Processes of other users are seen only by root.
    """
    prefix = f"{os.path.realpath(releases)}/"
    return {
        path.removeprefix(prefix).split("/")[0]
        for process in processes.running()
        for path in process.paths(prefix)
    }
