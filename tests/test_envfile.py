"""A .env file keeps what it is given, and says it alike to whoever reads it."""

import io
import shutil

import pytest
from dotenv import dotenv_values
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st
from support import process

from gitdeploy import envfile
from gitdeploy.errors import ConfigError, UsageError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
AWKWARD = st.text(alphabet="ab '\"\\\n\r\t#$`!=~{}é€\u2028\x1c", max_size=12)
VALUES = st.one_of(
    AWKWARD, st.text(st.characters(exclude_characters="\0"), max_size=20)
)


def dotenv(text):
    stream = io.StringIO(text, newline=None)
    return dict(dotenv_values(stream=stream, interpolate=False))


def written(text, changes):
    try:
        return envfile.updated(text, changes)
    except UsageError:  # rare: quotes, line ends and a last backslash at once
        reject()


# --- what is written is read back -------------------------------------------


@given(st.dictionaries(NAMES, VALUES, max_size=5))
@example({"A": ""})
@example({"A": "x\\"})
@example({"A": "-----BEGIN KEY-----\nab+/=\n-----END KEY-----\n"})
@example({"A": 'it\'s "both" $HOME \\n # no comment'})
@example({"A": "#!/bin/sh\necho $(id) `id`\n"})
@example({"A": " spaces around "})
def test_any_value_is_read_back(pairs):
    assert dotenv(written("", pairs)) == pairs


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), st.data())
def test_a_change_touches_only_what_it_names(pairs, data):
    before = written("", pairs)
    key = data.draw(st.sampled_from(sorted(pairs)))
    value = data.draw(st.none() | VALUES)
    expected = {**pairs, key: value}
    assert dotenv(written(before, {key: value})) == {
        name: kept for name, kept in expected.items() if kept is not None
    }


@given(VALUES)
def test_writing_twice_is_writing_once(value):
    once = written("# head\nB=b\n", {"A": value})
    assert envfile.updated(once, {"A": value}) == once


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("plain-1.2/x@y:z,+%", "plain-1.2/x@y:z,+%"),
        ("", "''"),
        ("two words", "'two words'"),
        ("$HOME `id` # !", "'$HOME `id` # !'"),
        ('say "x"', "'say \"x\"'"),
        ("it's", '"it\'s"'),
        ("a\nb", '"a\nb"'),
        ("é", "'é'"),
        ("a\nb $(id)", "'a\nb $(id)'"),
    ],
)
def test_the_plainest_form_is_chosen(value, form):
    assert envfile.updated("", {"A": value}) == f"A={form}\n"


@given(st.text(alphabet='ab "\\\t#$`!=~{}é*?', max_size=12))
def test_bash_reads_the_same_where_single_quotes_are_enough(value):
    assume("\\\\" not in value and not value.endswith("\\"))
    assert shutil.which("sh")
    script = f'{envfile.updated("", {"A": value})}printf %s. "$A"'
    assert process.run("sh", "-euc", script).stdout == f"{value}."


@given(
    st.text(alphabet="ab '\"\\\n\t#$`!(){}[]@Pi;&|<>", max_size=14),
    st.sampled_from(["$(", "`", "${", "$["]),
)
@example("it's \n", "$(")
@example("x y\\", "`")
def test_a_shell_that_reads_the_file_runs_nothing_of_a_value(value, begins):
    """`P` holds what would be run if it were expanded once more."""
    ran = "touch() { echo RAN; }; i() { echo RAN; }; P='$(i)'; a=P\n"
    text = written("", {"A": f"{value}{begins}i){'`' if begins == '`' else ''}"})
    said = process.run("bash", "-c", f"{ran}{text}", check=False)
    assert "RAN" not in f"{said.stdout}{said.stderr}"


@pytest.mark.parametrize(
    "value", ["it's $(id)", "it's `id`", "'${x@P}", "ends in $(id) \\"]
)
def test_a_value_that_a_shell_would_run_in_any_form_is_refused(value):
    with pytest.raises(UsageError, match="a shell that reads the file would run"):
        envfile.updated("", {"A": value})


# --- what is there stays ----------------------------------------------------

FILE = """\
# The shop's settings

export APP_KEY='old'  # rotate in May
DEBUG=false

MAIL_HOST=localhost
DEBUG=true
"""


def test_comments_order_and_other_lines_stay():
    assert (
        envfile.updated(FILE, {"APP_KEY": "new key", "NEW": "1"})
        == FILE.replace("'old'", "'new key'") + "NEW=1\n"
    )


def test_a_variable_set_twice_is_set_once_afterwards():
    text = envfile.updated(FILE, {"DEBUG": "maybe"})
    assert text.count("DEBUG") == 1
    assert dotenv(text)["DEBUG"] == "maybe"


def test_unset_takes_every_line_of_the_variable():
    text = envfile.updated(FILE, {"DEBUG": None, "NEVER_THERE": None})
    assert "DEBUG" not in text
    assert "MAIL_HOST=localhost\n" in text


def test_a_file_without_a_last_line_end_gets_one():
    assert envfile.updated("A=1", {"B": "2"}) == "A=1\nB=2\n"


def test_line_ends_stay_what_they_are():
    assert envfile.updated("A=1\r\nB=2\r\n", {"A": "3", "C": "4"}) == (
        "A=3\r\nB=2\r\nC=4\r\n"
    )


def test_nothing_to_change_changes_nothing():
    assert envfile.updated("A=1", {}) == "A=1"


# --- what is refused --------------------------------------------------------


@pytest.mark.parametrize("key", ["", "1A", "A B", "A-B", "A=", "é", "A\n"])
def test_a_name_that_no_shell_takes_is_refused(key):
    with pytest.raises(UsageError, match="variable name"):
        envfile.updated("", {key: "x"})


def test_a_file_that_cannot_be_read_is_not_changed():
    with pytest.raises(ConfigError, match="line 2"):
        envfile.updated("A=1\nB='open\n", {"A": "2"})


def test_a_value_no_environment_can_hold_is_refused():
    with pytest.raises(UsageError, match="cannot be written"):
        envfile.updated("", {"A": "x\0y"})


# --- values -----------------------------------------------------------------


def test_values_are_not_interpolated_and_need_an_equal_sign():
    data = b"A=${HOME}\r\nB\nC='c'\nD=\xff\n"
    assert envfile.values(data) == {"A": "${HOME}", "C": "c", "D": "\udcff"}


def test_bytes_that_are_not_utf_8_are_passed_over_as_they_are():
    text = b"D=\xff\n".decode("utf-8", "surrogateescape")
    changed = envfile.updated(text, {"A": "1"})
    assert changed.encode("utf-8", "surrogateescape") == b"D=\xff\nA=1\n"
