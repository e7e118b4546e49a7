"""Patterns of paths, as .gitignore and GitHub Actions know them; pure.

`*` and `?` stand for anything within one part of a path, `[abc]`, `[a-z]` and `[!a]`
for one character, a part `**` for any number of folders. Dots are nothing special. A
pattern begins where the paths begin; one that matches a folder matches what it holds,
as its one entry of a listing.
"""

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Final

__all__ = ["Glob", "is_glob"]

_SIGNS: Final = frozenset("*?[")
_ANY: Final = "**"


def is_glob(path: str) -> bool:
    """Return whether a path is a pattern."""
    return not _SIGNS.isdisjoint(path)


class Glob:
    """A pattern.

    Attributes:
        base: The folder that all it can match lies in; empty where that is the top.
    """

    def __init__(self, pattern: str) -> None:
        parts = pattern.split("/")
        plain = next(n for n, part in enumerate([*parts, "*"]) if is_glob(part))
        self.base = "/".join(parts[: min(plain, len(parts) - 1)])
        self._parts = [
            None if part == _ANY else re.compile(translate(part)).match
            for part in parts
        ]

    def matches(self, path: str) -> bool:
        """Return whether a path, of a file or a folder, is one of those meant."""
        return self._match(path.split("/"))

    def _match(self, names: Sequence[str]) -> bool:
        """Walk along both; where they part, let the last `**` take one name more."""
        at = name = 0
        again: tuple[int, int] | None = None
        while name < len(names):
            if at < len(self._parts):
                matches = self._parts[at]
                if matches is None:
                    again = (at + 1, name)
                    at += 1
                    continue
                if matches(names[name]):
                    at, name = at + 1, name + 1
                    continue
            if again is None:
                return False
            again = (again[0], again[1] + 1)
            at, name = again
        return at == len(self._parts)
