"""What msgspec found wrong, in the words of the house; imported only for an error.

Source:
    msgspec, "Usage > Error messages": a message ends in " - at `$.a.b[0]`"
    unless the top level is meant, and says "Expected `x`, got `y`".
"""

import difflib
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from gitdeploy.config.values import KINDS, BadValueError, shown

__all__ = ["explain"]

_Path = tuple[str | int, ...]

_BOUNDS: Final = {
    " >= ": "{} of at least {}",
    " <= ": "{} of at most {}",
    " of length >= ": "{} of length {} or more",
    " of length <= ": "{} of length {} or less",
}
_KEY: Final = re.compile(r"\.(\w+)|\[(\d+)\]|\[(\.\.\.)\]")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")


def explain(
    error: msgspec.ValidationError, kind: type, table: dict[str, Any]
) -> tuple[str, str]:
    """Return the problem, beginning with its key path, and the hint or "".

    Args:
        error: What msgspec raised.
        kind: The struct it was making.
        table: What it was making it from.
    """
    message, path = _split(str(error), table)
    if message.startswith("Object contains unknown field"):
        return _unknown_key(path, kind, table)
    if message.startswith("Object missing required field"):
        path = (*path, message.split("`")[1])
        return f"{_text(path)}: should be given, got nothing", ""
    wrong = _wrong(error, message, path, kind, table)
    at = f"{_text(path)}{wrong.at}".removeprefix(".")
    return f"{at}: should be {wrong.should}, got {wrong.got}", _hint(at, wrong.write)


def _split(message: str, table: dict[str, Any]) -> tuple[str, _Path]:
    what, marked, place = message.rpartition(" - at `$")
    if not marked or not place.endswith("`"):
        return message, ()
    path: _Path = ()
    for name, index, anywhere in _KEY.findall(place):
        key = _not_text(_at(table, path)) if anywhere else name or int(index)
        path = (*path, key)
    return what, path


def _not_text(found: object) -> str:
    """Return the key that msgspec leaves out: it says `[...]` for any of a dict."""
    items = found.items() if isinstance(found, dict) else ()
    return next((key for key, value in items if not isinstance(value, str)), "...")


def _unknown_key(path: _Path, kind: type, table: dict[str, Any]) -> tuple[str, str]:
    known = sorted(_fields(_kind_at(kind, path)))
    found = _at(table, path)
    keys = found if isinstance(found, dict) else ()
    unknown = next((key for key in keys if key not in known), None)
    if unknown is None:  # a key that looks like a path: the top level was meant
        return _unknown_key((), kind, table)
    near = difflib.get_close_matches(unknown, known, 1)
    should = f"should be one of {', '.join(known)}"
    hint = f"write  {near[0]}" if near else ""
    return f"{_text((*path, unknown))}: {should}, got {shown(unknown)}", hint


def _wrong(
    error: msgspec.ValidationError,
    message: str,
    path: _Path,
    kind: type,
    table: dict[str, Any],
) -> BadValueError:
    if isinstance(error.__cause__, BadValueError):
        return error.__cause__
    found = _at(table, path)
    choices = _choices(_kind_at(kind, path))
    if choices:
        return _not_a_choice(found, choices)
    _, _, rest = message.partition("`")
    kinds, _, rest = rest.partition("`")
    if rest.startswith(", got"):
        write = _in_kind(kinds, found)
        return BadValueError(_kinds(kinds), _kind_of(found), write=write)
    for mark, should in _BOUNDS.items():
        if rest.startswith(mark):
            limit = rest.removeprefix(mark)
            return BadValueError(should.format(_kinds(kinds), limit), shown(found))
    return BadValueError(f"other than it is: {message}", shown(found))


def _not_a_choice(found: object, choices: list[str]) -> BadValueError:
    text = found[:40] if isinstance(found, str) else ""
    near = difflib.get_close_matches(text, choices, 1)
    write = f'"{near[0]}"' if near else ""
    return BadValueError(f"one of {', '.join(choices)}", shown(found), write=write)


def _kinds(names: str) -> str:
    words = [KINDS.get(name, name) for name in names.split(" | ") if name != "null"]
    return " or ".join(words)


def _kind_of(found: object) -> str:
    return KINDS.get(type(found).__name__, "something else")


def _in_kind(kinds: str, found: object) -> str:
    """Return what was meant, as TOML, where only a pair of marks is missing."""
    if kinds == "array" and _is_simple(found):
        return f'["{found}"]'
    if kinds == "str" and type(found) is int and abs(found) < 2**63:
        return f'"{found}"'
    return ""


def _is_simple(found: object) -> bool:
    return (
        isinstance(found, str)
        and found.isprintable()
        and not set('"\\') & set(found)
        and len(found) < 40  # noqa: PLR2004 - longer ones are not worth repeating
    )


def _hint(at: str, write: str) -> str:
    key = at.rpartition(".")[2]
    if not write:
        return ""
    return f"write  {write}" if key.endswith("]") else f"write  {key} = {write}"


def _text(path: _Path) -> str:
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f".{key if _BARE_KEY.fullmatch(key) else shown(key)}"
    return text.removeprefix(".")


def _at(table: dict[str, Any], path: _Path) -> Any:  # noqa: ANN401 - any TOML value
    found: Any = table
    for key in path:
        try:
            found = found[key]
        except (LookupError, TypeError):  # see `_unknown_key`
            return None
    return found


def _kind_at(kind: object, path: _Path) -> object:
    for key in path:
        kind = _step_into(kind, key)
    return kind


def _step_into(kind: object, key: str | int) -> object:
    for part in _parts(kind):
        fields = _fields(part)
        if isinstance(key, str) and key in fields:
            return fields[key].type
        if isinstance(key, int) and get_origin(part) is tuple:
            return get_args(part)[0]
    return str


def _fields(kind: object) -> dict[str, FieldInfo]:
    for part in _parts(kind):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return {info.encode_name: info for info in msgspec.structs.fields(part)}
    return {}


def _choices(kind: object) -> list[str]:
    return [
        str(choice)
        for part in _parts(kind)
        if get_origin(part) is Literal
        for choice in get_args(part)
    ]


def _parts(kind: object) -> Iterator[object]:
    """Yield a type, or the members of a union, without their annotations."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _parts(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for part in get_args(kind):
            yield from _parts(part)
    else:
        yield kind
