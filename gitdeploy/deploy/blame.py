"""Why a step failed, where it wanted to write into a file that releases share."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["blame"]

_REFUSED: Final = re.compile(
    r"permission denied|operation not permitted|\bEACCES\b|\bEPERM\b", re.IGNORECASE
)
_QUOTED: Final = re.compile(r"""'([^']+)'|"([^"]+)"|`([^`']+)[`']|\u2018([^\u2019]+)""")
_MARKS: Final = "'\"`()[]<>,:;=\u2018\u2019"
_MARK: Final = re.compile(f"[{re.escape(_MARKS)}]+")


def blame(
    tail: Sequence[str], directory: Path, is_shared: Callable[[str], bool]
) -> str | None:
    """Return the shared file that a step was not let write into, the last one named.

    Args:
        tail: The last lines that it printed.
        directory: The release it ran in.
        is_shared: Whether a path, relative to the release, is a file that other
            releases have too and that is read-only for that.

    Returns:
        Its path in the release; None where the step failed for another reason.
    """
    for line in reversed(tail):
        if _REFUSED.search(line):
            for word in _words(line):
                for path in _paths(word, directory):
                    if is_shared(path):
                        return path
    return None


def _words(line: str) -> Iterator[str]:
    """Yield what may be a path: what is in quotes, with its spaces; then each word."""
    for found in _QUOTED.finditer(line):
        yield next(filter(None, found.groups()))
    for word in line.split():
        yield word.strip(_MARKS)
        yield from _MARK.split(word)


def _paths(word: str, directory: Path) -> Iterator[str]:
    """Yield the paths in the release that a word may stand for, the longest first."""
    for place in (str(directory), os.path.realpath(directory)):
        if word.startswith(f"{place}/"):
            yield os.path.normpath(word.removeprefix(f"{place}/"))
    parts = [part for part in word.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        yield "/".join(parts[start:])
