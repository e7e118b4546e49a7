"""What patterns of refs mean, and which say what they cannot mean."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import process
from support.git import Work
from support.server import Server

from gitdeploy.config.patterns import RefPattern, fits, refuse_bad_order
from gitdeploy.config.values import BadValueError


@pytest.mark.parametrize(
    ("patterns", "taken", "left"),
    [
        (["v*"], ["v1", "v1/x"], ["1", "xv1", "V1"]),
        (["v*", "!*-rc*"], ["v1.0.0"], ["v1.0.0-rc1", "v2-rc"]),
        (["v*", "!v1*", "v1.2"], ["v2", "v1.2"], ["v1", "v1.3"]),
        (["*", "!wip/*", "!main"], ["a", "wip"], ["wip/x", "main"]),
        ([r"\!v1", "a"], ["!v1", "a"], ["v1", r"\!v1"]),
        (["*", r"!\!x"], ["x"], [r"\!x"]),
        (["[!v]*"], ["x"], ["v1"]),
        ([], [], ["main", ""]),
    ],
)
def test_the_last_pattern_that_fits_counts(patterns, taken, left):
    assert [name for name in (*taken, *left) if fits(patterns, name)] == taken


@given(
    st.lists(st.sampled_from(["*", "a*", "*b", "ab", "!a*", "!*b", "!ab", "!*"])),
    st.text("ab", max_size=3),
)
def test_it_is_as_if_each_pattern_answered_in_turn(patterns, name):
    meant = False
    for pattern in patterns:
        if fnmatchcase(name, pattern.removeprefix("!")):
            meant = not pattern.startswith("!")
    assert fits(patterns, name) is meant


def test_one_of_several_names_is_enough():
    """A grant means a ref by its whole name or as people write it."""
    assert fits(["v*", "!refs/tags/v1"], "refs/tags/v2", "v2")
    assert not fits(["v*", "!refs/tags/v1"], "refs/tags/v1", "v1")


@pytest.mark.parametrize(
    "pattern",
    [
        "main",
        "v*",
        "!v*",
        r"\!v",
        "v[0-9]*",
        "a/b",
        "*.lock*",
        "v?",
        "@",
        "a.b",
        "ä",
    ],
)
def test_what_a_ref_can_be_called_is_a_pattern(pattern):
    assert RefPattern.read(pattern) == pattern


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "!", "a b", "v1~", "v^", "a:b", "a..b", "a//b", "/a", "a/", "a.", ".a"),
        *(
            "a/.b",
            "a.lock",
            "x.lock/y",
            "a@{b",
            "\x7f",
            "tab\t",
            r"v\*",
            "v[1",
            "v" * 256,
        ),
        *("!a b", "*..*", "*.lock", "a\0", 7),
    ],
)
def test_what_no_ref_can_be_called_is_refused(pattern):
    with pytest.raises(BadValueError):
        RefPattern.read(pattern)


@given(st.text("ab./@{~^: \\-!é*?[]", max_size=8))
def test_a_plain_pattern_is_refused_where_git_refuses_the_name(name):
    """Without anything left open a pattern is a name, and git knows what one is."""
    if set(name) & set("*?[]") or name.startswith(("!", r"\!")):
        return
    allowed = process.run("git", "check-ref-format", f"refs/heads/{name}", check=False)
    try:
        RefPattern.read(name)
    except BadValueError:
        assert allowed.returncode
    else:
        assert not allowed.returncode


def test_a_name_with_what_git_puts_before_it_is_refused_with_the_name():
    with pytest.raises(BadValueError) as told:
        RefPattern.read("refs/tags/v*")
    assert told.value.write == '"v*"'


def test_nothing_can_be_taken_away_from_nothing():
    with pytest.raises(BadValueError, match="after what it takes from"):
        refuse_bad_order(["!v*", "v*"], ".release")
    refuse_bad_order(["v*", "!v1"], ".release")


def test_a_tag_that_is_taken_away_does_not_go_to_prod(
    server: Server, work: Work
) -> None:
    toml = '[refs]\nrelease = ["v*", "!*-rc*"]\n'
    work.commit("one", **{"page": "one", "deploy.toml": toml})
    assert work.push("main").code == 0
    work.tag("v1.0.0-rc1")
    refused = work.push("v1.0.0-rc1")
    assert refused.code == 1
    assert "tags v*, !*-rc* release" in refused.output
    assert not (server.target / "shop/page").exists()
    work.tag("v1.0.0")
    assert work.push("v1.0.0").code == 0
    assert (server.target / "shop/page").read_text() == "one"


def test_order_that_takes_nothing_away_is_refused_with_what_to_write(
    server: Server, work: Work
) -> None:
    toml = '[refs]\nrelease = ["!*-rc*", "v*"]\n'
    work.commit("one", **{"page": "one", "deploy.toml": toml})
    refused = work.push("main")
    assert refused.code == 1
    assert "refs.release[0]" in refused.output
    assert not (server.target / "shop-staging/page").exists()
