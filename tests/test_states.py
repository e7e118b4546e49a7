"""The transitions of releases and deployments; nothing else follows anything."""

from itertools import product

import pytest

from gitdeploy.errors import StateError
from gitdeploy.states import DEPLOYMENT, RELEASE, next_state

RELEASE_STATES = {"preparing", "ready", "failed", "pruned"}
RELEASE_EVENTS = {"seal", "fail", "prune"}
DEPLOYMENT_STATES = {"begun", "intended", "changed", "condemned", "ended"}
DEPLOYMENT_EVENTS = {"intend", "change", "condemn", "end"}

LEGAL = [
    (RELEASE, "preparing", "seal", "ready"),
    (RELEASE, "preparing", "fail", "failed"),
    (RELEASE, "ready", "prune", "pruned"),
    (RELEASE, "failed", "prune", "pruned"),
    (DEPLOYMENT, "begun", "intend", "intended"),
    (DEPLOYMENT, "begun", "end", "ended"),
    (DEPLOYMENT, "intended", "change", "changed"),
    (DEPLOYMENT, "intended", "end", "ended"),
    (DEPLOYMENT, "changed", "end", "ended"),
    (DEPLOYMENT, "changed", "condemn", "condemned"),
    (DEPLOYMENT, "condemned", "end", "ended"),
]
ILLEGAL = [
    (table, state, event)
    for table, states, events in (
        (RELEASE, RELEASE_STATES | {"nonsense"}, RELEASE_EVENTS | {"nonsense"}),
        (DEPLOYMENT, DEPLOYMENT_STATES | {"nonsense"}, DEPLOYMENT_EVENTS),
    )
    for state, event in sorted(product(states, events))
    if not any((table, state, event) == legal[:3] for legal in LEGAL)
]


@pytest.mark.parametrize(("table", "state", "event", "after"), LEGAL)
def test_an_event_leads_on(table, state, event, after):
    assert next_state(table, state, event) == after


def test_the_tables_have_no_other_rows():
    assert len(RELEASE) + len(DEPLOYMENT) == len(LEGAL)


@pytest.mark.parametrize(("table", "state", "event"), ILLEGAL)
def test_any_other_event_is_an_error_that_names_both(table, state, event):
    with pytest.raises(StateError) as caught:
        next_state(table, state, event)
    assert caught.value.message == f"{event} cannot happen in state {state}"


@pytest.mark.parametrize(
    ("table", "last"), [(RELEASE, {"pruned"}), (DEPLOYMENT, {"ended"})]
)
def test_every_state_can_be_reached_and_all_but_the_last_be_left(table, last):
    left = {state for state, _ in table}
    assert set(table.values()) - left == last
    assert len(left - set(table.values())) == 1
