"""[shared] of server.toml: how far dev and prod are apart, whatever a commit says."""

from typing import Literal, TypeAlias

from gitdeploy.config.reading import Table

__all__ = ["Apart", "Scope", "wider_apart"]

Scope: TypeAlias = Literal["app", "chain"]


class Apart(Table, frozen=True, kw_only=True):
    """[shared]: what dev and prod share, at most."""

    scope: Scope = "app"
    """chain: dev and prod have shared files and folders of their own, whatever a
    deploy.toml says; app: as it says. Default app."""


def wider_apart(one: Scope, other: Scope) -> Scope:
    """Return the scope that keeps more apart: a commit may ask for more, never less."""
    return "chain" if "chain" in (one, other) else "app"
