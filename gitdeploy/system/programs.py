"""Where programs lie that we start: never where PATH of a pusher says.

Those of the system come from its own directories. Those that the server's user may have
of their own (git from nix, ssh-keygen from /usr/local) come from the server's PATH,
without what in it may be a pusher's to write.
"""

import os
from typing import Final

__all__ = ["found", "program", "safe_path"]

PLACES: Final = (
    *("/usr/bin", "/bin", "/usr/local/bin"),
    *("/usr/sbin", "/sbin", "/usr/local/sbin"),
    *("/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin"),
    "/run/current-system/profile/bin",
)
"""Of the system: Debian's and its like, NixOS, nix elsewhere, Guix."""

_OF_AN_APP: Final = ("ledger.db", "releases")
"""Lie in the directory of every app: below it, files may be a pusher's."""


def found(name: str, path: str = "") -> str | None:
    """Return where a program lies; None: it is not installed.

    Args:
        name: Its name, without a directory.
        path: Where it is looked for first, as in the server's PATH; empty: only the
            program of the system will do.
    """
    return _first(name, tuple(path.split(os.pathsep)) if path else (), PLACES)


def program(name: str, path: str = "") -> str:
    """Return where a program lies; where it would be, if it is not installed.

    The arguments are those of `found`.
    """
    return found(name, path) or f"{PLACES[0]}/{name}"


def safe_path(path: str) -> str:
    """Return a PATH without what is relative, and without what lies in an app.

    What is left may be empty: then it is that of the system.
    """
    entries = [one for one in path.split(os.pathsep) if _is_safe(one)]
    return os.pathsep.join(dict.fromkeys(entries)) or os.pathsep.join(PLACES)


def _first(name: str, own: tuple[str, ...], places: tuple[str, ...]) -> str | None:
    paths = (f"{place}/{name}" for place in (*own, *places))
    return next((one for one in paths if _can_run(one) and _is_safe(one)), None)


def _can_run(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _is_safe(path: str) -> bool:
    """Return whether nothing on the way to a file or directory is in an app's."""
    if not os.path.isabs(path):
        return False
    ways = {path, os.path.realpath(path)}
    return not any(_is_app(above) for way in ways for above in _above(way))


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _is_app(directory: str) -> bool:
    return all(os.path.lexists(f"{directory}/{name}") for name in _OF_AN_APP)
