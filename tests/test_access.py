"""Rights: what was granted, and what is answered."""

import pytest

from gitdeploy.access import (
    EVERYTHING,
    Answer,
    Rights,
    answer,
    refs_of,
    rights_of,
)
from gitdeploy.config.access import Access, Grant, parse_access
from gitdeploy.errors import ConfigError

GRANTED = b"""
[groups]
team = ["ada", "ben"]

[[grant]]
to = ["@team"]
may = ["stage"]
apps = ["shop", "blog-*"]

[[grant]]
to = ["ben"]
may = ["release", "rollback"]
apps = ["shop"]
refs = ["v*"]

[[grant]]
to = ["cy"]
may = ["read"]

[[grant]]
to = ["root"]
may = ["admin"]
"""

CASES = [
    ("ada", "shop", "stage", "refs/heads/main", True),
    ("ada", "blog-de", "stage", "refs/heads/main", True),
    ("ada", "blog", "stage", "refs/heads/main", False),
    ("ada", "shop", "read", None, True),
    ("ada", "other", "read", None, False),
    ("ada", "shop", "release", "refs/tags/v1", False),
    ("ada", "shop", "rollback", None, False),
    ("ben", "shop", "stage", "refs/heads/main", True),
    ("ben", "shop", "release", "refs/tags/v1", True),
    ("ben", "shop", "release", "refs/tags/beta", False),
    ("ben", "shop", "release", None, True),
    ("ben", "blog-de", "release", "refs/tags/v1", False),
    ("cy", "anything", "read", None, True),
    ("cy", "anything", "env", None, False),
    ("root", "anything", "env", None, True),
    ("root", "anything", "release", "refs/tags/v1", True),
    ("Ada", "shop", "read", None, False),
    ("team", "shop", "read", None, False),
    ("@team", "shop", "read", None, False),
    ("", "shop", "read", None, False),
]


@pytest.mark.parametrize(("person", "app", "action", "ref", "allowed"), CASES)
def test_what_nobody_granted_is_refused(person, app, action, ref, allowed):
    access = parse_access(GRANTED, where="access.toml")
    rights = rights_of(person, app, [("access.toml", access)])
    assert answer(rights, action, ref).allowed is allowed


def test_an_answer_says_by_which_grant_or_what_is_held_instead():
    files = [("access.toml", parse_access(GRANTED, where="access.toml"))]
    ben = rights_of("ben", "shop", files)
    assert answer(ben, "release", "refs/tags/v1").why == "by access.toml, grant 2"
    no = answer(ben, "release", "refs/tags/beta")
    assert no.why == "ben lacks release (only for v*)"
    assert answer(ben, "env").why == "ben lacks env (has: release, rollback, stage)"
    stranger = rights_of("eve", "shop", files)
    assert answer(stranger, "read").why == "eve has no right to this app"


def test_the_servers_own_user_may_do_everything():
    assert answer(EVERYTHING, "admin").allowed


def test_an_empty_file_lets_nobody_in():
    files = [("access.toml", parse_access(b"", where="access.toml"))]
    assert not rights_of("ada", "shop", files).letting_in


def test_a_grant_of_nothing_lets_nobody_in():
    data = b'[[grant]]\nto = ["ada"]\nmay = []\n'
    files = [("access.toml", parse_access(data, where="access.toml"))]
    ada = rights_of("ada", "shop", files)
    assert not ada.letting_in
    assert not answer(ada, "read").allowed


NESTED = b"""
[groups]
ops = ["dev", "zoe"]
dev = ["ada"]
zoe = ["zoe"]

[[grant]]
to = ["@ops"]
may = ["stage"]

[[grant]]
to = ["@zoe"]
may = ["env"]
"""


@pytest.mark.parametrize(
    ("person", "action", "allowed"),
    [
        ("dev", "stage", False),
        ("ada", "stage", False),
        ("zoe", "stage", False),
        ("zoe", "env", True),
    ],
)
def test_a_group_in_a_group_is_no_person(person, action, allowed):
    """Neither a person of its name, nor its members; a group may have a member's."""
    access = parse_access(NESTED, where="access.toml")
    rights = rights_of(person, "shop", [("access.toml", access)])
    assert answer(rights, action).allowed is allowed
    assert access.nested == [("ops", "dev"), ("ops", "zoe")]


def test_who_is_turned_away_has_no_right_whatever_was_granted():
    rights = Rights("ada", rights_of("root", "x", FILES).grants, turned_away="too late")
    assert not rights.letting_in
    assert answer(rights, "read") == Answer(allowed=False, why="too late")


@pytest.mark.parametrize(
    ("apps", "since", "allowed"),
    [
        (("shop",), None, True),
        (("shop",), "2026-01-01T00:00:00Z", False),
        (("shop",), "2026-01-02T00:00:00Z", True),
        (("sh*",), "2026-01-01T00:00:00Z", True),
        (("shop", "*"), "2026-01-01T00:00:00Z", True),
    ],
)
def test_a_grant_by_name_is_for_the_app_that_was_there_then(apps, since, allowed):
    one = Grant(to=("ada",), may=("stage",), apps=apps, since=since)
    made = "2026-01-01T12:00:00Z"
    rights = rights_of("ada", "shop", [("x", Access(grant=(one,)))], made)
    assert rights.letting_in is allowed


FILES = [("access.toml", parse_access(GRANTED, where="access.toml"))]

BROKEN = {
    "a moment that is none": (
        b'[[grant]]\nto = ["x"]\nmay = ["read"]\nsince = "yesterday"',
        'grant[0].since: should be a moment "2026-12-24T18:00:00Z"',
    ),
    "a group that does not exist": (
        b'[[grant]]\nto = ["@x"]\nmay = ["read"]',
        "grant[0].to[0]: should be a group of [groups] (none), got @x",
    ),
    "a group with a blank": (
        b'[groups]\n"a b" = []',
        "groups: should be a name of at most 40 letters, digits, dots",
    ),
    "an action that does not exist": (
        b'[[grant]]\nto = ["x"]\nmay = ["reed"]',
        "grant[0].may[0]: should be one of read, stage,",
    ),
    "a name with a blank": (
        b'[[grant]]\nto = ["a b"]\nmay = ["read"]',
        "grant[0].to[0]: should be a name of at most 40 letters",
    ),
    "an app that is a path": (
        b'[[grant]]\nto = ["a"]\nmay = ["read"]\napps = ["../x"]',
        "grant[0].apps[0]: should be an app's name, or a pattern",
    ),
    "an unknown key": (b"grants = []", "grants"),
    "no TOML": (b"[[grant", "should be TOML"),
}


@pytest.mark.parametrize(("data", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named_with_its_place(data, said):
    with pytest.raises(ConfigError) as no:
        parse_access(data, where="access.toml")
    assert no.value.message.startswith("access.toml: ")
    assert said in no.value.message


@pytest.mark.parametrize(
    ("ref", "allowed"),
    [
        ("refs/heads/topic", True),
        ("refs/heads/main", False),
        ("refs/tags/v1", False),
        ("refs/tags/v1.2", True),
    ],
)
def test_a_grant_for_all_but_some_refs_is_not_one_for_all(ref, allowed):
    """Nor is it handed over in pieces: a permit would know what it gives alone."""
    refs = '["*", "!main", "!refs/tags/v*", "v1.2"]'
    text = f'[[grant]]\nto = ["ada"]\nmay = ["stage"]\nrefs = {refs}\n'
    access = parse_access(text.encode(), where="access.toml")
    rights = rights_of("ada", "shop", [("access.toml", access)])
    assert answer(rights, "stage", ref).allowed is allowed
    assert refs_of(rights, "stage") == []


def test_a_grant_that_begins_by_taking_away_is_refused():
    text = b'[[grant]]\nto = ["ada"]\nmay = ["stage"]\nrefs = ["!main"]\n'
    with pytest.raises(ConfigError, match=r"grant\[0\]\.refs\[0\]"):
        parse_access(text, where="access.toml")
