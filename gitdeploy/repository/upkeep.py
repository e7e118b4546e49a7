"""What keeps a repository sound and small that many push to; settings stay."""

import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from gitdeploy.repository.debris import Debris
from gitdeploy.system.process import CommandFailed

__all__ = ["Damage", "Upkeep"]

_MANY_LOOSE: Final = 2000
# Patterns are text here: re keeps what it compiled, and hardly a push needs them.
_LOST: Final = (
    r"^missing \w+ (?P<missing>[0-9a-f]{40})"
    r"|^(?:error: |fatal: )?(?P<corrupt>[0-9a-f]{40}): object corrupt or missing"
    r"|^(?:error: )?(?P<ref>refs/\S+): invalid sha1 pointer"
    r"|^(?:error|fatal): (?!in |unable to |refs/)(?P<said>.+)"
)
_PLACE: Final = r"(?:\./)?(objects/(?:[0-9a-f]{2}/[0-9a-f]{38}|pack/pack-\w+))"


class Damage(Struct, frozen=True):
    """What `git fsck` found to be wrong with what the repository holds."""

    objects: tuple[str, ...]
    """Ids that are missing or cannot be read, sorted."""
    places: tuple[str, ...]
    """Files below the repository that hold rubbish; packs without their ending."""
    refs: tuple[str, ...]
    """Refs that hold no object id."""
    said: tuple[str, ...]
    """What git said, where it named no object."""


class Upkeep(Debris):
    """The upkeep of a bare repository."""

    def maintain(self, *, detached: bool = True) -> None:
        """Pack what many pushes left loose or in packs of their own, if it is much.

        git's own way of doing so within a push is switched off: it would hold the
        push up (git-gc(1), gc.auto).

        Args:
            detached: Whether the packing goes on after the call.
        """
        settings = (
            f"gc.auto={_MANY_LOOSE}",
            f"gc.autoDetach={str(detached).lower()}",
            "gc.bigPackThreshold=64m",  # a large pack is not written again and again
        )
        self.git("gc", "--auto", "--quiet", config=settings)

    def damage(self, forgiven: Iterable[str]) -> Damage | None:
        """Read every object; return what is missing or damaged, None where all is well.

        Takes as long as reading the whole repository does.

        Args:
            forgiven: fsck's names for sins of content that harm nobody here.
        """
        settings = [f"fsck.{name}=ignore" for name in forgiven]
        words = ("--full", "--no-dangling", "--no-progress")
        try:
            self.git("fsck", *words, config=settings)
        except CommandFailed as error:
            said = f"{error.stdout.decode('utf-8', 'replace')}\n{error.stderr}"
            return _damage(said.splitlines())
        return None


def _damage(lines: list[str]) -> Damage | None:
    """Return what lines of fsck tell; None for sins of content only."""
    found = [match for line in lines if (match := re.search(_LOST, line))]
    ids = {match["missing"] or match["corrupt"] for match in found} - {None}
    refs = {match["ref"] for match in found} - {None}
    places = {place for line in lines for place in re.findall(_PLACE, line)}
    said = [match["said"] for match in found if match["said"]]
    if not (ids or refs or places or said):
        return None
    return Damage(*map(tuple, (sorted(ids), sorted(places), sorted(refs), said)))
