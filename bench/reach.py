"""What is wanted of gitdeploy, and whether this run reached it."""

from collections.abc import Iterator
from dataclasses import dataclass

from releases import CASE as TEN
from results import Results, Value, held_mb, peak_mb, wall, written_mb
from steps import REUSES, TOOLS

SMALL, BIG, HUGE = 100, 30_000, 100_000
PEAK_MB = 200.0


@dataclass(frozen=True)
class Goal:
    """One line of the table: a figure, and the most that it may be."""

    case: str
    most: float
    value: float | None
    unit: str
    """What follows the figures: a yardstick, or MB."""

    @property
    def wanted(self) -> str:
        """The most that it may be, in words."""
        return f"\N{LESS-THAN OR EQUAL TO} {self.most:g} {self.unit}"

    @property
    def measured(self) -> str:
        """The figure, in words."""
        return "not measured" if self.value is None else f"{self.value:.4g}"

    @property
    def verdict(self) -> str:
        """Whether it was reached."""
        if self.value is None:
            return "\N{EN DASH}"
        return "yes" if self.value <= self.most else "no"


def reached(results: Results) -> Iterator[Goal]:
    """Yield every goal with what this run measured of it."""
    hook, none = (f"\N{MULTIPLICATION SIGN} {name}" for name in ("the hook", "no hook"))
    one, first = "one changed, no step", "first push"
    yield Goal(f"{SMALL} files, {one}", 1.5, _push(results, SMALL, "one"), hook)
    yield Goal(f"{BIG:,} files, {one}", 0.25, _push(results, BIG, "one"), hook)
    yield Goal(f"{BIG:,} files, {first}", 0.9, _push(results, BIG, "first"), hook)
    for case, words in (("revert", "revert"), ("tag", "tag on staged")):
        above = _above_python(results, case)
        yield Goal(f"{BIG:,} files, {words}, less Python's start", 1.5, above, none)
    for words, value in (("written by", written_mb), ("held by", held_mb)):
        title = f"disk {words} ten releases of {BIG:,} files"
        yield Goal(title, 0.2, _ratio(results, "releases", TEN, value), hook)
    for name, tool in TOOLS.items():
        for reuse in REUSES:
            title = f"{tool.name}, reuse = {reuse}, lock file unchanged"
            same = _ratio(results, "steps", f"{name}-{reuse}-same", wall)
            yield Goal(title, 0.1, same, hook)
    yield Goal(f"peak memory, {HUGE:,} files", PEAK_MB, _peak(results, "push"), "MB")
    yield Goal("peak memory, a file of 1 GB", PEAK_MB, _peak(results, "memory"), "MB")


def _push(results: Results, files: int, case: str) -> float | None:
    row = results.find("push", files, case)
    return row.ratio("gitdeploy", "hook", wall) if row else None


def _ratio(results: Results, part: str, case: str, value: Value) -> float | None:
    row = results.find(part, None, case)
    return row.ratio("gitdeploy", "hook", value) if row else None


def _above_python(results: Results, case: str) -> float | None:
    row = results.find("push", BIG, case)
    start = results.find("floors", 0, "Python alone")
    if row is None or start is None:
        return None
    python_s = start.middle("alone", wall)
    mine, none = row.middle("gitdeploy", wall), row.middle("none", wall)
    if mine is None or python_s is None or not none:
        return None
    return (mine - python_s) / none


def _peak(results: Results, part: str) -> float | None:
    wanted = {"push": HUGE}.get(part)
    rows = [row for row in results.of(part) if wanted in {None, row.files}]
    peaks = [peak for row in rows for peak in row.values("gitdeploy", peak_mb)]
    return max(peaks, default=None)
