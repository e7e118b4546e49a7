"""What a git that was killed leaves besides locks: half packs, incoming objects.

It hinders no push; it takes up the disk, and some of it git itself would keep for ever.
"""

import re
from typing import Final

from gitdeploy.repository.locks import GitLock, Locks
from gitdeploy.system import files

__all__ = ["Debris"]

_LEFT: Final = (
    "objects/tmp_objdir-*",  # of a push that was being received
    "objects/pack/tmp_*",  # of a pack that was being written
    "objects/pack/.tmp-*",
    "objects/[0-9a-f][0-9a-f]/tmp_obj_*",
    "gc.pid",
    "gc.pid.lock",
)
# What keeps a pack that was received until its refs have moved; people's say more.
_KEPT_BY_PUSH: Final = rb"(receive-pack|fetch-pack) \d+ on "
_READERS: Final = frozenset({"upload-pack", "upload-archive"})


class Debris(Locks):
    """The leftovers in a bare repository."""

    def debris(self) -> list[GitLock]:
        """Return what no living git can have made, in the order of names."""
        paths = [path for pattern in _LEFT for path in self.path.glob(pattern)]
        kept = self.path.glob("objects/pack/*.keep")
        paths += [path for path in kept if re.match(_KEPT_BY_PUSH, path.read_bytes())]
        return [one for one in self._judged(paths, _READERS) if one.stale]

    def remove_debris(self) -> None:
        """Remove it, with the app's lock held."""
        for one in self.debris():
            files.remove(one.path)
