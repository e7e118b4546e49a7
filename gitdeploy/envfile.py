"""A .env file read and changed as python-dotenv reads it; never interpolated.

What is written is read alike by bash, PHP and Node where the value allows it, and a
shell that sources the file runs nothing of a value.
"""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from dotenv.parser import Binding, parse_stream

from gitdeploy.errors import ConfigError, UsageError

__all__ = ["check", "check_key", "updated", "values"]

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_RUN_BY_A_SHELL: Final = re.compile(r"`|\$[({[]")
"""Begins what is run, or may run what another variable holds, in double quotes
(bash(1), EXPANSION: command substitution, arithmetic, indices, `@P`)."""
_EXPORT: Final = re.compile(r"export[^\S\r\n]+")
_VALUE_AND_COMMENT: Final = re.compile(
    r"""[^=]*=[^\S\r\n]*
    (?:'(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | [^\r\n]*?)
    (?P<comment>[^\S\r\n]+\#[^\r\n]*)?
    [^\S\r\n]*(?:\r\n|\n|\r|$)""",
    re.DOTALL | re.VERBOSE,
)


def values(data: bytes) -> dict[str, str]:
    """Return what a .env file with that content sets; no `=` sets nothing.

    Bytes that are not UTF-8 become surrogates. Lines that nobody can read are passed
    over, as python-dotenv does; `check` finds them.
    """
    return _parsed(_text(data))


def check(text: str) -> None:
    """Say nothing if python-dotenv can read every line.

    Raises:
        ConfigError: It cannot; the message names the first such line.
    """
    for binding in _bindings(text):
        if binding.error:
            line = binding.original.line
            raise ConfigError(
                f".env: line {line}: should be NAME=value, a comment, or empty",
                hint="quotes that are opened must be closed",
            )


def check_key(key: str) -> None:
    """Say nothing if `key` can be the name of a variable.

    Raises:
        UsageError: It cannot.
    """
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"variable name {key!r}: should be letters, digits and underscores,"
            " and not start with a digit"
        )


def updated(text: str, changes: Mapping[str, str | None]) -> str:
    """Return the text of a .env file with some variables set or unset.

    Comments, order, and all other lines stay. A variable that was set more than once
    is set once afterwards: some readers take the first and some the last.

    Args:
        text: The file as it is, line ends untouched.
        changes: Names and new values; None unsets.

    Raises:
        UsageError: A name is no variable's name, or a value cannot be written.
        ConfigError: A line of the text cannot be read.
    """
    for key in changes:
        check_key(key)
    check(text)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = {
        key: None if value is None else f"{key}={_quoted(key, value)}"
        for key, value in changes.items()
    }
    kept = "".join(_changed(_bindings(text), lines, end))
    if lines and kept and not kept.endswith(("\n", "\r")):
        kept += end
    return kept + "".join(f"{line}{end}" for line in lines.values() if line)


def _changed(
    bindings: Iterable[Binding], lines: dict[str, str | None], end: str
) -> Iterator[str]:
    """Yield the text of each binding; what was written is taken out of `lines`."""
    changing = frozenset(lines)
    for binding in bindings:
        text = binding.original.string
        if binding.key is None or binding.key not in changing:
            yield text
            continue
        body = text.lstrip()
        yield text.removesuffix(body)
        if line := lines.pop(binding.key, None):
            yield _rewritten(body, line, end)


def _rewritten(body: str, line: str, end: str) -> str:
    """Return a line in place of another; `export` and a comment behind it stay."""
    export = _EXPORT.match(body)
    match = _VALUE_AND_COMMENT.fullmatch(body)
    comment = (match["comment"] or "") if match else ""
    return f"{export.group() if export else ''}{line}{comment}{end}"


# --- quoting --------------------------------------------------------------------


def _quoted(key: str, value: str) -> str:
    """Return the first form of a value that is read back as exactly that value.

    Raises:
        UsageError: There is none.
    """
    for form in _FORMS:
        written = form(value)
        if written is not None and _survives(written, value):
            return written
    why = ""
    if _RUN_BY_A_SHELL.search(value):
        why = ": a shell that reads the file would run a part of it"
    raise UsageError(
        f"{key}: this value cannot be written in a .env file{why}",
        hint="encode it, for example with  base64 -w0",
    )


def _plain(value: str) -> str | None:
    return value if _PLAIN.fullmatch(value) else None


def _single(value: str) -> str | None:
    """Nothing is special between single quotes, in any of the languages."""
    return None if set(value) & {"'", "\n", "\r"} else f"'{value}'"


def _double(value: str) -> str | None:
    r"""A line end stays one: bash, PHP and Node read that alike, and not `\n`."""
    if _RUN_BY_A_SHELL.search(value):
        return None
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
    return f'"{escaped}"'


def _single_lines(value: str) -> str | None:
    """What a shell would run otherwise; of PHP's readers some take one line only."""
    return None if "'" in value else f"'{value}'"


_FORMS: Final[tuple[Callable[[str], str | None], ...]] = (
    _plain,
    _single,
    _double,
    _single_lines,
)


def _survives(written: str, value: str) -> bool:
    """Return whether a form is read back, whatever quotes follow in the file."""
    return "\0" not in value and all(
        _parsed(f"A={written}\n{rest}") == {"A": value, "B": "b"}
        for rest in ("B=b\n", "B='b'\n", 'B="b"\n')
    )


# --- reading --------------------------------------------------------------------


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _parsed(text: str) -> dict[str, str]:
    # As open() reads it, which is what python-dotenv does with a path.
    translated = io.StringIO(text, newline=None).read()
    return {
        binding.key: binding.value
        for binding in _bindings(translated)
        if binding.key is not None and binding.value is not None
    }


def _bindings(text: str) -> list[Binding]:
    return list(parse_stream(io.StringIO(text, newline="")))
