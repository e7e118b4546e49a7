"""What the bench says at the end: one table for people, one object for programs."""

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from cases import CASES
from measure import Sample, run
from rich.console import Console
from rich.table import Table
from rivals import BASELINE, FLOOR, RIVALS

NARROWEST = 180
NOTE = (
    "Seconds: median (min\N{EN DASH}max). "
    "Ratios are of medians, to the hand-written hook; below 1 is cheaper.\n"
    "One run on one noisy machine: do not quote the seconds, only the ratios travel."
)
Value = Callable[[Sample], float]


@dataclass(frozen=True)
class Row:
    """All samples of one case on one size of site, by rival."""

    files: int
    case: str
    samples: dict[str, list[Sample]]

    def middle(self, rival: str, value: Value) -> float:
        """Return the median of one measure."""
        return median(map(value, self.samples[rival]))

    def ratio(self, rival: str, value: Value) -> float:
        """Return a rival's median over the baseline's."""
        return self.middle(rival, value) / self.middle(BASELINE, value)


def wall(sample: Sample) -> float:
    """Return the wall time in seconds."""
    return sample.wall_s


def cpu(sample: Sample) -> float:
    """Return the CPU time in seconds."""
    return sample.cpu_s


def machine(runs: int, directory: Path) -> dict[str, str | int]:
    """Return what figures depend on, of this machine and this run."""
    file_system = ["findmnt", "-no", "FSTYPE,OPTIONS", "-T", str(directory)]
    return {
        "cores": os.cpu_count() or 0,
        "git": run(["git", "--version"], os.environ).split()[2],
        "python": platform.python_version(),
        "kernel": platform.release(),
        "filesystem": " ".join(run(file_system, os.environ).splitlines()[-1].split()),
        "runs": runs,
    }


def show(about: dict[str, str | int], rows: Iterable[Row], rivals: list[str]) -> None:
    """Print the machine, the table and how far to trust it."""
    console = Console(highlight=False)
    console.width = max(console.width, NARROWEST)  # wrapped beats cut off
    console.print(
        "{cores} cores, git {git}, Python {python}, {filesystem}; "
        "{runs} runs of each case".format(**about)
    )
    console.print(_table(rows, rivals))
    console.print(NOTE)


def write_json(
    path: Path, about: dict[str, str | int], rows: Iterable[Row], rivals: list[str]
) -> None:
    """Write one object: the machine and, for each row and rival, every sample."""
    results = [_record(row, rival) for row in rows for rival in rivals]
    text = json.dumps({"machine": about, "results": results}, indent=1)
    path.write_text(text + "\n")


def progress(text: str) -> None:
    """Say on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


def _table(rows: Iterable[Row], rivals: list[str]) -> Table:
    table = Table("files")
    table.add_column("case", no_wrap=True)
    columns = _columns(rivals)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    last_files = 0
    for row in rows:
        if last_files not in {0, row.files}:
            table.add_section()
        files = "" if row.files == last_files else f"{row.files:,}"
        cells = [cell(row) for _, cell in columns]
        table.add_row(files, CASES[row.case].title, *cells)
        last_files = row.files
    return table


def _columns(rivals: list[str]) -> list[tuple[str, Callable[[Row], str]]]:
    working = [rival for rival in rivals if rival != FLOOR]
    compared = [r for r in working if r != BASELINE and BASELINE in rivals]
    return [
        *(_spread(rival, "wall", wall) for rival in rivals),
        *(_ratio(rival, "wall", wall) for rival in compared),
        *(_spread(rival, "CPU", cpu) for rival in working),
        *(_ratio(rival, "CPU", cpu) for rival in compared),
    ]


def _spread(rival: str, measure: str, value: Value) -> tuple[str, Callable[[Row], str]]:
    def cell(row: Row) -> str:
        values = [value(sample) for sample in row.samples[rival]]
        return f"{median(values):.3f} ({min(values):.3f}\N{EN DASH}{max(values):.3f})"

    return f"{RIVALS[rival].title}\n{measure}, s", cell


def _ratio(rival: str, measure: str, value: Value) -> tuple[str, Callable[[Row], str]]:
    def cell(row: Row) -> str:
        return f"{row.ratio(rival, value):.2f}"

    return f"{RIVALS[rival].title}\n{measure}, ratio", cell


def _record(row: Row, rival: str) -> dict[str, object]:
    compared = BASELINE in row.samples
    return {
        "files": row.files,
        "case": row.case,
        "rival": rival,
        "wall_s": row.middle(rival, wall),
        "cpu_s": row.middle(rival, cpu),
        "wall_ratio": row.ratio(rival, wall) if compared else None,
        "cpu_ratio": row.ratio(rival, cpu) if compared else None,
        "samples": [asdict(sample) for sample in row.samples[rival]],
    }
