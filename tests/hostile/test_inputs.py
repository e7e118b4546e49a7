"""What a verb takes in is bounded, and what it cannot use is refused in one line."""

import os
import subprocess
import threading

import pytest
from support.git import Work
from support.server import Server

from gitdeploy.cli.inputs import check_words, read_input
from gitdeploy.errors import UsageError
from hostile.scene import Scene

TOO_MUCH = 64 * 1024 + 1
HUGE = "9" * 30
NUMBERS = [
    ("history", "shop", "--limit", HUGE),
    ("history", "shop", "--limit", "-1"),
    ("history", "shop", "--limit", "9" * 5000),
    ("history", "shop", "--limit", "nan"),
    ("rollback", "shop", "dev", "--steps", HUGE),
    ("rollback", "shop", "dev", "--steps", "0"),
    ("prune", "shop", "--keep", HUGE),
    ("rollback", "shop", "dev", "--wait", "nan"),
    ("rollback", "shop", "dev", "--wait", "inf"),
    ("cancel", "shop", "--wait", "nan"),
    ("cancel", "shop", "--wait=-1"),
    ("env", "shop", "set", "A=1", "--wait", "1e999"),
]
NOTHING_THERE = [
    ("logs", "shop", "-n", HUGE),
    ("logs", "shop", HUGE),
    ("pin", "shop", HUGE),
]
LONG = [
    ("lock", "shop", "--reason", "x" * TOO_MUCH),
    ("env", "shop", "set", f"A={'x' * TOO_MUCH}"),
    ("maintenance", "shop", "on", "--message", "é" * (TOO_MUCH // 2 + 1)),
    ("access", "grant", "ada", "stage", "--app", "x" * TOO_MUCH),
    ("x" * TOO_MUCH,),
]


def test_a_number_that_cannot_be_meant_is_refused_in_one_line(
    server: Server, work: Work
) -> None:
    work.commit("one", page="1")
    assert work.push("main").code == 0
    before = server.history()
    for words in NUMBERS:
        done = server.gitdeploy(*words, check=False)
        assert done.returncode == 2, words
        line, hint = done.stderr.splitlines()
        assert "should be" in line
        assert len(line) < 120
        assert hint == f"hint: gitdeploy {words[0]} --help"
    for words in NOTHING_THERE:
        done = server.gitdeploy(*words, check=False)
        assert done.returncode == 2, words
        assert len(done.stderr.splitlines()) == 2
    assert server.history() == before


def test_a_word_that_is_too_long_is_refused(server: Server) -> None:
    server.setup("shop")
    for words in LONG:
        done = server.gitdeploy(*words, check=False)
        assert done.returncode == 2, words[:2]
        assert "a value may have 64 KiB" in done.stderr
        assert len(done.stderr) < 200


def test_words_are_measured_in_bytes() -> None:
    check_words(["x" * (TOO_MUCH - 1), "", "é"])
    with pytest.raises(UsageError, match="65538 bytes"):
        check_words(["é" * (TOO_MUCH // 2 + 1)])


def test_what_never_ends_is_not_read_to_its_end() -> None:
    """As `env set KEY </dev/zero`."""
    with (
        open("/dev/zero", "rb") as endless,
        pytest.raises(UsageError, match="KEY: more than 64 KiB"),
    ):
        read_input(endless, "KEY")


def test_a_value_of_the_standard_input_is_bounded(server: Server) -> None:
    server.setup("shop")
    done = server.gitdeploy(
        "env", "shop", "set", "A", input="x" * TOO_MUCH, check=False
    )
    assert done.returncode == 2
    assert "A: more than 64 KiB" in done.stderr
    server.gitdeploy("env", "shop", "set", "A", input="x" * (TOO_MUCH - 2) + "\n")


def test_a_person_who_sends_400_mib_is_heard_to_64_kib(attack: Scene) -> None:
    """Over ssh; the other side stops reading, and the client is told why."""
    attack.gitdeploy("access", "grant", "mallory", "env", "--app", "shop")
    reading, writing = os.pipe()
    sent = 0

    def send() -> None:
        nonlocal sent
        block = b"x" * 2**20
        try:
            for _ in range(400):
                sent += os.write(writing, block)
        except BrokenPipeError:
            pass
        finally:
            os.close(writing)

    thread = threading.Thread(target=send)
    words = [*attack.client("mallory"), attack.url(), "env shop set A"]
    with os.fdopen(reading, "rb") as source:
        thread.start()
        done = subprocess.run(
            words, stdin=source, capture_output=True, text=True, check=False, timeout=60
        )
    thread.join()
    assert done.returncode == 2, done.stderr
    assert "A: more than 64 KiB" in done.stderr
    assert sent < 50 * 2**20
