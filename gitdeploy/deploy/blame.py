"""Why a step failed, where a file of its release was not there for it as it thought."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MISSED", "blame"]

_REFUSED: Final = re.compile(
    r"permission denied|operation not permitted|\bEACCES\b|\bEPERM\b", re.IGNORECASE
)
MISSED: Final = re.compile(
    r"no such file|not found|cannot (?:find|open|access)|can't open|does not exist"
    r"|could not (?:find|resolve)|\bENOENT\b",
    re.IGNORECASE,
)
"""What programs say of a file that is not there."""
_QUOTED: Final = re.compile(r"""'([^']+)'|"([^"]+)"|`([^`']+)[`']|\u2018([^\u2019]+)""")
_MARKS: Final = "'\"`()[]<>,:;=\u2018\u2019"
_MARK: Final = re.compile(f"[{re.escape(_MARKS)}]+")


def blame(
    tail: Sequence[str],
    directory: Path,
    is_it: Callable[[str], bool],
    *,
    said: re.Pattern[str] = _REFUSED,
) -> str | None:
    """Return the file that a step failed for, the last one that it named.

    Args:
        tail: The last lines that it printed.
        directory: The release it ran in.
        is_it: Whether a path, relative to the release, is a file that it can have
            failed for: one that is read-only, as other releases have it too.
        said: What the line has to say, in which it is named.

    Returns:
        Its path in the release; None where the step failed for another reason.
    """
    for line in reversed(tail):
        if said.search(line):
            for word in _words(line):
                for path in _paths(word, directory):
                    if is_it(path):
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
