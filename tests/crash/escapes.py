"""What changes the disk below a root and is no point of `failpoints`: there is nothing.

Both look at the same deed: strace from outside, `failpoints` from inside.
"""

import os
import re

from crash.activities import Activity
from crash.failpoints import points_of
from crash.strace import calls_of
from crash.watching import Point
from crash.world import World

__all__ = ["escaped", "strays"]

# What the points call a system call.
_NAMES = {
    **dict.fromkeys(("openat", "open", "creat"), "open"),
    **dict.fromkeys(("mkdir", "mkdirat"), "os.mkdir"),
    **dict.fromkeys(("rename", "renameat", "renameat2"), "os.rename"),
    **dict.fromkeys(("symlink", "symlinkat"), "os.symlink"),
    **dict.fromkeys(("link", "linkat"), "os.link"),
    **dict.fromkeys(("unlink", "unlinkat"), "os.remove"),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat"), "os.chmod"),
    **dict.fromkeys(("chown", "fchown", "fchownat"), "os.chown"),
    **dict.fromkeys(("ftruncate", "truncate"), "os.truncate"),
    "rmdir": "os.remove",
    "utimensat": "os.utime",
    "os.rmdir": "os.remove",  # unlinkat(2) may be either
    "pwrite64": "pwrite",
    "fallocate": "posix_fallocate",
}
# The content of a file that shutil copies, whose opening is a point; what SQLite alone
# calls; and syncfs, which is one point for all of its file systems.
_OTHERS = ("sendfile", "copy_file_range", "fdatasync", "syncfs")
_FILES = (
    "system/below.py",
    "system/files.py",
    "system/removal.py",
    "system/copying.py",
)
_ROOM = {
    "start": ("system/process.py",),
    "ledger": ("ledger/",),
    "committed": ("ledger/",),
}


def escaped(activity: Activity, outside: World, inside: World) -> list[str]:
    """Return the calls that strace saw and no point came before; SQLite's are its own.

    Args:
        activity: What is done to both worlds.
        outside: Where strace looks.
        inside: Where the points are recorded.
    """
    seen = {
        (_NAMES.get(call.name, call.name), _same(call.path, outside))
        for call in calls_of(activity.deed, outside, "self")
        if call.name not in _OTHERS
    }
    known = {
        (_NAMES.get(point.name, point.name), _same(point.path, inside))
        for point in points_of(activity.deed, inside)
        if point.path.startswith(f"{inside.root}/")
    }
    return sorted(
        f"{name} {path}"
        for name, path in seen - known
        if not path.startswith("shop/ledger.db")
    )


def strays(points: list[Point]) -> list[str]:
    """Return the points whose call is not in the one module where it belongs."""
    return sorted(
        {
            f"{point.name} in {point.caller}"
            for point in points
            if point.name
            != "syncfs"  # which is a function of that module, watched whole
            and not any(room in point.caller for room in _ROOM.get(point.name, _FILES))
        }
    )


def _same(path: str, world: World) -> str:
    """Return a path as it is in every world, whenever and by whom it was made there."""
    relative = re.sub(r"\d{8}T\d{6}Z", "TIME", os.path.relpath(path, world.root))
    return re.sub(r"gitdeploy-\d+-\d+", "gitdeploy-PID", relative)
