"""How results are shown: on a terminal, and as the tables of a document."""

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from disk import file_system
from measure import run
from results import Results
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from tables import Table, tables

NARROWEST = 120
NOTE = (
    "Medians. Ratios are of medians, below 1 is cheaper; ~: the runs lay far apart.\n"
    "One run on one machine: do not quote the seconds, only the ratios travel."
)
SHORT = {"checkout -f": "checkout", "÷ checkout": "÷ chk"}
"""So that the widest table is not wider."""


def machine(runs: int, directory: Path, env: Mapping[str, str]) -> dict[str, str | int]:
    """Return what figures depend on, of this machine and this run."""
    return {
        "cores": os.cpu_count() or 0,
        "git": run(["git", "--version"], env).split()[2],
        "python": platform.python_version(),
        "kernel": platform.release(),
        "filesystem": file_system(directory, env),
        "runs": runs,
    }


def show(results: Results) -> None:
    """Print the machine, the tables and how far to trust them."""
    console = Console(highlight=False)
    console.width = max(console.width, NARROWEST)  # wrapped beats cut off
    console.print(_machine(results))
    for table in tables(results):
        console.print(f"\n{table.title}", style="bold", end="")
        console.print(_grid(table), end="")
    for sentence in results.missing:
        console.print(f"not measured: {sentence}")
    console.print(NOTE)


def write_markdown(path: Path, results: Results) -> None:
    """Write the same tables, in the form that documents have them."""
    lines = [_machine(results), ""]
    for table in tables(results):
        lines += [f"### {table.title}", "", *_markdown(table), ""]
    lines += [f"Not measured: {sentence}." for sentence in results.missing]
    lines += ["", *NOTE.splitlines(), ""]
    path.write_text("\n".join(lines))


def _machine(results: Results) -> str:
    words = "{cores} cores, Linux {kernel}, git {git}, Python {python}, {filesystem}"
    return f"{words}; {{runs}} runs of each case".format(**results.machine)


def _grid(table: Table) -> Grid:
    grid = Grid(
        box=SIMPLE_HEAD,
        padding=(0, 0),
        pad_edge=False,
    )
    before = ""
    for number, (measure, name) in enumerate(table.headings):
        group = measure if measure != before else ""
        justify = "right" if number and measure else "left"
        heading = f"{group}\n{SHORT.get(name, name)}" if _has_groups(table) else name
        grid.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        before = measure
    for row in table.rows:
        grid.add_row(*row)
    return grid


def _has_groups(table: Table) -> bool:
    return any(measure for measure, _ in table.headings)


def _markdown(table: Table) -> Iterator[str]:
    names = [" ".join(filter(None, heading)) for heading in table.headings]
    marks = ["---:" if measure else "---" for measure, _ in table.headings]
    for cells in (names, marks, *table.rows):
        yield f"| {' | '.join(cells)} |"
