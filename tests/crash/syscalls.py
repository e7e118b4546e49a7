"""The kinds of fault that strace makes; see `strace`."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from crash.activities import Activity
from crash.beginnings import Beginning
from crash.deeds import PushOf
from crash.inside import end_all
from crash.judging import judge_error, judge_killed
from crash.places import copy_of
from crash.strace import Actor, calls_of, injected

__all__ = ["BySyscall"]

_ATTEMPTS = 3


@dataclass(frozen=True)
class BySyscall:
    """A signal or an error at a real system call."""

    name: str
    what: str
    """As strace has it: `signal=SIGKILL`, `error=ENOSPC`."""
    actor: Actor = "self"
    from_then_on: bool = False

    def missing(self) -> str:
        """See `Kind`."""
        return "" if shutil.which("strace") else "strace is missing"

    def points(self, activity: Activity, begin: Beginning, place: Path) -> list[str]:
        """See `Kind`."""
        if self.actor == "parent" and not isinstance(activity.deed, PushOf):
            return []
        with copy_of(begin.world, place) as world:
            calls = calls_of(activity.deed, world, self.actor)
        return list(dict.fromkeys(call.label for call in calls))

    def strike(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """See `Kind`.

        Now and then a run differs from the one before, and the call never comes: then
        it is tried again.
        """
        for _ in range(_ATTEMPTS):
            found = self._struck(activity, begin, at, place)
            if found is not None:
                return found
        return ["the call never came"]

    def _struck(
        self, activity: Activity, begin: Beginning, at: str, place: Path
    ) -> list[str] | None:
        label = f"{at}+" if self.from_then_on else at
        with copy_of(begin.world, place) as world:
            ended, hit = injected(activity.deed, world, self.actor, label, self.what)
            if self.actor != "self":
                end_all(world)
            if not hit:
                return None
            if self.what.startswith("signal"):
                return judge_killed(activity, begin, world, ended)
            if self.from_then_on:  # nothing can be put back, and perhaps not told:
                activity.recovery.inside(world)  # somebody makes room, then repairs
                return judge_killed(activity, begin, world, ended)
            cause = self.what.partition("=")[2]
            return judge_error(activity, begin, world, ended, cause)
