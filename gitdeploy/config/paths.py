"""Relative paths that never leave the folder they start from, judged as text.

Whether anything exists there is not asked here.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final, Self

from gitdeploy.config.values import BadValueError, shown

__all__ = [
    "OURS",
    "FilePath",
    "RelativePath",
    "StartFolder",
    "refuse_below",
    "refuse_overlap",
]

OURS: Final = re.compile(r"\.gitdeploy[-.].*|\.\..*\.new", re.DOTALL)
"""Names under which something is made before it gets the name that it shall have."""
_HALF_MADE: Final = re.compile(r"\..+\.new", re.DOTALL)
"""The same, of any file: nothing that is shared has the name of another half made."""

_MOST_BYTES: Final = 1024
_MOST_PART_BYTES: Final = 255  # NAME_MAX of every Linux file system we know


class RelativePath(str):
    """A file or folder below the release: `/` between parts, none at the end, NFC."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the path, without the one slash it may end in.

        Raises:
            BadValueError: It is not text, or breaks one of the rules for paths.
        """
        return cls(_checked(found, ending="/"))


class FilePath(RelativePath):
    """A file below the release; unlike a folder it cannot end in a slash."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the path.

        Raises:
            BadValueError: It is not text, or breaks one of the rules for paths.
        """
        return cls(_checked(found, ending=""))


class StartFolder(RelativePath):
    """A folder of the repository; `.` is the repository itself."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the path, without the one slash it may end in.

        Raises:
            BadValueError: It is not text, or breaks one of the rules for paths.
        """
        if found in (".", "./"):
            return cls(".")
        return super().read(found)


def refuse_overlap(placed: Iterable[tuple[str, str]]) -> None:
    """Refuse two paths of which one is, or lies in, the other.

    Case does not count, so that a release can be looked at on any file system.

    Args:
        placed: Key path and path of each, in any order.

    Raises:
        BadValueError: Two overlap; it names the longer and says which the other is.
    """
    # Sorted by parts, whatever lies in a folder comes right after that folder.
    ordered = sorted((_folded(path), path, at) for at, path in placed)
    for (outer, name, _), (inner, path, at) in pairwise(ordered):
        if inner == outer:
            raise BadValueError("a path that is listed once", shown(path), at=at)
        if inner[: len(outer)] == outer:
            raise BadValueError(
                f"a path outside {name!r}, also listed", shown(path), at=at
            )


def refuse_below(shared: Iterable[str], placed: Iterable[tuple[str, str]]) -> None:
    """Refuse inputs in shared folders: no commit has what stands there.

    Args:
        shared: The folders.
        placed: Key path and path of each input.

    Raises:
        BadValueError: One lies there.
    """
    folders = tuple(shared)
    for at, path in placed:
        for folder in folders:
            if f"{path}/".startswith(f"{folder}/"):
                should = f"a path outside {folder!r}, which outlives commits"
                raise BadValueError(should, shown(path), at=at)


def _checked(found: object, *, ending: str) -> str:
    if not isinstance(found, str):
        raise BadValueError("a relative path", shown(found))
    path = unicodedata.normalize("NFC", found)
    if path != "/":
        path = path.removesuffix(ending)
    for should, holds in _RULES:
        if not holds(path, path.split("/")):
            raise BadValueError(should, shown(found))
    return path


def _is_ours(part: str) -> bool:
    return bool(OURS.fullmatch(part) or _HALF_MADE.fullmatch(part))


_RULES: Final[tuple[tuple[str, Callable[[str, list[str]], bool]], ...]] = (
    ("a relative path", lambda path, _: not path.startswith("/")),
    ("a path below the release", lambda path, _: path not in ("", ".")),
    ("a path without an empty part", lambda _, parts: "" not in parts),
    ("a path without a part '.'", lambda _, parts: "." not in parts),
    ("a path without a part '..'", lambda _, parts: ".." not in parts),
    (
        "a path without a part '.git'",
        lambda _, parts: all(part.casefold() != ".git" for part in parts),
    ),
    (
        "a path without names that are ours, .gitdeploy-… and .….new",
        lambda _, parts: not any(map(_is_ours, parts)),
    ),
    (
        "a path without control characters",
        lambda path, _: all(unicodedata.category(sign) != "Cc" for sign in path),
    ),
    (
        f"a path of at most {_MOST_PART_BYTES} bytes a part",
        lambda _, parts: all(len(part.encode()) <= _MOST_PART_BYTES for part in parts),
    ),
    (
        f"a path of at most {_MOST_BYTES} bytes",
        lambda path, _: len(path.encode()) <= _MOST_BYTES,
    ),
)
"""What a path should be, and whether it is; the first that does not hold is told."""


def _folded(path: str) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", path.casefold()).split("/"))
