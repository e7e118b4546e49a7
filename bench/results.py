"""What was measured, as rows of samples; how it is shown is not known here."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from measure import Sample

Value = Callable[[Sample], float | None]


@dataclass(frozen=True)
class Row:
    """All samples of one case, by rival or by command."""

    part: str
    """push, floors, releases, memory, steps or capistrano."""
    over: str
    """path or ssh."""
    files: int
    case: str
    samples: dict[str, list[Sample]]

    def values(self, rival: str, value: Value) -> list[float]:
        """Return what could be counted of one measure, in the order of the runs."""
        found = (value(sample) for sample in self.samples.get(rival, []))
        return [number for number in found if number is not None]

    def middle(self, rival: str, value: Value) -> float | None:
        """Return the median of one measure; None where there is none."""
        values = self.values(rival, value)
        return median(values) if values else None

    def ratio(self, rival: str, other: str, value: Value) -> float | None:
        """Return one rival's median over another's; None where one is missing."""
        mine, theirs = self.middle(rival, value), self.middle(other, value)
        return None if mine is None or not theirs else mine / theirs


@dataclass
class Results:
    """All rows of one run of the bench, and what they depend on."""

    machine: dict[str, str | int]
    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Sentences: what could not be measured on this machine, and why."""

    def of(self, part: str) -> list[Row]:
        """Return the rows of one part, in the order they were measured."""
        return [row for row in self.rows if row.part == part]

    def find(self, part: str, files: int | None, case: str) -> Row | None:
        """Return the row of a case, that over ssh where there are two."""
        found = [
            row
            for row in self.of(part)
            if row.case == case and files in {None, row.files}
        ]
        return max(found, key=lambda row: row.over == "ssh", default=None)


def wall(sample: Sample) -> float:
    """Return the wall time in seconds."""
    return sample.wall_s


def cpu(sample: Sample) -> float:
    """Return the CPU time in seconds."""
    return sample.cpu_s


def written_mb(sample: Sample) -> float | None:
    """Return what went to disk, in megabytes."""
    return None if sample.written_bytes is None else sample.written_bytes / 1e6


def held_mb(sample: Sample) -> float | None:
    """Return what the releases hold of the disk, in megabytes."""
    return None if sample.held_bytes is None else sample.held_bytes / 1e6


def peak_mb(sample: Sample) -> float | None:
    """Return the peak memory of the server's side, in megabytes."""
    return None if sample.peak_bytes is None else sample.peak_bytes / 1e6


def write_json(path: Path, results: Results) -> None:
    """Write one object: the machine, and each rival's every sample in each row."""
    records = [record for row in results.rows for record in _records(row)]
    whole = {
        "machine": results.machine,
        "missing": results.missing,
        "results": records,
    }
    path.write_text(json.dumps(whole, indent=1) + "\n")


def _records(row: Row) -> Iterable[dict[str, object]]:
    for rival, samples in row.samples.items():
        yield {
            "part": row.part,
            "over": row.over,
            "files": row.files,
            "case": row.case,
            "rival": rival,
            "wall_s": row.middle(rival, wall),
            "cpu_s": row.middle(rival, cpu),
            "samples": [asdict(sample) for sample in samples],
        }
