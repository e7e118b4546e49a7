"""What must be true of a world: at every instant, and when all is settled again.

Each check returns sentences about what is wrong; none where all is well.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crash.inside import end_all
from crash.world import SHARED, File, World, expected
from gitdeploy.deploy import look

EMPTY = "empty"
_OURS = "refs/deploy/"

# What only git makes, under names nobody looks at; its own gc removes them.
_GITS_OWN = ("tmp_obj", "tmp_pack", "tmp_idx", "tmp_rev", "tmp_objdir")


# --- what links show --------------------------------------------------------------


def shown(world: World) -> dict[str, str]:
    """Return for each public link the seven digits of the commit it shows.

    `empty` for the empty directory; what is no such thing as it stands.
    """
    found = {}
    for link in sorted(world.target.iterdir()) if world.target.is_dir() else []:
        if not link.name.startswith("."):
            real = Path(os.path.realpath(link))
            ours = real.parent == Path(os.path.realpath(world.home / "releases"))
            found[link.name] = real.name.rpartition("-")[2] if ours else real.name
    return found


def check_links(world: World, names: Iterator[str] | list[str] = ()) -> list[str]:
    """THE INVARIANT: every public link resolves to a complete release or to nothing.

    Nothing is the empty directory. Looks only, so that it may be asked right after a
    kill, and changes nothing of what is found then.

    Args:
        world: The world.
        names: Links that must be there, besides those that are.
    """
    there = shown(world)
    found = [f"link {name} is gone" for name in names if name not in there]
    for name in there:
        found += [f"link {name}: {wrong}" for wrong in _wrong_link(world, name)]
    return found


def _wrong_link(world: World, name: str) -> list[str]:
    link = world.target / name
    if not link.is_symlink():
        return ["is no link"]
    real = Path(os.path.realpath(link))
    if not real.is_dir():
        return [f"dangles: {os.readlink(link)}"]
    if real == Path(os.path.realpath(world.home / EMPTY)):
        return ["the empty directory is not empty"] if os.listdir(real) else []
    return wrong_release(world, real)


def wrong_release(world: World, release: Path) -> list[str]:
    """Return how a directory differs from what its commit's release must hold."""
    wanted = expected(world.clone).get(release.name.rpartition("-")[2])
    if wanted is None:
        return [f"{release} is no release"]
    have = dict(_held(release))
    found = [f"{release.name} lacks {name}" for name in wanted.keys() - have.keys()]
    found += [f"{release.name} has {name}" for name in have.keys() - wanted.keys()]
    found += [
        f"{release.name}/{name} is {have[name]}, not {wanted[name]}"
        for name in wanted.keys() & have.keys()
        if have[name] != wanted[name]
    ]
    for name, content in SHARED.items():
        path = release / name
        if not path.is_file() or path.read_bytes() != content:
            found.append(f"{release.name}/{name} is not what is shared")
    return found


def _held(directory: Path) -> Iterator[tuple[str, File]]:
    for where, directories, names in os.walk(directory):
        links = [name for name in directories if os.path.islink(f"{where}/{name}")]
        for name in (*names, *links):
            path = Path(where, name)
            yield str(path.relative_to(directory)), _file(path)


def _file(path: Path) -> File:
    if path.is_symlink():
        return File(os.fsencode(os.readlink(path)), "link")
    kind = "program" if os.access(path, os.X_OK) and path.stat().st_mode & 1 else "file"
    return File(path.read_bytes(), kind)


# --- what the ledger says -----------------------------------------------------------


@dataclass(frozen=True)
class State:
    """What a world is at: what links show, what was pushed, what the ledger says."""

    links: dict[str, str]
    refs: dict[str, str]
    """Those that people push."""
    chains: dict[str, tuple[str, ...]]
    """Each chain in full, head first; a release by its commit's seven digits."""


def state(world: World) -> State:
    """Return what a settled world is at."""
    return State(shown(world), pushed(world), _chains(world))


def pushed(world: World) -> dict[str, str]:
    """Return the refs that people push; the others say what is live."""
    refs = world.refs()
    return {ref: id_ for ref, id_ in refs.items() if not ref.startswith(_OURS)}


def _chains(world: World) -> dict[str, tuple[str, ...]]:
    path = world.home / "ledger.db"
    chains: dict[str, list[str]] = {"dev": [], "prod": []}
    if path.exists() and path.stat().st_size:
        with closing(sqlite3.connect(path)) as ledger:
            for chain, name in ledger.execute(
                "SELECT chain, name FROM chain JOIN release ON number = release"
                " WHERE undo = 0 ORDER BY position"
            ):
                chains[chain].append(name.rpartition("-")[2])
    return {chain: tuple(names) for chain, names in chains.items()}


# --- when all is settled --------------------------------------------------------------


def check_settled(world: World) -> list[str]:
    """Say what does not agree, or was left half done, after an ordinary action."""
    found = [f"process {pid} is left running" for pid in end_all(world)]
    with world.open() as app:
        seen = look.status(app)
        on_disk = app.ledger.releases.on_disk()
        # Whoever wants to move the ref removes what a killed git left there.
        locks = app.repository.locks()
        stale = {Path("shop.git", lock.name) for lock in locks if lock.stale}
    found += _wrong_status(world, seen)
    found += _wrong_refs(world, seen)
    found += _wrong_releases(world, on_disk)
    failed = {release.name for release in on_disk if release.state == "failed"}
    temporary = set(_temporary(world, failed))
    found += [f"left over: {path}" for path in temporary - stale]
    found += _wrong_lock(world)
    return found + check_links(world, _wanted_links(world))


def _wanted_links(world: World) -> list[str]:
    positions = range(1, world.positions() + 1)
    chains = [f"shop-{chain}-{n}" for chain in ("dev", "prod") for n in positions]
    return ["shop", "shop-staging", *chains]


def _wrong_status(world: World, seen: dict[str, Any]) -> Iterator[str]:
    for word in ("pending", "running", "missed", "missing", "unfinished"):
        if seen[word]:
            yield f"status: {word} is {seen[word]}"
    links = shown(world)
    for positions in seen["chains"].values():
        for place in positions:
            wanted = place["release"].rpartition("-")[2] if place["release"] else EMPTY
            if links.get(place["link"]) != wanted:
                has = links.get(place["link"])
                yield f"{place['link']} shows {has}; the ledger says {wanted}"
    names = {*_wanted_links(world)}
    yield from (f"link {name} is not wanted" for name in links.keys() - names)


def _wrong_refs(world: World, seen: dict[str, Any]) -> Iterator[str]:
    wanted = {
        f"refs/deploy/{chain}/{place['position']}": place["commit"]
        for chain, positions in seen["chains"].items()
        for place in positions
        if place["commit"]
    }
    have = {ref: id_ for ref, id_ in world.refs().items() if ref.startswith(_OURS)}
    if have != wanted:
        yield f"published refs are {have}; the ledger says {wanted}"


def _wrong_releases(world: World, on_disk: list[Any]) -> Iterator[str]:
    known = {release.name: release.state for release in on_disk}
    there = set(os.listdir(world.home / "releases"))
    yield from (
        f"release {name} is still preparing"
        for name in known
        if known[name] == "preparing"
    )
    yield from (
        f"releases/{name} is not known to be there" for name in there - {*known}
    )
    yield from (
        f"release {name} is ready and not there"
        for name in {*known} - there
        if known[name] == "ready"
    )
    logs = {name.removesuffix(".log") for name in os.listdir(world.home / "logs")}
    yield from (f"logs/{name}.log is nobody's" for name in logs - {*known})


def _temporary(world: World, failed: set[str]) -> Iterator[Path]:
    """Yield what has a name that only something unfinished has.

    A failed release stays as it was left, for a look, and is pruned as it is.
    """
    for where, directories, names in os.walk(world.root):
        directories[:] = [name for name in directories if name not in failed]
        for name in (*names, *directories):
            if _is_temporary(name):
                yield Path(where, name).relative_to(world.root)


def _is_temporary(name: str) -> bool:
    if name.startswith(_GITS_OWN):
        return False
    begins = name.startswith((".removing-", "gitdeploy.index", ".gitdeploy-checkout"))
    return begins or name.endswith((".new", ".lock", ".tmp", "~"))


def _wrong_lock(world: World) -> Iterator[str]:
    fd = os.open(world.home / "lock", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield "the lock is held"
    finally:
        os.close(fd)
