"""[refs] of server.toml: how far deploy.toml may say which refs deploy."""

from typing import Final, Literal

from gitdeploy.config.patterns import Patterns, RefPattern, refuse_bad_order
from gitdeploy.config.reading import Table

__all__ = ["UNBOUNDED", "RefBounds"]

_ALL: Final = (RefPattern("*"),)


class RefBounds(Table, frozen=True, kw_only=True):
    """[refs] of server.toml: a ref deploys where deploy.toml and this allow it."""

    stage: Patterns = _ALL
    """Branches that may go to dev, by pattern, none to 100; default all."""
    release: Patterns = _ALL
    """Tags that may go to prod, by pattern, none to 100; default all."""
    preview: Patterns = _ALL
    """Branches that may have a link of their own, by pattern; default all."""
    other: Literal["refuse", "store"] = "store"
    """`refuse`: no other ref is kept, whatever deploy.toml says; default store."""
    move_tags: bool = True
    """Whether deploy.toml may let release tags be moved; default yes."""

    def __post_init__(self) -> None:
        for name in ("stage", "release", "preview"):
            refuse_bad_order(getattr(self, name), f".{name}")


UNBOUNDED: Final = RefBounds()
"""Of a server that leaves everything to deploy.toml."""
