"""Copies of worlds, to be struck and thrown away."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crash.world import World

__all__ = ["copy_of"]


@contextmanager
def copy_of(world: World, place: Path) -> Iterator[World]:
    """A copy of a world in `place` for the body; each process has one at a time."""
    root = place / f"world-{os.getpid()}"
    try:
        yield world.copied(root)
    finally:
        shutil.rmtree(root)
