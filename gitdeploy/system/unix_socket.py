"""A connection to a unix socket that lies where others may write."""

import errno
import os
import socket
import stat
from pathlib import Path

from gitdeploy.system import files
from gitdeploy.system.below import open_beneath

__all__ = ["NotASocket", "connected_unix"]


class NotASocket(OSError):
    """What has the name of a socket is something else, such as a link to one."""


def connected_unix(
    directory: Path, name: str, timeout_s: float
) -> socket.socket | None:
    """Return a connection to a socket in a directory; None: nothing has this name.

    What is connected to is what was looked at, whatever has the name by then.

    Args:
        directory: Itself no link.
        name: Of the socket in it.
        timeout_s: For connecting, and for each read and write afterwards.

    Raises:
        NotASocket: It is a link or a file.
        OSError: Nobody listens.

    Source:
        unix(7); connect(2) follows the link of proc(5) to what was opened.
    """
    try:
        with files.open_directory(directory) as above:
            fd = open_beneath(above, name, os.O_PATH)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise NotASocket(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), name)
        return _connected(f"/proc/self/fd/{fd}", timeout_s)
    finally:
        os.close(fd)


def _connected(path: str, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection
