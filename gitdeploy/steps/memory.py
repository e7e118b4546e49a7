"""How much memory the processes of a command have, and what lies in none of them.

A file of a tmpfs is memory, and so is what memfd_create(2) makes: neither has to be
mapped by a process. Only looked at; what a cgroup counts is all.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gitdeploy.system.processes import Process

__all__ = ["used_bytes"]

_SHM: Final = "/dev/shm"  # noqa: S108 - looked at
_INODE_BYTES: Final = 1024
"""What the kernel has for each file of a tmpfs, whatever is in it."""


def used_bytes(running: Sequence[Process]) -> int:
    """Return how many bytes of memory processes take together.

    What several of them map counts once, and what is mapped of a file that is memory
    not twice: there may be up to twice as much of such.
    """
    own = sum(process.memory_bytes for process in running)
    mapped = sum(process.mapped_memory_bytes for process in running)
    return own + max(mapped, _in_files(running))


def _in_files(running: Sequence[Process]) -> int:
    """Return what lies in files that are memory: of /dev/shm, and without a name."""
    nameless = dict(one for process in running for one in process.files_of_memory())
    return sum(nameless.values()) + sum(_in_shm(running).values())


def _in_shm(running: Sequence[Process]) -> dict[int, int]:
    """Return what is in each /dev/shm that they see and we do not."""
    found: dict[int, int] = {}
    with suppress(OSError):
        ours = os.stat(_SHM).st_dev
        for process in running:
            place = process.seen(_SHM)
            with suppress(OSError):
                device = os.stat(place).st_dev
                if device not in (ours, *found):
                    there = os.statvfs(place)
                    blocks, files = (
                        there.f_blocks - there.f_bfree,
                        there.f_files - there.f_ffree,
                    )
                    found[device] = blocks * there.f_frsize + files * _INODE_BYTES
    return found
