"""Public links: at every instant each resolves, and nothing but links is touched."""

import os
import sys
from contextlib import nullcontext

import pytest
from support import process

from gitdeploy import links
from gitdeploy.errors import StateError
from gitdeploy.system import files

FLIPS = 500

# Looks at the link as fast as it can until its stdin ends; prints looks and misses.
WATCH = """
import os, sys, threading
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set())).start()
print("ready", flush=True)
looks = misses = 0
while not done.is_set():
    looks += 1
    try:
        misses += os.stat(sys.argv[1] + "/whole").st_size != 4
    except OSError:
        misses += 1
print(looks, misses)
"""


@pytest.fixture
def target(tmp_path):
    """A target with two complete releases beside it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "whole").write_text("here")
    (tmp_path / "www").mkdir()
    return tmp_path / "www"


def inodes(target):
    return {path.name: path.lstat().st_ino for path in target.iterdir()}


# --- what is shown ----------------------------------------------------------


def test_what_links_hold_is_read_without_following_them(target):
    (target / "link").symlink_to("../nowhere")
    (target / "file").write_text("")
    (target / "directory").mkdir()
    names = ("link", "file", "directory", "missing")
    assert links.read(target, names) == {
        "link": "../nowhere",
        "file": None,
        "directory": None,
        "missing": None,
    }


def test_links_are_replaced_in_the_order_given(target, monkeypatch):
    order = []
    replace = files.replace_link

    def noted(link, held):
        order.append(link.name)
        replace(link, held)

    monkeypatch.setattr(files, "replace_link", noted)
    wanted = {"c": "../one", "a": "../one", "b": "../two"}
    assert links.show(target, wanted) == ["c", "a", "b"]
    assert order == ["c", "a", "b"]
    assert links.read(target, wanted) == wanted


def test_links_that_are_right_are_not_touched(target):
    links.show(target, {"a": "../one", "b": "../one"})
    before = inodes(target)
    assert links.show(target, {"a": "../one", "b": "../two"}) == ["b"]
    after = inodes(target)
    assert before["a"] == after["a"]
    assert before["b"] != after["b"]


def test_showing_the_same_again_changes_and_syncs_nothing(target, monkeypatch):
    wanted = {"a": "../one"}
    links.show(target, wanted)
    monkeypatch.setattr(files, "sync_directory", lambda _: pytest.fail("synced"))
    before = target.stat().st_mtime_ns
    assert links.show(target, wanted) == []
    assert target.stat().st_mtime_ns == before


def test_links_that_nobody_asked_for_are_left(target):
    (target / "other").symlink_to("nowhere")
    links.show(target, {"a": "../one"})
    assert os.readlink(target / "other") == "nowhere"


def test_a_stale_link_beside_is_gone_afterwards(target):
    (target / ".a.new").symlink_to("stale")
    links.show(target, {"a": "../one"})
    assert os.listdir(target) == ["a"]


# --- what is not ours -------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "directory", "pipe"])
def test_what_is_no_link_is_refused_before_anything_changes(target, kind):
    stranger = target / "b"
    match kind:
        case "file":
            stranger.write_text("precious")
        case "directory":
            stranger.mkdir()
        case "pipe":
            os.mkfifo(stranger)
    before = inodes(target)
    with pytest.raises(StateError, match=str(stranger)) as caught:
        links.show(target, {"a": "../one", "b": "../one"})
    assert caught.value.hint.startswith("move it away: mv ")
    assert inodes(target) == before


@pytest.mark.parametrize(
    ("make", "foreign"),
    [
        (lambda _: None, False),
        (lambda path: path.symlink_to("nowhere"), False),
        (lambda path: path.symlink_to("/"), False),
        (lambda path: path.write_text(""), True),
        (lambda path: path.mkdir(), True),
    ],
    ids=["nothing", "dangling link", "link", "file", "directory"],
)
def test_only_what_is_no_link_is_foreign(tmp_path, make, foreign):
    make(tmp_path / "name")
    refused = pytest.raises(StateError) if foreign else nullcontext()
    with refused:
        links.check(tmp_path, ["name"])


# --- what a reader sees -----------------------------------------------------


def looks_and_misses(link, flip):
    """Flip between both releases while another process looks at the link."""
    with process.started(sys.executable, "-Ic", WATCH, link) as watcher:
        assert watcher.stdout.readline() == b"ready\n"
        for number in range(FLIPS):
            flip("../two" if number % 2 else "../one")
        told, _ = watcher.communicate(timeout=30)
    looks, misses = map(int, told.split())
    return looks, misses


def test_a_reader_never_misses_a_link_that_is_shown(target):
    link = target / "shop"
    links.show(target, {"shop": "../one"})
    looks, misses = looks_and_misses(link, lambda to: links.show(target, {"shop": to}))
    assert looks > FLIPS
    assert misses == 0


def test_a_reader_does_miss_a_link_that_is_removed_and_made_again(target):
    link = target / "shop"
    link.symlink_to("../one")

    def removed_and_made(to):
        link.unlink()
        files.sync_directory(target)  # as long as a careful flip takes
        link.symlink_to(to)

    _, misses = looks_and_misses(link, removed_and_made)
    assert misses > 0
