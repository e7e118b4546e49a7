"""The tables made of results: what stands in which cell, however it is shown."""

from collections.abc import Callable
from dataclasses import dataclass, field

from cases import CASES
from floors import FLOORS
from reach import reached
from releases import RELEASES
from results import Results, Row, Value, cpu, held_mb, peak_mb, wall, written_mb
from rivals import RIVALS
from steps import CASES as STEP_CASES
from steps import TOOLS

NOTHING = "\N{EN DASH}"
SPREAD = 0.3
"""Above this, relative to the median, the middle runs lay far apart: a ~ says so."""

Cell = Callable[[Row], str]


@dataclass
class Table:
    """Headings and cells; a heading is a measure and what it was measured of."""

    title: str
    headings: list[tuple[str, str]]
    rows: list[list[str]] = field(default_factory=list)


def tables(results: Results) -> list[Table]:
    """Return every table that there are rows for; what was reached comes last."""
    made = [
        *_push_tables(results),
        _beside_capistrano(results),
        _floors(results),
        _releases(results),
        _memory(results),
        _steps(results),
        _reach(results),
    ]
    return [table for table in made if table.rows]


def number(value: float | None) -> str:
    """Return a figure with about three digits."""
    if value is None:
        return NOTHING
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0  # noqa: PLR2004
    return f"{value:,.{digits}f}"


def _push_tables(results: Results) -> list[Table]:
    made: dict[tuple[int, str], Table] = {}
    for row in results.of("push"):
        over = "over ssh" if row.over == "ssh" else "over a path"
        columns = _push_columns(list(row.samples))
        headings = [heading for heading, _ in columns]
        title = f"{row.files:,} files, {over}"
        table = made.setdefault((row.files, over), Table(title, [("", ""), *headings]))
        table.rows.append([CASES[row.case].title, *(cell(row) for _, cell in columns)])
    return list(made.values())


def _push_columns(rivals: list[str]) -> list[tuple[tuple[str, str], Cell]]:
    titles = {name: rival.title for name, rival in RIVALS.items()}
    columns = [
        (("wall, s", titles.get(name, name)), _spread(name, wall)) for name in rivals
    ]
    columns += _ratios("wall", rivals, wall)
    for measure, value in (("CPU", cpu), ("disk", written_mb)):
        unit = "CPU, s" if value is cpu else "disk, MB"
        columns.append(((unit, "gitdeploy"), _spread("gitdeploy", value)))
        columns += _ratios(measure, rivals, value)
    return columns


def _ratios(
    measure: str, rivals: list[str], value: Value
) -> list[tuple[tuple[str, str], Cell]]:
    others = [name for name in ("hook", "checkout", "earlier") if name in rivals]
    return [
        ((measure, f"÷ {name}"), _ratio("gitdeploy", name, value)) for name in others
    ]


def _spread(rival: str, value: Value) -> Cell:
    def cell(row: Row) -> str:
        values, middle = sorted(row.values(rival, value)), row.middle(rival, value)
        inner = values[1:-1] or values
        far = bool(middle) and (inner[-1] - inner[0]) / (middle or 1) > SPREAD
        return f"{'~' if far else ''}{number(middle)}"

    return cell


def _ratio(rival: str, other: str, value: Value) -> Cell:
    def cell(row: Row) -> str:
        ratio = row.ratio(rival, other, value)
        return NOTHING if ratio is None else f"{ratio:.2f}"

    return cell


def _beside_capistrano(results: Results) -> Table:
    columns: list[tuple[tuple[str, str], Cell]] = [
        (("wall, s", "gitdeploy"), _spread("gitdeploy", wall)),
        (("wall, s", "capistrano"), _spread("capistrano", wall)),
        (("wall", "ratio"), _ratio("gitdeploy", "capistrano", wall)),
        (("CPU, s", "gitdeploy"), _spread("gitdeploy", cpu)),
        (("CPU, s", "capistrano"), _spread("capistrano", cpu)),
        (("CPU", "ratio"), _ratio("gitdeploy", "capistrano", cpu)),
    ]
    title = "Beside Capistrano: git push over ssh, then cap production deploy"
    headings = [("", "files"), ("", "case"), *(heading for heading, _ in columns)]
    rows = [
        [f"{row.files:,}", CASES[row.case].title, *(cell(row) for _, cell in columns)]
        for row in results.of("capistrano")
    ]
    return Table(title, headings, rows)


def _floors(results: Results) -> Table:
    rows = results.of("floors")
    sizes = sorted({row.files for row in rows if row.files})
    found = {(row.case, row.files): row for row in rows}
    cell = _spread("alone", wall)
    headings = [("", "alone, wall s"), *(("files", f"{size:,}") for size in sizes)]
    table = Table("Floors: what a whole tree costs alone, without a push", headings)
    for name, floor in FLOORS.items():
        cells = [found.get((name, size)) for size in sizes]
        if any(cells):
            shown = [cell(row) if row else NOTHING for row in cells]
            table.rows.append([floor.title, *shown])
    for row in rows:
        if not row.files:
            blank = [""] * (len(sizes) - 1)
            table.rows.append([row.case, cell(row), *blank])
    return table


def _releases(results: Results) -> Table:
    headings = [("", "measure"), ("MB", "gitdeploy"), ("MB", "hook"), ("", "ratio")]
    table = Table(
        "Disk: the first and nine more releases, one file changed each", headings
    )
    for row in results.of("releases"):
        for words, value in (("written to", written_mb), ("held of", held_mb)):
            both = [number(row.middle(name, value)) for name in ("gitdeploy", "hook")]
            what = f"{words} the disk, {RELEASES} releases of {row.files:,} files"
            table.rows.append([what, *both, _ratio("gitdeploy", "hook", value)(row)])
    return table


def _memory(results: Results) -> Table:
    names = list(RIVALS)
    title = "Peak memory of the largest process on the server's side, over ssh"
    headings = [("", "push"), *(("MB", RIVALS[name].title) for name in names)]
    table = Table(title, headings)
    for row in memory_rows(results):
        peaks = [max(row.values(name, peak_mb), default=None) for name in names]
        table.rows.append([_memory_title(row), *(number(peak) for peak in peaks)])
    return table


def memory_rows(results: Results) -> list[Row]:
    """Return the pushes over ssh of the largest site, and of the largest file."""
    pushes = [row for row in results.of("push") if row.over == "ssh"]
    most = max((row.files for row in pushes), default=0)
    return [*(row for row in pushes if row.files == most), *results.of("memory")]


def _memory_title(row: Row) -> str:
    if row.part == "memory":
        return "one file of 1 GB"
    return f"{row.files:,} files, {CASES[row.case].title}"


def _steps(results: Results) -> Table:
    headings = [("", "case"), ("wall, s", "gitdeploy"), ("wall, s", "hook")]
    headings += [("wall", "ratio"), ("CPU", "ratio"), ("wall, s", "command alone")]
    table = Table("A real dependency step, beside a hook that always runs it", headings)
    for row in results.of("steps"):
        tool, reuse, case = row.case.split("-")
        both = [_spread(name, wall)(row) for name in ("gitdeploy", "hook")]
        ratios = [_ratio("gitdeploy", "hook", value)(row) for value in (wall, cpu)]
        alone = number(row.middle("alone", wall))
        what = f"{TOOLS[tool].name}, reuse = {reuse}, {STEP_CASES[case]}"
        table.rows.append([what, *both, *ratios, alone])
    return table


def _reach(results: Results) -> Table:
    headings = [("", "case"), ("", "wanted"), ("", "measured"), ("", "reached")]
    table = Table("Reach: ratios of medians in this run", headings)
    goals = list(reached(results))
    for goal in goals if any(goal.value is not None for goal in goals) else []:
        table.rows.append([goal.case, goal.wanted, goal.measured, goal.verdict])
    return table
