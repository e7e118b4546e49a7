"""From the bytes of a TOML file to a struct, or to one error that says where.

Knows no file in particular: `load` and `server` say which struct it becomes.
"""

from typing import Any, Final, TypeVar

import msgspec

from gitdeploy.config.values import Readable
from gitdeploy.errors import ConfigError

__all__ = ["Table", "read"]

_MOST_BYTES: Final = 64 * 1024


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every table has in common: never changed, no unknown keys."""


_Read = TypeVar("_Read", bound=Table)


def read(data: bytes, kind: type[_Read], *, where: str) -> _Read:
    """Return what a TOML file says, every value checked.

    Args:
        data: The whole file.
        kind: The struct of its top level.
        where: What the file is called in errors, `deploy.toml at ab12cd34ef`.

    Raises:
        ConfigError: It is too large, not UTF-8, not TOML, or not such a struct.
    """
    table = _parse_toml(_decode(data, where), where)
    try:
        return msgspec.convert(table, kind, dec_hook=_read_value)
    except msgspec.ValidationError as error:
        # Only a file that is wrong pays for difflib and typing's introspection.
        from gitdeploy.config.wording import explain

        problem, hint = explain(error, kind, table)
        raise ConfigError(f"{where}: {problem}", hint=hint) from error


def _decode(data: bytes, where: str) -> str:
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{where}: should be at most 64 KiB, got {len(data)} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        found = f"0x{data[error.start]:02x} at byte offset {error.start}"
        raise ConfigError(f"{where}: should be UTF-8, got {found}") from error


def _parse_toml(text: str, where: str) -> dict[str, Any]:
    # A commit without the file is read by nobody: DEFAULTS needs no parser.
    import tomli

    try:
        return tomli.loads(text)
    except RecursionError as error:
        should = "should be TOML without hundreds of nested values"
        raise ConfigError(f"{where}: {should}, got more") from error
    except tomli.TOMLDecodeError as error:
        raise ConfigError(f"{where}: should be TOML, got {_syntax(error)}") from error
    except ValueError as error:  # int() on a number of more than 4300 digits
        should = "should be TOML with numbers of 63 bits"
        raise ConfigError(f"{where}: {should}, got a longer one") from error


def _syntax(error: ValueError) -> str:
    # tomli's own sentence, "Invalid value (at line 2, column 5)", in our order.
    what, _, position = str(error).rpartition(" (at ")
    return f"an error at {position.rstrip(')')}: {what[:1].lower()}{what[1:]}"


def _read_value(kind: type[Readable], found: object) -> Readable:
    return kind.read(found)
