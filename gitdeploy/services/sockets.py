"""The unix sockets of services: which are ours, and the removal of those alone.

A supervisor removes whatever has the name of the socket that it is to make, so what has
it is looked at before.
"""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from gitdeploy.errors import SystemFailed
from gitdeploy.system import files

__all__ = ["Made", "check_free", "made_at", "remove_socket"]

Made: TypeAlias = tuple[int, int]
"""The device and the inode of a socket that a supervisor of ours made."""


def made_at(path: Path) -> Made | None:
    """Return which socket lies at a path; None: no socket does."""
    with suppress(OSError):
        found = os.lstat(path)
        if stat.S_ISSOCK(found.st_mode):
            return found.st_dev, found.st_ino
    return None


def check_free(path: Path, made: Made | None, *, ours: bool) -> None:
    """Say nothing if a supervisor may make a socket at a path.

    Args:
        path: Where; what lies there is removed by the supervisor.
        made: The socket that was made there, as it was recorded; None: none was.
        ours: Whether a dead socket of our user there can only be ours: the place is
            the app's own, or was recorded before it was made.

    Raises:
        SystemFailed: Something is there that we did not make, or another listens.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SystemFailed(f"{path} cannot be looked at: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise SystemFailed(
            f"{path} is there and is no socket, so no service can listen there",
            hint=f"ls -ld {path}  # move it, or listen elsewhere",
        )
    is_made = made == (found.st_dev, found.st_ino)
    if is_made or (ours and found.st_uid == os.geteuid() and _is_dead(path)):
        return
    raise SystemFailed(
        f"{path} is a socket that no service of this app made",
        hint=f"ls -l {path}  # stop what listens there, or listen elsewhere",
    )


def remove_socket(path: Path, made: Made | None) -> bool:
    """Remove a socket that we made, and nothing else; return whether it was there.

    Changes: safe to repeat.
    """
    if made is None:
        return False
    try:
        with files.open_directory(Path(os.path.realpath(path.parent))) as directory:
            found = os.stat(path.name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISSOCK(found.st_mode):
                return False
            if made != (found.st_dev, found.st_ino):
                return False
            os.unlink(path.name, dir_fd=directory)
    except OSError:
        return False
    return True


def _is_dead(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
