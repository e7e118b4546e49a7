"""What sshd says of its configuration, the whole of it as it is on the disk now."""

from pathlib import Path
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.system import files, process
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import Environment

__all__ = ["complaint", "for_root", "make_room"]

_ANSWERS_WITHIN_S: Final = 30.0
_ROOM: Final = Path("/run/sshd")
_FOR_ROOT: Final = ("-T", "-C", "user=root,host=localhost,addr=127.0.0.1")


def make_room() -> None:
    """Make the directory that sshd confines itself to, and does not even test without.

    Every start of it makes the same one, and every boot takes it away.
    """
    files.make_directory(_ROOM, files.FOR_ALL_TO_VISIT)


def complaint(env: Environment) -> str:
    """Return what sshd finds wrong; empty: nothing, or there is no room to ask it."""
    if not _ROOM.is_dir():
        return ""
    try:
        process.run([program("sshd"), "-t"], env=env, timeout_s=_ANSWERS_WITHIN_S)
    except process.CommandFailed as error:
        return error.stderr.splitlines()[0] if error.stderr else error.message
    except SystemFailed as error:
        return error.message
    return ""


def for_root(env: Environment) -> bytes:
    """Return all that holds when root logs in.

    Raises:
        SystemFailed: sshd does not understand its configuration.
    """
    return process.run(
        [program("sshd"), *_FOR_ROOT], env=env, timeout_s=_ANSWERS_WITHIN_S
    )
