"""What keeps a repository small that many push to; refs and settings stay."""

from typing import Final

from gitdeploy.repository.objects import Objects

__all__ = ["Upkeep"]

_MANY_LOOSE: Final = 2000


class Upkeep(Objects):
    """The upkeep of a bare repository."""

    def maintain(self, *, detached: bool = True) -> None:
        """Pack what many pushes left loose, if it is much.

        git's own way of doing so within a push is switched off: it would hold the
        push up (git-gc(1), gc.auto).

        Args:
            detached: Whether the packing goes on after the call.
        """
        settings = (f"gc.auto={_MANY_LOOSE}", f"gc.autoDetach={str(detached).lower()}")
        self.git("gc", "--auto", "--quiet", config=settings)
