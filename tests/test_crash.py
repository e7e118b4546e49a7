"""Whatever dies or fails at whatever point: links resolve, and the next push works.

The short form; `make crash` tries every point of every activity.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash.activities import ACTIVITIES
from crash.beginnings import Beginnings
from crash.kinds import KINDS
from crash.world import scratch

from gitdeploy.system import files


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    """The worlds in which activities begin."""
    return Beginnings(tmp_path_factory.mktemp("beginnings"))


@pytest.fixture
def place() -> Iterator[Path]:
    """Where copies of them are struck."""
    with scratch() as path:
        yield path


Wrong = Callable[..., dict[str, list[str]]]


@pytest.fixture
def wrong(begin: Beginnings, place: Path) -> Wrong:
    """Strike an activity at every point, or some; return what was wrong where."""

    def strike(activity: str, kind: str, every: int = 1) -> dict[str, list[str]]:
        what, fault = ACTIVITIES[activity], KINDS[kind]
        there = begin.of(what)
        points = fault.points(what, there, place)[::every]
        assert points
        found = {at: fault.strike(what, there, at, place) for at in points}
        return {at: said for at, said in found.items() if said}

    return strike


@pytest.mark.parametrize("activity", ["stage", "release", "rollback"])
def test_a_process_may_be_killed_between_any_two_of_its_calls(
    wrong: Wrong, activity: str
) -> None:
    """Every link resolves at once; the next push finds or finishes what was begun."""
    assert wrong(activity, "kill, in process") == {}


def test_a_link_removed_before_the_new_one_is_made_would_be_seen(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the rename there is a moment without a link."""

    def replace_link(link: Path, target: str) -> None:
        files.remove_file(link)
        os.symlink(target, link)

    monkeypatch.setattr(files, "replace_link", replace_link)
    seen = [
        said
        for found in wrong("rollback", "kill, in process").values()
        for said in found
    ]
    assert "link shop-prod-1 is gone" in seen
