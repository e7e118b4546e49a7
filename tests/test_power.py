"""The power goes: what was reported as done is done, and nothing is half done.

The short form; `make crash` cuts at every point of every activity.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash.activities import ACTIVITIES
from crash.beginnings import Beginnings
from crash.cuts import END, REAL_END, PowerCut
from crash.inside import Ended
from crash.judging import judge_killed
from crash.power import FILE_SYSTEMS, after_cut, cut_off, made, missing, mounted
from crash.world import World, scratch
from support.tools import cannot

from gitdeploy.ledger.database import Database
from gitdeploy.system import files

on_each = pytest.mark.parametrize("system", FILE_SYSTEMS)

Points = Callable[[list[str]], list[str]]
Cut = Callable[..., dict[str, list[str]]]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where the disks are."""
    with scratch() as path:
        yield path


@pytest.fixture(scope="module")
def begin(place: Path) -> Beginnings:
    """The worlds in which activities begin."""
    return Beginnings(place)


@pytest.fixture
def cut(begin: Beginnings, place: Path) -> Cut:
    """Cut the power at some points of an activity; return what was wrong where."""

    def strike(
        activity: str, system: str, flag: int, points: Points
    ) -> dict[str, list[str]]:
        what, fault = ACTIVITIES[activity], PowerCut(system, flag)
        if why := fault.missing():
            cannot(why)
        there = begin.of(what)
        chosen = points(fault.points(what, there, place))
        assert chosen
        found = {at: fault.strike(what, there, at, place) for at in chosen}
        return {at: said for at, said in found.items() if said}

    return strike


def around_the_flip(points: list[str]) -> list[str]:
    """Choose every sync, commit and new name from the first syncfs on."""
    names = [label.partition(":")[2] for label in points]
    chosen = ("syncfs", "fsync", "committed", "os.rename")
    late = range(names.index("syncfs"), len(points))
    return [points[n] for n in late if names[n] in chosen]


def commits(points: list[str]) -> list[str]:
    """Choose the moments when all that was named before is on the disk."""
    return [label for label in points if label.endswith(":committed")]


def some(points: list[str]) -> list[str]:
    """Choose a sample."""
    return points[5::11]


@pytest.mark.parametrize(
    "activity", [a.name for a in ACTIVITIES.values() if not a.fails]
)
@pytest.mark.parametrize(("system", "end"), [("ext4", REAL_END), ("xfs", END)])
def test_what_was_reported_as_done_is_still_done_after_a_power_cut(
    cut: Cut, activity: str, system: str, end: str
) -> None:
    """Only what was synced is left; links, chains, refs and files are as was told."""
    assert cut(activity, system, 2, lambda _: [end]) == {}


@pytest.mark.parametrize(("system", "flag"), [("ext4", 1), ("ext4", 2), ("xfs", 2)])
def test_the_power_may_go_at_every_sync_and_name_around_a_flip(
    cut: Cut, system: str, flag: int
) -> None:
    """Every link resolves to a whole release, and the next push just works."""
    assert cut("stage", system, flag, around_the_flip) == {}


@on_each
def test_a_shared_file_is_seeded_whole_or_not_at_all(cut: Cut, system: str) -> None:
    """It is never seeded again: an empty one would stay."""
    assert cut("first", system, 2, commits) == {}


@pytest.mark.parametrize("activity", ["setup", "setup again", "first of master"])
def test_a_repository_is_never_found_with_an_empty_head_or_config(
    cut: Cut, activity: str
) -> None:
    """On XFS a name reaches the disk long before what was not synced."""
    assert cut(activity, "xfs", 1, some) == {}


@on_each
@pytest.mark.parametrize("flag", [0, 1, 2])
@pytest.mark.parametrize("length", [40, 1000])
def test_a_link_is_old_or_new_however_long_it_is(
    place: Path, system: str, flag: int, length: int
) -> None:
    """A long target has a block of its own, which nobody syncs before the flip."""
    if why := missing(system):
        cannot(why)
    old, new = ("/".join([letter * 9] * 100)[:length] for letter in "on")

    def replace(top: Path) -> None:
        files.replace_link(top / "link", new)

    image = place / f"link-{system}-{length}"
    if not image.exists():
        made(system, image, lambda top: (top / "link").symlink_to(old))
    with after_cut(image, replace, flag) as top:
        assert os.readlink(top / "link") in ((old, new) if flag == 2 else (new,))


def test_links_on_a_disk_of_their_own_are_still_there_after_a_power_cut(
    links_apart: Callable[[], list[str]],
) -> None:
    """No sync of another disk makes them durable."""
    assert links_apart() == []


# --- what would be seen otherwise ---------------------------------------------------


@pytest.fixture
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out every sync that is ours."""
    execute = Database.execute

    def careless(self: Database, sql: str, *values: object) -> int:
        return execute(self, sql.replace("= FULL", "= OFF"), *values)

    monkeypatch.setattr(Database, "execute", careless)
    monkeypatch.setattr(files, "sync_filesystems", lambda _paths: None)
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


@on_each
@pytest.mark.usefixtures("no_syncs")
def test_without_syncs_what_was_reported_as_done_is_lost(cut: Cut, system: str) -> None:
    """The control: the cut is one."""
    seen = cut("rollback", system, 2, lambda _: [END])
    assert any("chains are" in said for said in seen[END])


@on_each
@pytest.mark.usefixtures("no_syncs")
def test_without_syncs_a_link_leads_to_empty_files(cut: Cut, system: str) -> None:
    """The control: a new name is on the disk, and what it names is not."""
    seen = cut("stage", system, 1, lambda _: [END])
    assert any("index.html is File(content=b''" in said for said in seen[END])


def test_without_the_sync_of_their_directory_links_are_lost(
    links_apart: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of that one sync, which one disk for all would hide."""
    monkeypatch.setattr(files, "sync_directory", lambda _path: None)
    assert "done was said, and nothing is done" in links_apart()


@pytest.fixture
def links_apart(begin: Beginnings, place: Path) -> Callable[[], list[str]]:
    """Roll back where links have a disk of their own, and cut both at the end."""
    for system in FILE_SYSTEMS:
        if why := missing(system):
            cannot(why)
    what = ACTIVITIES["rollback"]
    there = begin.of(what)
    root, links, after = (place / name for name in ("apart", "links", "links-after"))

    def place_root(top: Path) -> None:
        world = there.world.copied(top / "root")
        shutil.rmtree(world.target)
        world.target.mkdir()

    def place_links(top: Path) -> None:
        shutil.copytree(there.world.target, top, symlinks=True, dirs_exist_ok=True)

    def roll_back() -> list[str]:
        made("ext4", root, place_root)
        made("xfs", links, place_links)
        ended: list[Ended] = []

        def act(top: Path) -> None:
            world = World(top / "root", there.world.clone)
            told = lambda _: ended.append(what.deed.inside(world))  # noqa: E731
            cut_off(links, after, world.target, told, 2)

        with after_cut(root, act, 2) as top:
            world = World(top / "root", there.world.clone)
            with mounted(after, world.target):
                return judge_killed(what, there, world, ended[0])

    return roll_back
