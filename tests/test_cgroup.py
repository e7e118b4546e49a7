"""A group of processes is counted and ended as a whole, where the kernel lets us.

What the kernel does with limits is not tried here, as machines with all controllers are
rare among those that run tests; that a group is entered and ended is.
"""

import os
from pathlib import Path

import pytest
from support import process
from support.tools import cannot

from gitdeploy.errors import StepFailed
from gitdeploy.steps import bounds
from gitdeploy.steps.bounds import Begun, Bounds, Gauge
from gitdeploy.steps.place import Place, started
from gitdeploy.system import cgroup
from gitdeploy.system.cgroup import Group, can_hold, group, home_of_groups
from gitdeploy.system.processes import Process


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that looks like the kernel's; nothing in it counts anything."""
    (tmp_path / "user/session").mkdir(parents=True)
    for place in (tmp_path, tmp_path / "user", tmp_path / "user/session"):
        (place / "cgroup.procs").touch()
        (place / "cgroup.subtree_control").write_text("")
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    own = tmp_path / "own"
    own.write_text("4:memory:/elsewhere\n0::/user/session\n")
    monkeypatch.setattr(cgroup, "_MOUNTS", (tmp_path / "no", tmp_path))
    monkeypatch.setattr(cgroup, "_OWN", own)
    return tmp_path


def test_a_group_is_made_where_others_are_counted(pretended: Path) -> None:
    """Not where we live: beside, below the nearest that gives its controllers on."""
    (pretended / "user/cgroup.subtree_control").write_text("memory pids")
    with group() as made:
        assert made
        assert made.path.parent == pretended / "user"
        assert made.path.name == f"gitdeploy-{os.getpid()}-0"
        with group() as other:
            assert other
            assert other.path.name == f"gitdeploy-{os.getpid()}-1"
    assert not made.path.exists()


def test_the_top_may_be_lived_in(pretended: Path) -> None:
    with group() as made:
        assert made
        assert made.path.parent == pretended
        assert made.counts == frozenset()


def test_where_nothing_lets_us_there_is_no_group(
    pretended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "_MOUNTS", (pretended / "no",))
    with group(processes=9) as made:
        assert made is None
    assert can_hold() == frozenset()


LIMITS = ("memory.max", "memory.oom.group", "memory.swap.max", "pids.max")


@pytest.fixture
def counting(pretended: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where groups count memory and processes, and stay when they end."""

    def directory(path: Path) -> Path:
        path.mkdir()
        for name in (*LIMITS, "cgroup.procs"):
            (path / name).touch()
        return path

    monkeypatch.setattr(cgroup, "_directory", directory)
    monkeypatch.setattr(cgroup, "_end", lambda _: None)
    return pretended


def test_a_group_gets_its_limits_and_says_what_it_counts(counting: Path) -> None:
    with group(memory_bytes=4096, processes=7) as made:
        assert made
        assert made.path.parent == counting
        assert made.counts == {"memory", "pids"}
        said = {name: (made.path / name).read_text() for name in LIMITS}
    assert said == {
        "memory.max": "4096",
        "memory.oom.group": "1",
        "memory.swap.max": "0",
        "pids.max": "7",
    }


@pytest.mark.usefixtures("counting")
def test_a_command_is_in_a_group_that_has_its_limits_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "held_by_group", lambda: frozenset({"memory", "pids"}))
    limits = Bounds(memory_bytes=2**30, processes=700)
    place = Place(tmp_path, {"PATH": os.environ["PATH"]}, bounds=limits)
    with started("cat */cgroup.procs", place) as begun:
        said, _ = begun.child.communicate(timeout=60)
        assert begun.group
        assert (begun.group.path / "memory.max").read_text() == f"{2**30}"
        assert (begun.group.path / "pids.max").read_text() == "700"
    assert said == b"0\n"


def test_whom_the_kernel_ended_for_memory_is_told(tmp_path: Path) -> None:
    begun = Begun(None, (), Group(tmp_path, frozenset({"memory"})))  # type: ignore[arg-type]
    gauge = Gauge("it", Bounds(memory_bytes=2**20), list, begun)
    events = tmp_path / "memory.events"
    for text in (None, "low 0\noom 1\noom_kill 0\n"):
        if text:
            events.write_text(text)
        gauge.look_back()
    events.write_text("oom 1\noom_kill 3\noom_group_kill 1\n")
    with pytest.raises(StepFailed, match=r"more than 1\.0 MiB of memory"):
        gauge.look_back()


@pytest.fixture
def real() -> Path:
    """The kernel's own directory, where we may make groups."""
    home = home_of_groups()
    if home is None:
        cannot("no cgroup of the second version may be made here")
    assert home
    return home


def test_a_program_begins_in_its_group_with_all_that_it_starts(real: Path) -> None:
    with group() as made:
        assert made
        said = process.run(*made.words, "sh", "-c", "cat /proc/self/cgroup; true")
        assert f"/{made.path.name}\n" in said.stdout
    assert not list(real.glob(f"gitdeploy-{os.getpid()}-*"))


@pytest.mark.usefixtures("real")
def test_what_is_in_a_group_ends_with_it() -> None:
    """Also what made a session of its own, and its parent is gone."""
    with group() as made:
        assert made
        script = (
            "setsid sh -c 'sleep 300 & setsid sleep 300' >/dev/null 2>&1 & sleep 0.2"
        )
        process.run(*made.words, "sh", "-c", script)
        inside = (made.path / "cgroup.procs").read_text().split()
        assert len(inside) >= 2
    assert not made.path.exists()
    assert not any(Process(int(pid)).arguments for pid in inside)


def test_what_a_crash_left_is_ended_by_the_next(real: Path) -> None:
    done = process.run("sh", "-c", "echo $$")
    left = real / f"gitdeploy-{done.stdout.strip()}-0"
    left.mkdir()
    with group() as made:
        assert made
        assert not left.exists()
