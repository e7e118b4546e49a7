"""What a place is called in which others write; only computed."""

from pathlib import Path
from typing import NamedTuple

__all__ = ["Ground"]


class Ground(NamedTuple):
    """A place that commands of deploy.toml or the running app may have changed.

    It is no path, so that nothing opens, asks or copies it by accident: what lies on
    the way may be a link by now. `system.ground` does it, beneath a directory whose own
    name is ours.
    """

    base: Path
    """A directory whose name nobody but us can give to something else."""
    below: str = ""
    """Where below it, without `..`; empty: the directory itself."""

    def __truediv__(self, name: str) -> "Ground":
        return Ground(self.base, f"{self.below}/{name}".removeprefix("/"))

    def __str__(self) -> str:
        return str(self.base / self.below)

    @property
    def name(self) -> str:
        """Its last part."""
        return self.below.rpartition("/")[2]

    @property
    def parent(self) -> "Ground":
        """The directory that it is in."""
        assert self.below, "what is around the base is no hostile ground"
        return Ground(self.base, self.below.rpartition("/")[0])
