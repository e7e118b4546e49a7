"""Inputs made of seeds: cut, doubled, mixed with words that mean something."""

import re

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fuzz.seeds import SEEDS

HOSTILE = (
    b"\0",
    b"\n",
    b"\r",
    b"\t",
    b"\x0c",
    b"\x1b[2J",
    b"\x7f",
    b"\xff",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    b"'",
    b'"',
    b"\\",
    b"--",
    b"-",
    b"..",
    b"/",
    b"$(id)",
    b";",
    b"9" * 30,
    b"[",
    b"{",
    b"=",
)


def words_of(name: str) -> list[bytes]:
    """Return the words that a target's seeds are made of."""
    found = {
        word
        for seed in SEEDS[name]
        for word in re.findall(rb"[A-Za-z0-9_.:/-]+|[^A-Za-z0-9\s]", seed[:4000])
        if len(word) < 100
    }
    return sorted({*found, *HOSTILE, b" "})


def inputs(name: str) -> SearchStrategy[bytes]:
    """Return inputs for a target: its seeds with edits, its words, anything."""
    word = st.sampled_from(words_of(name)) | st.binary(max_size=8)
    edit = st.tuples(st.integers(0, 2000), st.integers(0, 40), word)
    edited = st.builds(
        _edited, st.sampled_from(SEEDS[name]), st.lists(edit, max_size=4)
    )
    mixed = st.builds(
        bytes.join, st.sampled_from([b"", b" ", b"\n"]), st.lists(word, max_size=20)
    )
    return edited | mixed | st.binary(max_size=100)


def _edited(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, word in edits:
        place = at % (len(seed) + 1)
        seed = seed[:place] + word + seed[place + length :]
    return seed
