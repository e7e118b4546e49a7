"""Room kept back on the disk, so that going back works when it is full.

A roll back needs little: a few pages of the ledger, a link, a ref. Files that hold
that much, blocks and inodes, lie in `reserve` and are given up when nothing is left.
"""

import os
from contextlib import suppress
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.system import disk, files

__all__ = ["RESERVE_BYTES", "give_up_reserve", "keep_reserve"]

_FILES: Final = 16
_EACH_BYTES: Final = 64 * 1024
RESERVE_BYTES: Final = _FILES * _EACH_BYTES
_PLENTY: Final = 4
"""How many times the reserve must be free before it is taken again."""


def give_up_reserve(app: App) -> None:
    """Remove the reserve if the disk has no room left for a roll back."""
    free_bytes, free_inodes = disk.room(app.layout.home)
    if free_bytes < RESERVE_BYTES or free_inodes < _FILES:
        files.remove_tree(app.layout.reserve)


def keep_reserve(app: App) -> None:
    """Make the reserve where it is missing, and there is plenty of room for it."""
    reserve = app.layout.reserve
    with suppress(OSError):  # next time
        if reserve.is_dir() and len(os.listdir(reserve)) == _FILES:
            return
        free_bytes, free_inodes = disk.room(app.layout.home)
        if free_bytes > _PLENTY * RESERVE_BYTES and free_inodes > _PLENTY * _FILES:
            files.make_directory(reserve)
            for n in range(_FILES):
                files.occupy(reserve / str(n), _EACH_BYTES)
