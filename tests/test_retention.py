"""Which releases may be removed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.model import Release
from gitdeploy.retention import FAILED_KEPT, releases_to_prune

MOMENT = "2026-01-01T00:00:00Z"


def release(number: int, state: str = "ready", **known: object) -> Release:
    return Release(
        number, f"{number}-release", None, None, "content", state, MOMENT, **known
    )


def ready(*numbers: int) -> list[Release]:
    return [release(number) for number in numbers]


def failed(*numbers: int) -> list[Release]:
    return [release(number, "failed") for number in numbers]


def gone(releases, *, keep, protected=()) -> list[int]:
    found = releases_to_prune(releases, keep=keep, protected=protected)
    return [release.number for release in found]


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


@pytest.mark.parametrize(
    ("releases", "keep", "protected", "expected"),
    [
        case("of nothing nothing goes", [], 0, (), []),
        case(
            "the newest stay, the oldest goes first", ready(1, 2, 3, 4), 2, (), [1, 2]
        ),
        case("the order they come in is no matter", ready(3, 1, 4, 2), 2, (), [1, 2]),
        case("fewer than are kept all stay", ready(1, 2), 10, (), []),
        case("as many as are kept all stay", ready(1, 2), 2, (), []),
        case("with none kept all go", ready(1, 2), 0, (), [1, 2]),
        case("what a link shows stays however old", ready(1, 2, 3), 0, {1}, [2, 3]),
        case(
            "what a link shows is kept besides the others",
            ready(1, 2, 3, 4),
            2,
            {4},
            [1],
        ),
        case(
            "the newest two that failed stay",
            failed(1, 2, 3, 4),
            10,
            (),
            [1, 2],
        ),
        case(
            "failed ones do not take the place of ready ones",
            [*ready(1, 2), *failed(3, 4, 5)],
            2,
            (),
            [3],
        ),
        case(
            "both kinds are told together, oldest first",
            [*ready(2, 5, 6), *failed(1, 3, 4)],
            1,
            (),
            [1, 2, 5],
        ),
        case(
            "a pinned one stays and takes nobody's place",
            [release(1, pinned=True), *ready(2, 3)],
            1,
            (),
            [2],
        ),
        case(
            "a pinned failure stays too",
            [release(1, "failed", pinned=True), *failed(2, 3, 4)],
            0,
            (),
            [2],
        ),
        case(
            "a directory that is not ours stays",
            [release(1, path="/srv/site"), *ready(2)],
            0,
            (),
            [2],
        ),
        case(
            "what is being prepared stays",
            [release(1, "preparing"), release(2, "pruned")],
            0,
            (),
            [],
        ),
        case("what protects unknown numbers protects none", ready(1), 0, {9}, [1]),
    ],
)
def test_what_goes(releases, keep, protected, expected):
    assert gone(releases, keep=keep, protected=protected) == expected


def test_two_failed_releases_are_kept():
    assert FAILED_KEPT == 2


releases = st.lists(
    st.builds(
        release,
        st.integers(1, 30),
        st.sampled_from(["preparing", "ready", "failed", "pruned"]),
        pinned=st.booleans(),
        path=st.sampled_from([None, "/srv/site"]),
    ),
    unique_by=lambda release: release.number,
)


@given(releases, st.integers(0, 12), st.sets(st.integers(1, 30)))
def test_what_anybody_needs_never_goes(known, keep, protected):
    """Neither a link's release, nor a pinned one, nor one that is not ours."""
    pruned = releases_to_prune(known, keep=keep, protected=protected)
    assert set(pruned) <= set(known)
    for release in pruned:
        assert release.number not in protected
        assert not release.pinned
        assert release.path is None
        assert release.state in ("ready", "failed")


@given(releases, st.integers(0, 12), st.sets(st.integers(1, 30)))
def test_what_goes_is_older_than_what_stays_of_its_kind(known, keep, protected):
    pruned = gone(known, keep=keep, protected=protected)
    assert pruned == sorted(pruned)
    for state, kept in (("ready", keep), ("failed", FAILED_KEPT)):
        free = sorted(
            r.number
            for r in known
            if r.state == state
            and not r.pinned
            and r.path is None
            and r.number not in protected
        )
        stays = [number for number in free if number not in pruned]
        assert stays == free[len(free) - len(stays) :]
        assert len(stays) == min(kept, len(free))
