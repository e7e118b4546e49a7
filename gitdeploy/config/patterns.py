r"""Patterns of names: of refs above all, of people and keys.

A pattern is one of fnmatch's (`v*`, `feature-?`, `[0-9]*`) and means a whole name.
With `!` in front it takes away; of those that fit a name the last one counts, as in
gitignore(5). `\!v1` means a name that begins with `!`.
"""

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Final, Self, TypeAlias

from msgspec import Meta

from gitdeploy.config.values import BadValueError, shown

__all__ = ["Patterns", "RefPattern", "fits", "refuse_bad_order", "takes_away"]

_MOST: Final = 255
_CLASS: Final = re.compile(r"\[!?\]?[^]]*\]")
_ANY: Final = "\0"
"""Stands for what a pattern leaves open, where it is looked for what no ref has."""

_IN_NO_REF: Final = re.compile(
    r"[\x01-\x20\x7f~^:?*\[\\]"  # single characters
    r"|\.\.|@\{|//"
    r"|(?:^|/)\.|^/"  # no part begins with a dot
    r"|(?:\.lock)(?=/|$)|[./]$"
)


class RefPattern(str):
    """A pattern of names of branches or tags; `!` in front takes away."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the pattern.

        Raises:
            BadValueError: It is none, or no name that git allows fits it.

        Source:
            git-check-ref-format(1).
        """
        if not (isinstance(found, str) and 0 < len(found) <= _MOST):
            should = f'a pattern of names such as "v*", at most {_MOST} characters'
            raise BadValueError(should, shown(found))
        wanted = _bare(found)
        if wanted.startswith(("refs/heads/", "refs/tags/")):
            name = wanted.split("/", 2)[2]
            should = "a name without what git puts before it"
            raise BadValueError(should, shown(found), write=f'"{name}"')
        # A name may go on where the pattern leaves it open, so only words count.
        words = _CLASS.sub(_ANY, wanted).replace("*", _ANY).replace("?", _ANY)
        if not wanted or _ANY in wanted or _IN_NO_REF.search(words):
            should = "a pattern that a name of a branch or tag can fit"
            raise BadValueError(should, shown(found))
        return cls(found)


Patterns: TypeAlias = Annotated[tuple[RefPattern, ...], Meta(max_length=100)]


def fits(patterns: Iterable[str], *names: str) -> bool:
    """Return whether something with these names is meant."""
    meant = False
    for pattern in patterns:
        if meant is not takes_away(pattern):
            continue  # it would change nothing
        if any(fnmatchcase(name, _bare(pattern)) for name in names):
            meant = not meant
    return meant


def takes_away(pattern: str) -> bool:
    """Return whether a pattern says what is not meant."""
    return pattern.startswith("!")


def refuse_bad_order(patterns: Sequence[str], at: str) -> None:
    """Refuse patterns that begin with one that takes away: there is nothing yet.

    Raises:
        BadValueError: They do.
    """
    if patterns and takes_away(patterns[0]):
        should = f'after what it takes from, as in ["*", "{patterns[0]}"]'
        raise BadValueError(should, f"{shown(patterns[0])} first", at=f"{at}[0]")


def _bare(pattern: str) -> str:
    """Return what a name has to be like."""
    return pattern[1:] if pattern.startswith(("!", "\\!")) else pattern
