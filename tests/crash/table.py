"""Every point of many activities tried, several at once; a row for each kind."""

import multiprocessing
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from crash.activities import ACTIVITIES
from crash.beginnings import Beginnings
from crash.kinds import KINDS

__all__ = ["Row", "tried"]

_AT_ONCE = 8
"""How many points a process is given at a time."""


@dataclass
class Row:
    """An activity, a kind of fault, and what came of it."""

    activity: str
    kind: str
    points: int = 0
    violations: dict[str, list[str]] = field(default_factory=dict)
    """What was wrong, by the point at which the fault was."""


def tried(
    place: Path,
    *,
    kinds: list[str],
    activities: list[str],
    only: str | None,
    every: int,
    jobs: int,
) -> tuple[list[Row], dict[str, str]]:
    """Try faults; return the rows, and for each kind that was left out the reason."""
    left_out = {kind: why for kind in kinds if (why := KINDS[kind].missing())}
    rows = {
        (activity, kind): Row(activity, kind)
        for activity in activities
        for kind in kinds
        if kind not in left_out
    }
    for activity in activities:
        Beginnings(place).of(ACTIVITIES[activity])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        found = {pool.submit(_points, place, *pair): pair for pair in rows}
        struck: dict[Future[dict[str, list[str]]], tuple[str, str]] = {}
        for future in as_completed(found):
            pair = found[future]
            points = [at for at in future.result() if only in (None, at)][::every]
            rows[pair].points = len(points)
            for some in _chunks(points):
                struck[pool.submit(_strike, place, *pair, some)] = pair
        for n, future in enumerate(as_completed(struck), start=1):
            rows[struck[future]].violations.update(future.result())
            _progress(n, len(struck), rows)
    return [row for row in rows.values() if row.points], left_out


def _points(place: Path, activity: str, kind: str) -> list[str]:
    what = ACTIVITIES[activity]
    return KINDS[kind].points(what, Beginnings(place).of(what), place)


def _strike(
    place: Path, activity: str, kind: str, points: list[str]
) -> dict[str, list[str]]:
    """Return what was wrong at some points; those where nothing was are left out."""
    what = ACTIVITIES[activity]
    begin = Beginnings(place).of(what)
    found = {}
    for at in points:
        try:
            wrong = KINDS[kind].strike(what, begin, at, place)
        except Exception:  # noqa: BLE001 - the other points are to be tried as well
            wrong = traceback.format_exc().splitlines()
        if wrong:
            found[at] = wrong
    return found


def _chunks(points: list[str]) -> Iterator[list[str]]:
    for n in range(0, len(points), _AT_ONCE):
        yield points[n : n + _AT_ONCE]


def _progress(n: int, of: int, rows: dict[tuple[str, str], Row]) -> None:
    wrong = sum(len(row.violations) for row in rows.values())
    if n % 50 == 0 or n == of:
        print(f"{n} of {of} parts, {wrong} violations", file=sys.stderr, flush=True)
