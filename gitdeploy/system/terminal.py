"""Text made fit for a person's terminal; pure."""

import re
import shlex
from collections.abc import Sequence
from typing import Final

__all__ = ["count", "fit", "for_humans", "human_bytes", "human_time", "printable"]

# C0 and C1 but for the tab, DEL, and what reorders text (Unicode bidi controls).
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]"
)
_SHORT_S: Final = 0.1
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


def printable(text: str) -> str:
    r"""Return text that cannot act on a terminal.

    Whole escape sequences are dropped; any other control character is shown as
    `\x07`; bytes that were not UTF-8 as `\xff`.
    """
    text = _SEQUENCE.sub("", text)
    text = _CONTROL.sub(lambda match: _escaped(match.group()), text)
    return text.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")


def fit(text: str, width: int) -> str:
    """Return `text`, its end replaced by an ellipsis where it is wider."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def for_humans(run: str | Sequence[str]) -> str:
    """Return a command as one printable line."""
    line = run if isinstance(run, str) else shlex.join(run)
    return printable(" ".join(line.split()))


def human_time(seconds: float) -> str:
    """Return a duration as people say it: `20 ms`, `4 min 10 s`, `3 h 5 min`."""
    if seconds < _SHORT_S:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:.0f} s"
    return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"


def human_bytes(size_bytes: float) -> str:
    """Return a size as people say it: `812 B`, `3.4 MiB`."""
    step = 1024
    for unit in ("B", "KiB", "MiB"):
        if size_bytes < step:
            return (
                f"{size_bytes:.0f} {unit}"
                if unit == "B"
                else f"{size_bytes:.1f} {unit}"
            )
        size_bytes /= step
    return f"{size_bytes:.1f} GiB"


def count(number: int, noun: str) -> str:
    """Return `1 file`, `1,284 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - Latin-1
