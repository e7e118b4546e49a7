"""Who may do what with each place of an app: one table, by which all of them go.

What is not named here is its owner's alone. A web server, which is another user, only
passes through to what it serves. A group may be let look in, by hand (`Rule.most`).
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

__all__ = ["PASSAGE", "ROOT", "TARGET", "Rule", "in_home", "in_repository", "in_root"]

_ALL: Final = 0o777


class Rule(Struct, frozen=True):
    """The permissions of one place."""

    made: int
    """With which it is made."""
    most: int
    """What it may have at most, where somebody gave it more or less by hand."""
    least: int
    """What its owner needs."""

    def wanted(self, mode: int) -> int:
        """Return what a place of this mode shall have: the same, where that is fine.

        Where others may do too much it is as it was made, and stricter where it was.
        """
        if ~mode & self.least:
            return mode & ~_ALL | self.made
        return mode if not mode & _ALL & ~self.most else mode & (self.made | ~_ALL)


ROOT: Final = Rule(0o711, 0o755, 0o500)
"""The directory that holds all apps."""
TARGET: Final = Rule(0o755, 0o775, 0o700)
"""The directory of the public links."""

PASSAGE: Final = 0o711
"""With which a directory is made that a web server only passes through."""
_PASSAGE: Final = Rule(PASSAGE, 0o751, 0o700)
_DIRECTORY: Final = Rule(0o700, 0o750, 0o700)
_FILE: Final = Rule(0o600, 0o640, 0o600)
_BY_HAND: Final = Rule(0o600, 0o640, 0o400)
_FOR_ALL_TO_READ: Final = Rule(0o644, 0o644, 0o400)
_PROGRAM: Final = Rule(0o755, 0o755, 0)  # whether git can start it, is looked at anyway

_IN_HOME: Final[Mapping[str, Rule]] = {
    "releases": _PASSAGE,
    "shared": _PASSAGE,
    "shared-dev": _PASSAGE,
    "shared-prod": _PASSAGE,
    "run": _PASSAGE,
    "maintenance": _PASSAGE,
    "empty": Rule(PASSAGE, 0o755, 0o500),
    "server.toml": _BY_HAND,
}
_IN_ROOT: Final[Mapping[str, Rule]] = {
    "access.toml": _BY_HAND,
    ".access.lock": _FILE,
    "gnupg": Rule(0o700, 0o700, 0o500),  # gpg wants it so
    "allowed_signers": _FOR_ALL_TO_READ,  # public keys
}
_IN_REPOSITORY: Final[Mapping[str, Rule]] = {
    "hooks": _PROGRAM,
    "config": _FOR_ALL_TO_READ,
    "HEAD": _FOR_ALL_TO_READ,
}


def in_home(name: str, *, is_directory: bool) -> Rule:
    """Return the rule of what lies in an app's directory; private if it is new to us.

    Args:
        name: Its name there; empty for the directory itself.
        is_directory: Whether it is one.
    """
    if not name:
        return _PASSAGE
    return _IN_HOME.get(name, _DIRECTORY if is_directory else _FILE)


def in_root(app: str) -> Mapping[str, Rule]:
    """Return the rules of what lies in the root, of an app and of all of them."""
    return {**_IN_ROOT, app: _PASSAGE, f"{app}.git": _DIRECTORY}


def in_repository() -> Mapping[str, Rule]:
    """Return the rules of what decides what git runs; nobody gets to it but its owner.

    They hold as well where a person let a group look into the repository.
    """
    return _IN_REPOSITORY
