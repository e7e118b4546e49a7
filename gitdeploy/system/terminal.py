"""Text made fit for a person's terminal; pure."""

import re
from collections.abc import Sequence
from typing import Final

__all__ = ["count", "fit", "for_humans", "human_bytes", "human_time", "printable"]

# C0 and C1 but for the tab, DEL, what reorders text (Unicode bidi controls), and
# surrogates: bytes that were not UTF-8.
_UNFIT: Final = (
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)
_SEQUENCE: Final = (
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\^_]"
)
_SHORT_S: Final = 0.1
_MINUTE_S: Final = 60
_HOUR_MIN: Final = 60


def printable(text: str) -> str:
    r"""Return text that cannot act on a terminal.

    Whole escape sequences are dropped; any other control character is shown as
    `\x07`; bytes that were not UTF-8 as `\xff`.
    """
    if text.isprintable():  # stricter than we are, and nearly always so
        return text
    text = re.sub(_SEQUENCE, "", text)
    return re.sub(_UNFIT, lambda match: _escaped(match.group()), text)


def fit(text: str, width: int) -> str:
    """Return `text`, its end replaced by an ellipsis where it is wider."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def for_humans(run: str | Sequence[str]) -> str:
    """Return a command as one printable line."""
    if not isinstance(run, str):
        import shlex

        run = shlex.join(run)
    return printable(" ".join(run.split()))


def human_time(seconds: float) -> str:
    """Return a duration as people say it: `20 ms`, `4 min 10 s`, `3 h 5 min`."""
    if seconds < _SHORT_S:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < _MINUTE_S:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    if minutes < _HOUR_MIN:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / _MINUTE_S), _HOUR_MIN)
    return f"{hours} h {minutes} min"


def human_bytes(size_bytes: float) -> str:
    """Return a size as people say it: `812 B`, `3.4 MiB`."""
    step = 1024
    if size_bytes < step:
        return f"{size_bytes:.0f} B"
    for unit in ("KiB", "MiB"):
        size_bytes /= step
        if round(size_bytes, 1) < step:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / step:.1f} GiB"


def count(number: int, noun: str) -> str:
    """Return `1 file`, `1,284 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte, see PEP 383
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - Latin-1
