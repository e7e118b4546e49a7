"""The bounded form of `make fuzz`: every seed, and some hundred inputs made of them."""

import pytest
from hypothesis import given, settings

from fuzz.inputs import inputs
from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS

CASES = [(name, n) for name, seeds in SEEDS.items() for n in range(len(seeds))]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_what_must_hold_holds_for_every_seed(name, number):
    TARGETS[name](SEEDS[name][number])


@pytest.mark.parametrize("name", TARGETS)
def test_what_must_hold_holds_for_inputs_made_of_seeds(name):
    @settings(max_examples=300)
    @given(inputs(name))
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()
