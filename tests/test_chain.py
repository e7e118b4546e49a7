"""Moves along a chain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitdeploy.chain import MOST_ENTRIES, Chain
from gitdeploy.errors import NothingThere
from gitdeploy.model import Entry

THEN, NOW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def entry(release: int, since: str = THEN) -> Entry:
    return Entry(release, f"{release:040x}", "refs/heads/main", since)


def chain(*releases: int, undone: tuple[tuple[int, ...], ...] = ()) -> Chain:
    """A dev chain of releases, head first."""
    groups = tuple(tuple(map(entry, group)) for group in undone)
    return Chain("dev", tuple(map(entry, releases)), groups)


def shape(moved: Chain) -> tuple[list[int], list[list[int]]]:
    return (
        [e.release for e in moved.entries],
        [[e.release for e in group] for group in moved.undone],
    )


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


# --- the moves, one by one ------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "move", "after"),
    [
        case(
            "the first push makes a head",
            chain(),
            lambda c: c.push(entry(1)),
            ([1], []),
        ),
        case(
            "a push moves every other down by one",
            chain(2, 1),
            lambda c: c.push(entry(3)),
            ([3, 2, 1], []),
        ),
        case(
            "a release may be pushed again",
            chain(2, 1),
            lambda c: c.push(entry(1)),
            ([1, 2, 1], []),
        ),
        case(
            "a push forgets what roll backs took off",
            chain(1, undone=((2,), (3,))),
            lambda c: c.push(entry(4)),
            ([4, 1], []),
        ),
        case(
            "a roll back takes the head off and keeps it beside",
            chain(3, 2, 1),
            lambda c: c.roll_back(1, NOW),
            ([2, 1], [[3]]),
        ),
        case(
            "a roll back by two takes both off together",
            chain(3, 2, 1),
            lambda c: c.roll_back(2, NOW),
            ([1], [[3, 2]]),
        ),
        case(
            "the latest roll back is the first to be undone",
            chain(2, 1, undone=((3,),)),
            lambda c: c.roll_back(1, NOW),
            ([1], [[2], [3]]),
        ),
        case(
            "a roll forward undoes the latest roll back only",
            chain(1, undone=((2,), (3,))),
            lambda c: c.roll_forward(NOW),
            ([2, 1], [[3]]),
        ),
        case(
            "a roll forward undoes a roll back by two in one go",
            chain(1, undone=((3, 2),)),
            lambda c: c.roll_forward(NOW),
            ([3, 2, 1], []),
        ),
        case(
            "a release that goes leaves no gap",
            chain(3, 2, 1),
            lambda c: c.without({2}),
            ([3, 1], []),
        ),
        case(
            "a release that goes is gone from what was undone too",
            chain(2, 1, undone=((4, 3), (3,))),
            lambda c: c.without([3]),
            ([2, 1], [[4]]),
        ),
        case(
            "every release may go",
            chain(2, 1, undone=((3,),)),
            lambda c: c.without({1, 2, 3}),
            ([], []),
        ),
        case(
            "a release that is nowhere changes nothing",
            chain(2, 1),
            lambda c: c.without({9}),
            ([2, 1], []),
        ),
    ],
)
def test_a_move(before, move, after):
    assert shape(move(before)) == after


def test_the_two_ancestors_table():
    """deployment helper's own example: what each command leaves on the links."""
    dev, prod = Chain("dev"), Chain("prod")
    dev = dev.push(entry(1))
    dev = dev.push(entry(2))
    assert (shape(dev), shape(prod)) == (([2, 1], []), ([], []))
    prod = prod.push(dev.head)
    assert (shape(dev), shape(prod)) == (([2, 1], []), ([2], []))
    prod = prod.push(entry(3))
    assert shape(prod) == ([3, 2], [])
    prod = prod.roll_back(1, NOW)
    assert prod.entries == (entry(2, NOW),)  # prod-1 = v2, and prod-2 is empty
    assert shape(dev) == ([2, 1], [])


# --- what a move keeps of an entry ----------------------------------------------


def test_the_head_after_a_roll_back_is_live_since_then():
    assert chain(3, 2, 1).roll_back(1, NOW).entries == (entry(2, NOW), entry(1))


def test_the_head_after_a_roll_forward_is_live_since_then():
    forward = chain(1, undone=((3, 2),)).roll_forward(NOW)
    assert forward.entries == (entry(3, NOW), entry(2), entry(1))


def test_a_move_keeps_the_name_of_the_chain():
    prod = Chain("prod", (entry(2), entry(1)))
    moves = [prod.push(entry(3)), prod.roll_back(1, NOW), prod.without({2})]
    moves.append(moves[1].roll_forward(NOW))
    moves.append(prod.with_head(commit=None, ref=None))
    assert {move.name for move in moves} == {"prod"}


def test_the_head_can_be_attributed_to_another_commit():
    before = chain(2, 1, undone=((3,),))
    after = before.with_head(commit="f" * 40, ref="refs/tags/v1")
    assert after.head == Entry(2, "f" * 40, "refs/tags/v1", THEN)
    assert after.entries[1:] == before.entries[1:]
    assert after.undone == before.undone


# --- looking --------------------------------------------------------------------


def test_a_chain_without_entries_has_no_head():
    assert chain().head is None
    assert chain(2, 1).head == entry(2)


@pytest.mark.parametrize(
    ("on", "releases", "position"),
    [
        case("the head is at position 1", chain(3, 2, 1), {3}, 1),
        case("what is deeper is found", chain(3, 2, 1), [1], 3),
        case("what is nowhere has no position", chain(3, 2, 1), {9}, None),
        case(
            "what was undone is not on the chain", chain(1, undone=((2,),)), {2}, None
        ),
        case("of several the nearest to the head counts", chain(3, 2, 1), {1, 2}, 2),
        case("of one twice on the chain too", chain(1, 2, 1), {1}, 1),
        case("nothing is at no position", chain(3), (), None),
        case("an empty chain has no position", chain(), {1}, None),
    ],
)
def test_the_position_of_a_release(on, releases, position):
    assert on.position_of(releases) == position


# --- nothing there --------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "steps", "message"),
    [
        case("an empty chain", chain(), 1, "nothing is on dev yet"),
        case(
            "a chain of one release",
            chain(1),
            1,
            "nothing to roll dev back to: no earlier releases behind the live one",
        ),
        case(
            "one step too far by one release",
            chain(2, 1),
            2,
            "nothing to roll dev back to: 1 earlier release behind the live one",
        ),
        case(
            "far too many steps",
            chain(3, 2, 1),
            99,
            "nothing to roll dev back to: 2 earlier releases behind the live one",
        ),
    ],
)
def test_there_is_nothing_to_roll_back_to(on, steps, message):
    with pytest.raises(NothingThere) as caught:
        on.roll_back(steps, NOW)
    assert caught.value.message == message


@pytest.mark.parametrize("steps", [0, -1])
def test_no_roll_back_goes_nowhere_or_forward(steps):
    with pytest.raises(NothingThere):
        chain(3, 2, 1).roll_back(steps, NOW)


def test_there_is_nothing_to_roll_forward_to():
    with pytest.raises(NothingThere) as caught:
        chain(2, 1).roll_forward(NOW)
    assert caught.value.message == "nothing to roll dev forward to"
    assert caught.value.exit_code == 5


# --- promises for every chain ---------------------------------------------------

numbers = st.integers(1, 6)
entries = st.lists(numbers, max_size=5).map(lambda n: tuple(map(entry, n)))
groups = st.lists(entries.filter(bool), max_size=3).map(tuple)
chains = st.builds(Chain, st.sampled_from(["dev", "prod"]), entries, groups)
long_chains = chains.filter(lambda c: len(c.entries) > 1)


@given(long_chains, st.data())
def test_a_roll_forward_undoes_a_roll_back_but_for_its_since(before, data):
    steps = data.draw(st.integers(1, len(before.entries) - 1))
    after = before.roll_back(steps, NOW).roll_forward(NOW)
    landed = after.entries[steps]
    assert landed.since == NOW  # where the roll back went, it was live again
    assert after.entries[0].since == NOW
    timeless = [replace(e, since="") for e in after.entries]
    assert timeless == [replace(e, since="") for e in before.entries]
    untouched = [n for n in range(len(timeless)) if n not in (0, steps)]
    assert [after.entries[n] for n in untouched] == [
        before.entries[n] for n in untouched
    ]
    assert after.undone == before.undone
    assert after.name == before.name


@given(chains, numbers.map(entry))
def test_a_push_forgets_what_was_undone_and_keeps_all_else(before, pushed):
    after = before.push(pushed)
    assert after == Chain(before.name, (pushed, *before.entries))


def test_no_chain_grows_for_ever():
    """Entries fall off its tail; whoever rolls back a thousand times is refused."""
    on = Chain("dev")
    for number in range(MOST_ENTRIES + 5):
        on = on.push(entry(number))
    releases = [e.release for e in on.entries]
    assert releases == list(range(MOST_ENTRIES + 4, 4, -1))


@given(chains, st.sets(numbers))
def test_a_release_that_goes_is_nowhere_and_leaves_no_empty_group(before, gone):
    after = before.without(gone)
    assert all(after.undone)
    left = {e.release for e in everything(after)}
    assert left == {e.release for e in everything(before)} - gone
    assert list(everything(after)) == [
        e for e in everything(before) if e.release not in gone
    ]
    assert after.without(gone) == after


@given(
    chains,
    st.lists(st.tuples(st.sampled_from(["back", "forward", "without"]), numbers)),
)
def test_no_move_invents_an_entry_or_an_empty_group(before, moves):
    """But for `since`, what is on a chain was pushed to it."""
    known = {replace(e, since="") for e in everything(before)}
    after = before
    for word, number in moves:
        try:
            after = moved(after, word, number)
        except NothingThere:
            continue
        assert {replace(e, since="") for e in everything(after)} <= known
        assert all(after.undone)


@given(chains, numbers)
def test_a_roll_back_and_a_roll_forward_lose_nothing(before, number):
    for word in ("back", "forward"):
        try:
            after = moved(before, word, number)
        except NothingThere:
            continue
        assert counted(after) == counted(before)


def moved(on: Chain, word: str, number: int) -> Chain:
    match word:
        case "back":
            return on.roll_back(number, NOW)
        case "forward":
            return on.roll_forward(NOW)
    return on.without({number})


def everything(on: Chain):
    return (e for group in (on.entries, *on.undone) for e in group)


def counted(on: Chain) -> list[int]:
    return sorted(e.release for e in everything(on))
