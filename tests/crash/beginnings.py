"""The worlds in which activities begin, each made once; and what they come to."""

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

from crash.activities import MAIN, Activity, push, verb
from crash.checks import State, state
from crash.world import HISTORY, POSITIONS, World, developer

__all__ = ["Beginning", "Beginnings"]


@dataclass(frozen=True)
class Beginning:
    """Where an activity begins, and what it comes to when nothing is in its way."""

    world: World
    """To be copied, never to be used."""
    before: State
    after: State

    @property
    def lasting(self) -> list[str]:
        """The links that must be there all the time."""
        return [name for name in self.before.links if name in self.after.links]


class Beginnings:
    """The worlds in which activities begin, in one directory."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._clone = place / "clone"

    def of(self, activity: Activity) -> Beginning:
        """Return where an activity begins; processes may share what is made."""
        home = self.place / activity.name.replace(" ", "-")
        known = home / "states"
        world = World(home / "root", self._clone)
        if not known.exists():
            states = self._make(activity, world)
            known.write_bytes(pickle.dumps(states))
        return Beginning(world, *pickle.loads(known.read_bytes()))  # noqa: S301 - ours

    def _make(self, activity: Activity, world: World) -> tuple[State, State]:
        if activity.base:
            self._base().copied(world.root)
        else:
            self._developer()
            world.root.mkdir(parents=True)
        activity.begin(world)
        done = world.copied(world.root.with_name("done"))
        ended = activity.deed.really(done)
        assert ended.code == int(activity.fails), ended
        states = state(world), state(done)
        shutil.rmtree(done.root)
        return states

    def _developer(self) -> None:
        if not self._clone.exists():
            developer(self._clone)

    def _base(self) -> World:
        """Return six releases on dev, two of them on prod, two on no link."""
        self._developer()
        base = World(self.place / "base" / "root", self._clone)
        if not base.root.exists():
            base.root.mkdir(parents=True)
            begin = [verb("setup", "shop", "--links", str(POSITIONS))]
            begin += [push(f"c{n}:{MAIN}") for n in range(1, HISTORY + 1)]
            begin += [push(f"c{n}:refs/tags/v{n}") for n in (1, 4)]
            for deed in begin:
                ended = deed.really(base)
                assert ended.code == 0, ended
        return base
