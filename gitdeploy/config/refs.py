"""[refs] of server.toml: how far deploy.toml may say which refs deploy."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from gitdeploy.config.reading import Table

__all__ = ["UNBOUNDED", "Patterns", "RefBounds"]

_Pattern: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Patterns: TypeAlias = Annotated[tuple[_Pattern, ...], Meta(max_length=100)]


class RefBounds(Table, frozen=True, kw_only=True):
    """[refs] of server.toml: a ref deploys where deploy.toml and this allow it."""

    stage: Patterns = ("*",)
    """Patterns (fnmatch) of branches that may go to dev, none to 100; default all."""
    release: Patterns = ("*",)
    """Patterns (fnmatch) of tags that may go to prod, none to 100; default all."""
    preview: Patterns = ("*",)
    """Patterns (fnmatch) of branches that may have a link of their own; default all."""
    other: Literal["refuse", "store"] = "store"
    """`refuse`: no other ref is kept, whatever deploy.toml says; default store."""
    move_tags: bool = True
    """Whether deploy.toml may let release tags be moved; default yes."""


UNBOUNDED: Final = RefBounds()
"""Of a server that leaves everything to deploy.toml."""
