"""What the installed bubblewrap (bwrap(1)) can do, asked once in each process."""

from functools import cache
from typing import Final

from gitdeploy.system import process
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import BARE

__all__ = ["knows"]

_PATIENCE_S: Final = 5.0


def knows(option: str) -> bool:
    """Return whether bubblewrap has an option, by what it says of itself.

    Raises:
        SystemFailed: It cannot be run.
    """
    return option.encode() in _said().split()


@cache
def _said() -> bytes:
    return process.run([program("bwrap"), "--help"], env=BARE, timeout_s=_PATIENCE_S)
