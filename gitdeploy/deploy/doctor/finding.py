"""What the doctor found: what it is, whom it hurts now, and the way out."""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.model import CHAINS, ChainName

__all__ = ["NOBODY", "Finding", "Fix", "seen_by"]

Fix: TypeAlias = Callable[[App, Report], object]
"""Mends it, called with the app's lock held; safe to repeat."""

NOBODY: Final = "nobody: it takes up space on the disk, no more"


class Finding(Struct, frozen=True):
    """One thing that is not as it should be."""

    name: str
    """`link-changed`: the same for the same kind of thing, for programs."""
    what: str
    """The fact, with its place; the same as long as it lasts."""
    means: str
    """Whom it hurts right now, and how."""
    mend: str = ""
    """One command that mends it, or begins to; empty where `fix` does."""
    fix: Fix | None = None
    """What `--fix` does; None where that would be guessing."""
    severity: Literal["trouble", "note"] = "trouble"
    """A note needs nobody to do anything now."""


def seen_by(app: App, link: str) -> str:
    """Return who looks through a public link."""
    heads = {app.public.name(chain, 1): app.public.head_name(chain) for chain in CHAINS}
    return f"visitors of {heads.get(link, link)}"


def way_back(app: App, chain: ChainName, position: int) -> str:
    """Return what a position behind the head is for, as part of a sentence."""
    return f"{app.public.name(chain, position)} is what {chain} would go back to"
