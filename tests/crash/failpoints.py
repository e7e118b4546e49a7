"""Points at which our own Python changes the disk, and dying or failing at one.

The twin of the walk by strace, in a forked process. A point is every call that changes
something below a root (see `watching`), every statement of the ledger, the moment after
each commit, and every program that is started. A point comes before its call.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from crash.deeds import Deed
from crash.inside import KILLED
from crash.watching import Point, install
from crash.world import World

__all__ = ["Point", "failing", "killing", "points_of", "recording"]


def recording(root: Path, into: Path) -> Callable[[], None]:
    """Return what makes a forked process write its points down, a line for each."""

    def begin() -> None:
        fd = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        install(root, lambda point: note(fd, point))

    def note(fd: int, point: Point) -> None:
        os.write(fd, f"{json.dumps(point)}\n".encode())

    return begin


def killing(label: str, root: Path) -> Callable[[], None]:
    """Return what makes a forked process die at a point, as by SIGKILL.

    Where that is another one than it was when it was recorded, nothing happens.
    """

    def die(point: Point) -> None:
        if point.label == label:
            os._exit(KILLED)

    return lambda: install(root, die)


def failing(
    label: str, root: Path, number: int, *, from_then_on: bool = False
) -> Callable[[], None]:
    """Return what makes the call at a point fail with an error of the kernel."""
    n = int(label.partition(":")[0])

    def fail(point: Point) -> None:
        hit = point.n >= n if from_then_on else point.label == label
        if (
            hit
            and point.name != "committed"
            and (point.name != "start" or point.label == label)
        ):
            raise OSError(number, os.strerror(number), point.path)

    return lambda: install(root, fail)


def points_of(deed: Deed, world: World) -> list[Point]:
    """Return the points of a deed, which is done to `world`."""
    into = world.root.with_name(f"{world.root.name}.points")
    ended = deed.inside(world, before=recording(world.root, into))
    assert ended.code in (0, 1), ended
    lines = into.read_text().splitlines()
    into.unlink()
    return [Point(*json.loads(line)) for line in lines]
