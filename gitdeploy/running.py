"""Which releases a running process works in; read from /proc (proc(5))."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["names_in_use"]


def names_in_use(releases: Path) -> set[str]:
    """Return the names of the directories in `releases` that a process uses.

    Used means: its working directory, its root, its program, or an open or mapped
    file lies there. Processes of other users are seen only by root.
    """
    prefix = f"{os.path.realpath(releases)}/"
    return {
        path.removeprefix(prefix).split("/")[0]
        for process in _processes()
        for path in _paths(process)
        if path.startswith(prefix)
    }


def _processes() -> Iterator[Path]:
    for name in os.listdir("/proc"):
        if name.isdecimal():
            yield Path("/proc", name)


def _paths(process: Path) -> Iterator[str]:
    links = [process / "cwd", process / "root", process / "exe"]
    with suppress(OSError):  # another user's, or it has just ended
        links += [process / "fd" / name for name in os.listdir(process / "fd")]
    for link in links:
        with suppress(OSError):
            yield os.readlink(link)
    with suppress(OSError):
        for line in (process / "maps").read_bytes().splitlines():
            if (slash := line.find(b"/")) >= 0:
                yield os.fsdecode(line[slash:])
