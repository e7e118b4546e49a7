"""The kinds of fault, by name: where each can strike, and what is wrong afterwards.

A kind that needs what this machine lacks says so. Another kind of fault is another
entry of `KINDS`.
"""

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crash.activities import Activity
from crash.beginnings import Beginning
from crash.checks import check_links
from crash.cuts import PowerCut
from crash.failpoints import failing, killing, points_of
from crash.inside import KILLED, end_all
from crash.judging import judge_error, judge_killed, settle
from crash.places import copy_of
from crash.power import CUTS, FILE_SYSTEMS
from crash.reading import Readers
from crash.syscalls import BySyscall

__all__ = ["KINDS", "Kind"]


_MOST_PAIRS = 300


class Kind(Protocol):
    """A kind of fault."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def missing(self) -> str:
        """Return why it cannot be tried on this machine; empty where it can."""

    def points(self, activity: Activity, begin: Beginning, place: Path) -> list[str]:
        """Return by name each point of an activity at which it can strike.

        Args:
            activity: What is done.
            begin: Where it begins.
            place: A directory for copies of that, which are gone afterwards.
        """

    def strike(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """Strike at a point; return what is wrong, then and after the next action."""


@dataclass(frozen=True)
class KillInside:
    """The process ends between two of its calls, as by SIGKILL."""

    name: str = "kill, in process"

    def missing(self) -> str:
        """See `Kind`."""
        return ""

    def points(self, activity: Activity, begin: Beginning, place: Path) -> list[str]:
        """See `Kind`."""
        with copy_of(begin.world, place) as world:
            return [point.label for point in points_of(activity.deed, world)]

    def strike(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """See `Kind`."""
        with copy_of(begin.world, place) as world:
            ended = activity.deed.inside(world, before=killing(at, world.root))
            if ended.code != KILLED:
                return [f"it was not killed: {ended}"]
            return judge_killed(activity, begin, world, ended)


@dataclass(frozen=True)
class ErrorInside(KillInside):
    """A call of the process fails with an error of the kernel."""

    name: str = "ENOSPC, in process"
    number: int = errno.ENOSPC
    from_then_on: bool = False

    def points(self, activity: Activity, begin: Beginning, place: Path) -> list[str]:
        """See `Kind`; what was committed cannot fail any more."""
        found = super().points(activity, begin, place)
        return [label for label in found if _can_fail(label, self.number)]

    def strike(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """See `Kind`."""
        with copy_of(begin.world, place) as world:
            fails = failing(at, world.root, self.number, from_then_on=self.from_then_on)
            ended = activity.deed.inside(world, before=fails)
            if self.from_then_on:  # nothing can be put back, and perhaps not told:
                activity.recovery.inside(world)  # somebody makes room, then repairs
                return judge_killed(activity, begin, world, ended)
            cause = errno.errorcode[self.number]
            return judge_error(activity, begin, world, ended, cause)


def _can_fail(label: str, number: int) -> bool:
    _, _, name = label.partition(":")
    return name != "committed" and (name != "start" or number == errno.EMFILE)


@dataclass(frozen=True)
class KillOfRecovery(KillInside):
    """The process is killed, and then whoever mends what it left is killed, too."""

    name: str = "kill, then kill of the recovery"

    def points(self, activity: Activity, begin: Beginning, place: Path) -> list[str]:
        """See `Kind`: every pair, or evenly chosen ones where they are very many."""
        pairs = [
            f"{first}/{second}"
            for first in super().points(activity, begin, place)
            for second in self._of_recovery(activity, begin, first, place)
        ]
        return pairs[:: -(-len(pairs) // _MOST_PAIRS)]

    def _of_recovery(
        self, activity: Activity, begin: Beginning, first: str, place: Path
    ) -> list[str]:
        with copy_of(begin.world, place) as world:
            activity.deed.inside(world, before=killing(first, world.root))
            end_all(world)
            return [point.label for point in points_of(activity.recovery, world)]

    def strike(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """See `Kind`."""
        first, second = at.split("/")
        with copy_of(begin.world, place) as world:
            activity.deed.inside(world, before=killing(first, world.root))
            end_all(world)
            ended = activity.recovery.inside(world, before=killing(second, world.root))
            if ended.code != KILLED:
                return [f"it was not killed: {ended}"]
            found = check_links(world, begin.lasting)
            return found + settle(activity, begin, world)


_NUMBERS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        KillInside(),
        KillOfRecovery(),
        *(
            ErrorInside(f"{errno.errorcode[number]}, in process", number)
            for number in _NUMBERS
        ),
        ErrorInside("ENOSPC from then on, in process", from_then_on=True),
        BySyscall("SIGKILL", "signal=SIGKILL"),
        BySyscall("SIGTERM", "signal=SIGTERM"),
        BySyscall("SIGKILL of receive-pack", "signal=SIGKILL", "parent"),
        BySyscall("SIGKILL of any child", "signal=SIGKILL", "tree"),
        *(
            BySyscall(name, f"error={name}")
            for name in ("ENOSPC", "EIO", "EACCES", "EMFILE", "EINTR")
        ),
        BySyscall("ENOSPC from then on", "error=ENOSPC", from_then_on=True),
        Readers(),
        *(PowerCut(system, cut) for system in FILE_SYSTEMS for cut in CUTS),
    )
}
