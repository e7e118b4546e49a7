"""Values that TOML has no type for: what was found goes in, the value comes out.

Nothing here knows a file, a table or a key; `reading` adds where a value stood.
"""

from typing import Final, Protocol, Self

__all__ = ["KINDS", "BadValueError", "Label", "Readable", "Seconds", "Size", "shown"]

KINDS: Final = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "list": "a list",
    "object": "a table",
    "dict": "a table",
    "datetime": "a date with a time",
    "date": "a date",
    "time": "a time of day",
}
"""House words by the type names of Python and of msgspec's messages."""

_SHOWN_LENGTH: Final = 40
_SECONDS_IN: Final = {"s": 1, "m": 60, "h": 3600}
_BYTES_IN: Final = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "B": 1}
_MOST_SECONDS: Final = 24 * 3600
_MOST_BYTES: Final = 2**63 - 1
_MOST_DIGITS: Final = 19
_LABEL_LENGTH: Final = 40


class BadValueError(ValueError):
    """A value that cannot be used; `reading` adds the file and the key.

    Attributes:
        should: What belongs there, to follow "should be".
        got: What stood there, to follow "got".
        at: Key path below the table that was being read, `.run`; often empty.
        write: TOML that is right in its place; empty where nobody can know it.
    """

    def __init__(self, should: str, got: str, *, at: str = "", write: str = "") -> None:
        super().__init__(f"should be {should}, got {got}")
        self.should = should
        self.got = got
        self.at = at
        self.write = write


class Readable(Protocol):
    """A type of configuration value that reads itself."""

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the value; raises `BadValueError`."""


class Seconds(float):
    """A length of time: `"90s"`, `"10m"`, `"1h"` in TOML, seconds as a float here."""

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the seconds that a duration stands for.

        Raises:
            BadValueError: It is not one, or not within 1 second and 24 hours.
        """
        write = f'"{found}s"' if type(found) is int and _in_a_day(found) else ""
        amount, unit = _split_unit(found, _SECONDS_IN)
        if amount is None:
            should = 'a duration such as "90s", "10m" or "1h"'
            raise BadValueError(should, shown(found), write=write)
        seconds = amount * _SECONDS_IN[unit]
        if not _in_a_day(seconds):
            raise BadValueError('between "1s" and "24h"', shown(found))
        return cls(seconds)


class Size(int):
    """A number of bytes: `"512MiB"` or a whole number in TOML, bytes here."""

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the bytes that a size stands for.

        Raises:
            BadValueError: It is not one, or not above 0, or above what 63 bits hold.
        """
        amount, unit = _split_unit(found, _BYTES_IN)
        if type(found) is int:
            amount, unit = found, "B"
        if amount is None:
            should = 'a size such as "512MiB", or a whole number of bytes'
            raise BadValueError(should, shown(found))
        size_bytes = amount * _BYTES_IN[unit]
        if not 1 <= size_bytes <= _MOST_BYTES:
            raise BadValueError('between 1 byte and "8388607TiB"', shown(found))
        return cls(size_bytes)


class Label(str):
    """A name that people read in one line of output."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the name.

        Raises:
            BadValueError: It is empty, longer than 40 characters, or not printable.
        """
        fits = isinstance(found, str) and len(found) <= _LABEL_LENGTH
        if not (fits and isinstance(found, str) and found.strip()):
            raise BadValueError("text of 1 to 40 characters", shown(found))
        if not found.isprintable():
            raise BadValueError("one line of printable characters", shown(found))
        return cls(found)


def shown(found: object) -> str:
    """Return what was found, short and fit for one line of a message."""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str):
        cut = "…" if len(found) > _SHOWN_LENGTH else ""
        return f"{found[:_SHOWN_LENGTH]!r}{cut}"
    if isinstance(found, int) and abs(found) > _MOST_BYTES:
        return "a number of more than 63 bits"  # str() refuses above 4300 digits
    if isinstance(found, int | float):
        return str(found)
    if found == []:
        return "an empty list"
    return KINDS.get(type(found).__name__, "something else")


def _split_unit(found: object, units: dict[str, int]) -> tuple[int | None, str]:
    if isinstance(found, str):
        unit = next((unit for unit in units if found.endswith(unit)), "")
        digits = found.removesuffix(unit)
        # int() alone would take other scripts, signs, spaces and _, and raise
        # above 4300 digits.
        if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS:
            return (int(digits), unit) if unit else (None, "")
    return None, ""


def _in_a_day(seconds: int) -> bool:
    return 1 <= seconds <= _MOST_SECONDS
