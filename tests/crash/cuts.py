"""The power goes at a point of an activity, or as soon as that is reported as done.

A cut at a point is a process that dies there, on a disk that dies with it.
"""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crash import power
from crash.activities import Activity
from crash.beginnings import Beginning
from crash.failpoints import killing, points_of
from crash.inside import KILLED, end
from crash.judging import judge_killed
from crash.world import World

__all__ = ["END", "REAL_END", "PowerCut"]

END: Final = "end"
"""All was done, in a process forked from this one."""
REAL_END: Final = "end, by a client"
"""All was done, and a client in a process of its own was told so."""

_ROOT: Final = "root"


@dataclass(frozen=True)
class PowerCut:
    """The power of the server goes; see `power.CUTS` for what that leaves."""

    system: str
    """The file system."""
    cut: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"power cut, {self.system}, flag {self.cut}"

    def missing(self) -> str:
        """See `Kind`."""
        return power.missing(self.system)

    def points(self, activity: Activity, begin: Beginning, place: Path) -> list[str]:
        """See `Kind`; the last two are when all is done.

        On the same disk: in which order a directory is read depends on it.
        """
        with power.copied(self._image(begin, place)) as top:
            world = World(top / _ROOT, begin.world.clone)
            found = [point.label for point in points_of(activity.deed, world)]
        return [*found, END, REAL_END]

    def strike(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """See `Kind`."""
        deed, ends = activity.deed, []

        def act(top: Path) -> None:
            world = World(top / _ROOT, begin.world.clone)
            if at == REAL_END:
                ends.append(deed.really(world))
            else:
                first = None if at == END else killing(at, world.root)
                ends.append(deed.inside(world, before=first))
            end(world.processes())

        with power.after_cut(self._image(begin, place), act, self.cut) as top:
            (ended,) = ends
            if ended.code != (0 if at in (END, REAL_END) else KILLED):
                return [f"it did not end with the power: {ended}"]
            return judge_killed(
                activity, begin, World(top / _ROOT, begin.world.clone), ended
            )

    def _image(self, begin: Beginning, place: Path) -> Path:
        """Return a disk that holds where an activity begins; made once for `place`."""
        image = place / f"{begin.world.root.parent.name}.{self.system}"
        with (place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not image.exists():
                power.made(
                    self.system, image, lambda top: begin.world.copied(top / _ROOT)
                )
        return image
