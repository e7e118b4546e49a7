"""Random histories of hostile stages and an honest release; see `histories`.

A few of them, always the same ones; `make histories` plays as many as one likes.
"""

from collections.abc import Iterator

import pytest
from support.tools import needs

from hostile.histories import World, first_world, play

SEEDS = range(4)


@pytest.fixture(scope="module")
def first() -> Iterator[World]:
    needs("bwrap")
    with first_world() as world:
        yield world


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_steps_try_prod_shows_its_commit_and_nothing_else_changes(
    first: World, seed: int
) -> None:
    assert len(play(first, seed)) == 4
