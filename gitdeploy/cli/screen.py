"""What goes to stdout: an aligned table, a line with its word, or one JSON object.

Made for 80 columns; into a pipe nothing is cut or folded. Everything shown is
printable, whatever was in a branch's name.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gitdeploy.model import short_ref
from gitdeploy.system import clock
from gitdeploy.system.terminal import printable

__all__ = [
    "ago",
    "fields",
    "moment",
    "ref",
    "short",
    "show_json",
    "show_line",
    "table",
]

_WIDE: Final = 10_000
_NARROWEST: Final = 80
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86400
_AGES: Final = (
    (_MINUTE_S, 1, "s"),
    (_HOUR_S, _MINUTE_S, "min"),
    (2 * _DAY_S, _HOUR_S, "h"),
    (60 * _DAY_S, _DAY_S, "days"),
)


def show_json(shape: Mapping[str, object]) -> None:
    """Print one object; ASCII only, so that no terminal or locale stumbles."""
    sys.stdout.write(f"{json.dumps(shape, indent=2)}\n")


def show_line(text: str = "", *, style: str = "") -> None:
    """Print one line as it is; the style is for terminals."""
    if style and sys.stdout.isatty():
        Console(highlight=False).print(Text(printable(text), style), soft_wrap=True)
    else:
        sys.stdout.write(f"{printable(text)}\n")
        sys.stdout.flush()


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Print lines that begin with a word each; long ones are folded under themselves.

    Args:
        pairs: Word and text; the same word twice in a row is shown once.
    """
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(min_width=12, no_wrap=True)
    grid.add_column(overflow="fold")
    before = ""
    for word, text in pairs:
        grid.add_row(_cell("" if word == before else word, "bold"), _cell(text))
        before = word
    _write(_rendered(grid))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str] | None],
    *,
    right: Sequence[str] = (),
    folded: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Print a table without lines.

    Args:
        columns: Headings.
        rows: Cells; None leaves a line free.
        right: Headings of the columns whose cells stand at the right.
        folded: Heading of the column that is folded where the terminal is narrow;
            all others are kept whole as long as they can be.
        notes: For each row a text that stands under it; where nothing is folded.
    """
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in columns:
        grid.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=name != folded,
            overflow="fold" if name == folded else "ellipsis",
        )
    for row in rows:
        grid.add_row(*map(_cell, row if row is not None else [""]))
    heading, *lines = _rendered(grid)
    _write([heading, *_with_notes(heading, lines, notes)])


def short(commit: str | None) -> str:
    """Return a commit as people see it."""
    return commit[:10] if commit else ""


def ref(name: str | None) -> str:
    """Return a ref as people see it."""
    return short_ref(name) if name else ""


def ago(when: str) -> str:
    """Return how long ago a moment was, roughly; the day where that is long ago."""
    seconds = max(clock.seconds_since(when), 0)
    for below, unit_s, unit in _AGES:
        if seconds < below:
            return f"{seconds // unit_s:.0f} {unit} ago"
    return when[:10]


def moment(when: str) -> str:
    """Return a moment as people read it, UTC."""
    return when[:16].replace("T", " ")


def _cell(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)


def _with_notes(
    heading: str, lines: Sequence[str], notes: Sequence[str]
) -> Iterator[str]:
    """Yield each line and what is noted of it, from the second column on."""
    second = re.match(r".*?\S  +", heading)
    indent = " " * (second.end() if second else 0)
    for line, note in zip_longest(lines, notes, fillvalue=""):
        yield line
        yield from wrap(
            printable(note),
            _columns(),
            initial_indent=indent,
            subsequent_indent=indent,
        )


def _rendered(grid: Table) -> list[str]:
    console = Console(width=_columns(), highlight=False)
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip() for line in captured.get().splitlines()]


def _columns() -> int:
    """Return how wide lines may be; into a pipe as wide as they are.

    A terminal below 80 columns breaks lines by itself; cutting them would tell less.
    """
    sized = sys.stdout.isatty() or "COLUMNS" in os.environ
    return max(Console().width, _NARROWEST) if sized else _WIDE


def _write(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
