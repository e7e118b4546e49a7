"""The demo: the whole story, short, and nothing left behind."""

import os
import signal
import sys
import time

import pytest
from support import process

WORDS = [sys.executable, "-m", "gitdeploy", "demo"]


@pytest.fixture
def place(tmp_path):
    """Where the demo makes its directory."""
    place = tmp_path / "tmp dir"
    place.mkdir()
    return place


def test_the_story_is_told_calmly_and_nothing_is_left(place):
    done = process.run(*WORDS, env={"TMPDIR": str(place)}, cwd=place)
    lines = done.stdout.splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) <= 80
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert list(place.iterdir()) == []


def test_every_act_of_the_story_happens(place):
    shown = process.run(*WORDS, env={"TMPDIR": str(place)}).stdout
    acts = shown.split("$ ")[1:]
    expected = [
        ("git push server main", "staged", "shop-staging -> shop-dev-1 -> release 1"),
        ("git tag v1", "released", "shop -> shop-prod-1 -> release 1"),
        ("git commit", "[remote rejected]", "shop-dev-1 -> release 1"),
        ("git commit -a --amend", "staged", "shop-dev-1 -> release 3"),
        ("git revert HEAD", "nothing rebuilt", "shop-dev-1 -> release 1"),
    ]
    assert len(acts) == len(expected)
    for act, (typed, said, link) in zip(acts, expected, strict=True):
        assert act.startswith(typed)
        assert said in act
        assert link in act


def test_it_needs_no_identity_and_heeds_no_configuration(place, tmp_path):
    config = tmp_path / "gitconfig"
    config.write_text(
        "[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nonexistent\n"
        "[user]\n\tuseConfigOnly = true\n"
    )
    poor = {
        "TMPDIR": str(place),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_DIR": "/nonexistent",
        "GIT_AUTHOR_NAME": "",
        "GIT_COMMITTER_EMAIL": "",
        "GITDEPLOY_ROOT": "/nonexistent",
        "HOME": "/nonexistent",
    }
    assert process.run(*WORDS, env=poor).stdout.count("$ git") == 5
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("lines_before", [0, 3, 8])
def test_an_interrupted_story_leaves_nothing(place, number, lines_before):
    with process.started(*WORDS, env={"TMPDIR": str(place)}) as child:
        assert child.stdout is not None
        if lines_before == 0:
            _wait_for_a_directory_in(place)
        for _ in range(lines_before):
            child.stdout.readline()
        os.killpg(child.pid, number)
        child.stdout.read()
        assert child.wait(30) == 130
    assert list(place.iterdir()) == []


def _wait_for_a_directory_in(place) -> None:
    for _ in range(1000):
        if list(place.glob("gitdeploy-demo-*")):
            return
        time.sleep(0.01)
    pytest.fail("the demo made no directory")
