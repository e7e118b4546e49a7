"""Text for a person's terminal: it says what it should and does nothing."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitdeploy.system.terminal import (
    count,
    fit,
    for_humans,
    human_bytes,
    human_time,
    printable,
)

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

# Surrogates too: bytes that are not UTF-8 come as such.
texts = st.text(
    st.one_of(
        st.characters(exclude_categories=[]),
        st.sampled_from("\x1b[]\\\x07;?0m\x9b\x9c\x9dPX^_\r\n\t" + BIDI),
    )
)


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


# --- printable ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        case(
            "plain text stays", "caf\xe9 \u2713 \U0001f680", "caf\xe9 \u2713 \U0001f680"
        ),
        case("a tab stays", "a\tb", "a\tb"),
        case("colours are dropped", "\x1b[1;31mred\x1b[0m", "red"),
        case("moves of the cursor are dropped", "a\x1b[2K\x1b[1Ab", "ab"),
        case("private modes are dropped", "\x1b[?25lhidden\x1b[?25h", "hidden"),
        case("a title ended by BEL is dropped", "\x1b]0;title\x07text", "text"),
        case("a title ended by ST is dropped", "\x1b]0;title\x1b\\text", "text"),
        case(
            "a link keeps its words",
            "\x1b]8;;http://x\x1b\\here\x1b]8;;\x1b\\",
            "here",
        ),
        case("a reset is defused", "\x1bctext", r"\x1bctext"),
        case("a sequence of two signs is dropped", "\x1bMtext", "text"),
        case("an 8-bit CSI is shown", "\x9b31mred", r"\x9b31mred"),
        case("an 8-bit OSC is shown", "\x9d0;title\x9c", r"\x9d0;title\x9c"),
        case("a sequence without an end is shown", "\x1b]0;title", r"\x1b]0;title"),
        case("an escape at the end is shown", "text\x1b", r"text\x1b"),
        case(
            "what is left of nested sequences makes none",
            "\x1b\x1b[m[31mred",
            r"\x1b[31mred",
        ),
        case("a carriage return is shown", "safe\rfake", r"safe\x0dfake"),
        case("a line's end is shown", "one\ntwo", r"one\x0atwo"),
        case("a backspace is shown", "ab\b", r"ab\x08"),
        case("NUL and DEL are shown", "\0\x7f", r"\x00\x7f"),
        case("what reorders text is shown", "\u202egpj.exe", r"\u202egpj.exe"),
        case("bytes that are not UTF-8 are shown", "caf\udce9", r"caf\xe9"),
        case("half a character is shown", "\ud83d", r"\ud83d"),
    ],
)
def test_what_is_printable(text, shown):
    assert printable(text) == shown


@given(texts)
@example(BIDI)
def test_nothing_printable_acts_on_a_terminal(text):
    """No control character but the tab, nothing that reorders, always UTF-8."""
    shown = printable(text)
    acting = {sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cs")}
    assert acting <= {"\t"}
    assert not set(shown) & set(BIDI)
    shown.encode()


@given(texts)
def test_what_is_printable_stays_as_it_is(text):
    assert printable(printable(text)) == printable(text)


def test_a_backslash_that_was_typed_is_not_changed():
    assert printable(r"C:\udcache") == r"C:\udcache"


# --- fit ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("", 5, ""),
        ("short", 5, "short"),
        ("longer", 5, "long\u2026"),
        ("longer", 1, "\u2026"),
    ],
)
def test_text_that_is_too_wide_ends_in_an_ellipsis(text, width, shown):
    assert fit(text, width) == shown


@given(st.text(), st.integers(1, 100))
def test_what_fits_is_never_wider(text, width):
    assert len(fit(text, width)) <= width
    if len(text) <= width:
        assert fit(text, width) == text


# --- commands -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "shown"),
    [
        case("text is one line", "npm ci\n  npm run build\n", "npm ci npm run build"),
        case("a list is quoted as a shell would", ["echo", "a b"], "echo 'a b'"),
        case("a tuple is a list", ("npm", "ci"), "npm ci"),
        case("nothing in it acts", "echo \x1b[31mred\x07", r"echo red\x07"),
    ],
)
def test_a_command_for_people(run, shown):
    assert for_humans(run) == shown


# --- numbers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0204, "20 ms"),
        (0.1, "0.1 s"),
        (7.44, "7.4 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (250, "4 min 10 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (11_100, "3 h 5 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_a_duration_for_people(seconds, shown):
    assert human_time(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(59.96, "1 min 0 s"), (119.6, "2 min 0 s"), (3599.7, "1 h 0 min")],
)
def test_a_duration_has_no_sixtieth_part(seconds, shown):
    assert human_time(seconds) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (3_565_158, "3.4 MiB"),
        (2**30, "1.0 GiB"),
        (5 * 2**40, "5120.0 GiB"),
    ],
)
def test_a_size_for_people(size_bytes, shown):
    assert human_bytes(size_bytes) == shown


def test_a_size_is_never_1024_of_a_unit_that_has_a_greater_one():
    assert human_bytes(2**20 - 1) == "1.0 MiB"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1284, "1,284 files")],
)
def test_a_count_for_people(number, shown):
    assert count(number, "file") == shown
