"""How much a verb takes in, of each word, of a number, of what it reads."""

from collections.abc import Sequence
from typing import IO, Final

import click

from gitdeploy.errors import UsageError

__all__ = ["MOST", "SECONDS", "Number", "check_words", "read_input"]

_MOST_BYTES: Final = 64 * 1024
_SHOWN: Final = 20
_DAY_S: Final = 86400

MOST: Final = 1_000_000
"""No number that a verb takes is above it."""


class _Seconds(click.ParamType[float]):
    """Seconds that a person waits: a number from 0 to a day."""

    name = "seconds"

    def convert(
        self,
        value: str | float,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= _DAY_S:  # neither is nan
            self.fail(f"should be 0 to {_DAY_S} seconds, got {_cut(value)}", param, ctx)
        return seconds


SECONDS: Final = _Seconds()


class Number(click.ParamType[int]):
    """A whole number within bounds."""

    name = "number"

    def __init__(self, least: int = 0, most: int = MOST) -> None:
        self.least = least
        self.most = most

    def convert(
        self,
        value: str | int,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return the number that a word stands for."""
        try:
            number = int(value)
        except ValueError:  # also above 4300 digits
            number = self.least - 1
        if not self.least <= number <= self.most:
            should = f"a number of {self.least} to {self.most}"
            self.fail(f"should be {should}, got {_cut(value)}", param, ctx)
        return number


def check_words(words: Sequence[str]) -> None:
    """Say nothing if no word of a command line is longer than a value may be.

    Raises:
        UsageError: One is.
    """
    for word in words:
        size_bytes = len(word.encode("utf-8", "surrogateescape"))
        if size_bytes > _MOST_BYTES:
            raise UsageError(
                f"{_cut(word)}: {size_bytes} bytes; a value may have"
                f" {_MOST_BYTES // 1024} KiB"
            )


def read_input(stream: IO[bytes], what: str) -> bytes:
    """Return all that a stream holds, if that is not more than a value may be.

    Args:
        stream: Read to one byte above the limit and no further.
        what: What it is called in the error.

    Raises:
        UsageError: It holds more.
    """
    data = stream.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{what}: more than {_MOST_BYTES // 1024} KiB")
    return data


def _cut(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
