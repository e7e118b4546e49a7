"""The subject of a commit, read from the object as `git log --format=%s` tells it."""

import subprocess
from pathlib import Path

import pytest
from support.git import Work

from gitdeploy.repository import subject_of

HEADERS = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
HEADERS += b"author A <a@b> 1767225600 +0000\ncommitter A <a@b> 1767225600 +0000\n"

MESSAGES = {
    "one line": b"one line\n",
    "no end of line": b"one line",
    "none": b"",
    "only empty lines": b"\n\n\n",
    "a body": b"subject\n\nbody\nof two lines\n",
    "a paragraph": b"a subject  \n that goes on\n\nbody\n",
    "empty lines before": b"\n\nsubject\n\nbody",
    "lines of blanks": b"  \nsubject\n \t\nbody",
    "not of ASCII": "Grüße an Łódź\n".encode(),
    "not UTF-8": b"caf\xe9\n",
}
ENCODINGS = {
    "of its own": (
        b"ISO-8859-1",
        "café à la carte".encode("latin-1"),
        "café à la carte",
    ),
    "nobody's": (b"x-unheard-of", b"plain", "plain"),
    "one of Python's for host names": (b"idna", b"plain", "plain"),
    "one of Python's that is an error": (b"undefined", b"plain", "plain"),
    "one of Python's that is no text": (b"zlib", b"plain", "plain"),
}


@pytest.fixture
def empty(tmp_path: Path) -> Work:
    """A clone with the empty tree."""
    work = Work.create(tmp_path / "work")
    work.git("hash-object", "-t", "tree", "-w", "/dev/null")
    return work


def as_git_says(work: Work, commit: bytes) -> str:
    """Return the subject that git log tells."""
    words = [
        "git",
        "-C",
        str(work.path),
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--stdin",
    ]
    made = subprocess.run(words, input=commit, stdout=subprocess.PIPE, check=True)
    words = ["git", "-C", str(work.path), "log", "-1", "--format=%s"]
    done = subprocess.run(
        [*words, made.stdout.decode().strip()], stdout=subprocess.PIPE, check=True
    )
    return done.stdout.decode("utf-8", "replace").strip()


def test_a_subject_is_what_git_log_tells(empty: Work) -> None:
    """However the message looks."""
    for name, message in MESSAGES.items():
        commit = HEADERS + b"\n" + message
        assert subject_of(commit) == as_git_says(empty, commit), name


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_commit_may_say_in_which_encoding_it_is(empty: Work, name: str) -> None:
    """As i18n.commitEncoding makes git write it."""
    encoding, message, subject = ENCODINGS[name]
    commit = HEADERS + b"encoding " + encoding + b"\n\n" + message
    assert subject_of(commit) == as_git_says(empty, commit) == subject


def test_what_is_no_commit_has_no_subject() -> None:
    """Such as one that was too large to be read."""
    assert subject_of(b"") == ""


def test_an_encoding_that_no_name_can_be_is_passed_over() -> None:
    assert subject_of(HEADERS + b"encoding a\0b\n\nplain") == "plain"
