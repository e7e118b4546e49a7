"""Disks of another kind than the one that tests run on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import process
from support.tools import cannot, needs

_SIZE = 320 * 2**20  # the smallest that mkfs.xfs takes is 300 MB


@contextmanager
def xfs(at: Path) -> Iterator[Path]:
    """An empty XFS, where files can be cloned, mounted for the body."""
    if os.geteuid() != 0:
        cannot("only root mounts an XFS")
    image, place = at / "image", at / "xfs"
    image.touch()
    os.truncate(image, _SIZE)
    process.run(needs("mkfs.xfs"), "-q", "-m", "reflink=1", image)
    place.mkdir()
    mounted = process.run("mount", "-o", "loop", image, place, check=False)
    if mounted.returncode:
        cannot(f"this machine mounts no XFS: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        process.run("umount", "--lazy", place)
