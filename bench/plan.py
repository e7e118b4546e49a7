"""Which parts one run of the bench has, in which order, and how long each may take."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from capistrano import CASES as CAPISTRANO_CASES
from capistrano import capistrano_rows
from cases import round_of
from floors import FLOORS, floor_rows, start_rows
from memory import blob_rows
from pushes import WARM_UP_PUSHES, push_rows
from releases import RELEASES, release_rows
from results import Row
from rivals import Rival
from session import FEWER_RUNS, LARGE, Route, Session
from steps import REUSES, TOOLS, step_rows

PARTS = ("push", "floors", "releases", "memory", "steps", "capistrano")
PUSH_S = 0.7
"""About what a push of anything takes, ssh and a look at the result included."""
BLOB_S, STEP_S, CAP_S = 12.0, 12.0, 3.0
FILE_S = 0.0003
"""About what it takes to make a file of the site, commit it and look at it."""
TRIES = 3
LARGEST_BESIDE_CAPISTRANO = 30_000


@dataclass(frozen=True)
class Choice:
    """What was asked for on the command line."""

    parts: list[str]
    files: list[int]
    cases: list[str]
    rivals: Mapping[str, Rival]
    over: list[str]
    release_files: int
    step: str = ""
    """A build step that the sites of `push` declare, a shell command."""


@dataclass(frozen=True)
class Unit:
    """One piece of the bench."""

    title: str
    seconds: float
    rows: Callable[[], Iterable[Row]]


def seconds_a_file(directory: Path) -> float:
    """Return what writing and removing one small file takes here, tried just now."""
    return min(_tried(directory, 1_000) for _ in range(TRIES))


def _tried(directory: Path, count: int) -> float:
    os.sync()  # what others wrote says nothing about us
    started_s = time.perf_counter()
    names = [directory / f"{number}.try" for number in range(count)]
    for name in names:
        name.write_bytes(bytes(5_000))
    os.sync()
    for name in names:
        name.unlink()
    os.sync()
    return (time.perf_counter() - started_s) / count


def plan(
    choice: Choice, session: Session, routes: list[Route], file_s: float
) -> list[Unit]:
    """Return what is to be done, the parts in their order; `file_s` is for guesses."""
    makers: dict[str, Callable[[], list[Unit]]] = {
        "push": partial(_pushes, choice, session, routes, file_s),
        "floors": partial(_floors, choice, session, file_s),
        "releases": partial(_releases, choice, session, routes, file_s),
        "memory": partial(_memory, session, routes),
        "steps": partial(_steps, session),
        "capistrano": partial(_capistrano, choice, session, routes, file_s),
    }
    return [unit for part in PARTS if part in choice.parts for unit in makers[part]()]


def _pushes(
    choice: Choice, session: Session, routes: list[Route], file_s: float
) -> list[Unit]:
    return [
        Unit(
            f"{files:,} files over {route.name}",
            _guess(choice, session.runs, files, file_s),
            partial(
                push_rows,
                session,
                route,
                files,
                choice.cases,
                choice.rivals,
                choice.step,
            ),
        )
        for files in choice.files
        for route in routes
        if route.name in choice.over and not _is_twice(choice, files, route, routes)
    ]


def _is_twice(choice: Choice, files: int, route: Route, routes: list[Route]) -> bool:
    """Whether a site is so large that one of two routes is enough."""
    both = len(routes) > 1 and "ssh" in choice.over
    return files >= LARGE and both and not route.loopback


def _guess(choice: Choice, runs: int, files: int, file_s: float) -> float:
    """Two rivals write and remove a tree with each push, a third with its first."""
    first = runs * ("first" in choice.cases)
    others = runs * len(round_of(choice.cases)) + WARM_UP_PUSHES
    trees = 3 * (first + 1) + 2 * others
    pushes = len(choice.rivals) * (first + others)
    return files * (trees * file_s + pushes * FILE_S / 10 + FILE_S) + pushes * PUSH_S


def _floors(choice: Choice, session: Session, file_s: float) -> list[Unit]:
    units = [Unit("Python's start", session.runs * 0.5, partial(start_rows, session))]
    for files in choice.files:
        trees = session.runs_alone(files) * (len(FLOORS) - 1) + 1
        guess = files * (trees * file_s + FILE_S) + trees * 0.2
        rows = partial(floor_rows, session, files)
        units.append(Unit(f"commands alone, {files:,} files", guess, rows))
    return units


def _releases(
    choice: Choice, session: Session, routes: list[Route], file_s: float
) -> list[Unit]:
    files = choice.release_files
    guess = 2 * RELEASES * (files * (file_s + FILE_S / 10) + PUSH_S)
    rows = partial(release_rows, session, routes[0], files)
    return [Unit(f"{RELEASES} releases of {files:,} files", guess, rows)]


def _memory(session: Session, routes: list[Route]) -> list[Unit]:
    runs = min(session.runs, FEWER_RUNS)
    over_ssh = [route for route in routes if route.loopback]
    return [
        Unit("a file of 1 GB", runs * 4 * BLOB_S, partial(blob_rows, session, route))
        for route in over_ssh
    ]


def _steps(session: Session) -> list[Unit]:
    guess = (session.runs * 6 + 8) * STEP_S
    route = Route(session.env)
    return [
        Unit(
            f"{TOOLS[name].name}, reuse = {reuse}",
            guess,
            partial(step_rows, session, route, name, reuse),
        )
        for name in TOOLS
        for reuse in REUSES
    ]


def _capistrano(
    choice: Choice, session: Session, routes: list[Route], file_s: float
) -> list[Unit]:
    pushes = session.runs * len(CAPISTRANO_CASES) + WARM_UP_PUSHES
    sizes = [files for files in choice.files if files <= LARGEST_BESIDE_CAPISTRANO]
    return [
        Unit(
            f"Capistrano, {files:,} files",
            pushes * (2 * files * file_s + CAP_S + PUSH_S),
            partial(capistrano_rows, session, routes[-1], files),
        )
        for files in sizes
    ]
