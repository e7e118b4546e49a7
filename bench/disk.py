"""What a directory costs its disk: bytes written to the device, bytes held."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import BenchError, run

SECTOR_BYTES = 512
"""Of /sys/block/*/stat, whatever the device's own sectors are.
Source: the kernel's Documentation/block/stat.rst."""


@dataclass(frozen=True)
class Disk:
    """The block device below a directory; None where there is none to ask."""

    statistics: Path | None

    def written_bytes(self) -> int | None:
        """Return how much the device was given to write since it came up.

        Journal and metadata are in it, discards are not. So is what other
        programs of this machine write meanwhile.
        """
        if self.statistics is None:
            return None
        return int(self.statistics.read_text().split()[6]) * SECTOR_BYTES


def disk_below(directory: Path, env: Mapping[str, str]) -> Disk:
    """Return the block device of a directory's file system."""
    number = os.stat(directory).st_dev
    if os.major(number) == 0:  # btrfs numbers its volumes; tmpfs has no device
        number = _named_device(directory, env)
    found = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    return Disk(found if found.exists() else None)


def held_bytes(directory: Path) -> int:
    """Return the disk space that all below a directory holds, each inode once."""
    seen = {}
    for here, folders, files in os.walk(directory):
        for name in (*folders, *files):
            stat = os.lstat(os.path.join(here, name))
            seen[stat.st_dev, stat.st_ino] = stat.st_blocks * SECTOR_BYTES
    return sum(seen.values())


def file_system(directory: Path, env: Mapping[str, str]) -> str:
    """Return kind and mount options of a directory's file system."""
    found = run(["findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(directory)], env)
    return " ".join(found.splitlines()[-1].split())


def _named_device(directory: Path, env: Mapping[str, str]) -> int:
    try:
        found = run(["findmnt", "-nvo", "SOURCE", "-T", str(directory)], env)
        return os.stat(found.splitlines()[-1]).st_rdev
    except (BenchError, OSError):
        return 0
