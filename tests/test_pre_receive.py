"""The pre-receive hook by itself: what it lets through without asking for rights anew.

A permit lets through what it says and no more. What becomes of pushes that have none is
tried by people who push, in `test_people` and `hostile/test_rights`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import process
from support.server import Server

from gitdeploy.config.access import Action
from gitdeploy.hooks import permit

MAIN = "refs/heads/main"


@pytest.fixture
def granted(tmp_path: Path) -> Callable[..., str]:
    """Write permits of what was read from a file."""
    read = tmp_path / "access.toml"
    read.write_text("as it was")

    def written(
        *, stage: str = "", release: str = "", ends: float | None = None, refs: int = 9
    ) -> str:
        may: dict[Action, list[str]] = {
            "stage": stage.split(),
            "release": release.split(),
        }
        files = {str(read): permit.as_of(str(read))}
        return permit.written(may, files, expires_s=ends, refs=refs)

    return written


@pytest.mark.parametrize(
    ("may", "ref", "covered"),
    [
        ({"stage": "main"}, MAIN, True),
        ({"stage": MAIN}, MAIN, True),
        ({"stage": "main"}, f"{MAIN}-2", False),
        ({"stage": "main"}, f"{MAIN}/x", False),
        ({"stage": "main"}, "refs/heads/mai", False),
        ({"stage": "main"}, "refs/heads/x/main", False),
        ({"stage": "main"}, "refs/tags/main", False),
        ({"stage": "main"}, "refs/notes/main", False),
        ({"stage": "main"}, "refs/heads/refs/heads/main", False),
        ({"stage": "fix/*"}, "refs/heads/fix/1", True),
        ({"stage": "fix/*"}, "refs/heads/fix", False),
        ({"stage": "fix/*"}, "refs/heads/a/fix/1", False),
        ({"stage": "*"}, MAIN, True),
        ({"stage": "*"}, "refs/tags/v1", False),
        ({"release": "v*"}, "refs/tags/v1", True),
        ({"release": "v1"}, "refs/tags/v10", False),
        ({"release": "v*"}, "refs/heads/v1", False),
        ({"release": "*"}, MAIN, False),
        ({}, MAIN, False),
        ({"stage": "main"}, "", False),
    ],
)
def test_a_ref_is_let_through_by_its_whole_name_and_its_own_right(
    granted: Callable[..., str], may: dict[str, str], ref: str, *, covered: bool
) -> None:
    assert permit.covers(granted(**may), [ref]) is covered


def test_one_ref_that_may_not_be_pushed_is_one_too_many(
    granted: Callable[..., str],
) -> None:
    both = granted(stage="main", release="v*")
    assert permit.covers(both, [MAIN, "refs/tags/v1"])
    assert not permit.covers(both, [MAIN, "refs/tags/v1", "refs/heads/else"])


def test_no_more_refs_are_let_through_than_one_push_may_have(
    granted: Callable[..., str],
) -> None:
    assert permit.covers(granted(stage="*", refs=2), [MAIN] * 2)
    assert not permit.covers(granted(stage="*", refs=2), [MAIN] * 3)


def test_a_key_that_has_ended_lets_nothing_through(granted: Callable[..., str]) -> None:
    assert permit.covers(granted(stage="*", ends=time.time() + 3600), [MAIN])
    assert not permit.covers(granted(stage="*", ends=time.time() - 1), [MAIN])


@pytest.mark.parametrize("change", ["written", "replaced", "gone"])
def test_nothing_is_let_through_once_what_it_was_read_from_has_changed(
    granted: Callable[..., str], tmp_path: Path, change: str
) -> None:
    written, read = granted(stage="*"), tmp_path / "access.toml"
    assert permit.covers(written, [MAIN])
    if change == "written":
        read.write_text("as it is now")
    elif change == "replaced":
        (tmp_path / "new").write_text("as it was")
        (tmp_path / "new").rename(read)
    else:
        read.unlink()
    assert not permit.covers(written, [MAIN])


@pytest.mark.parametrize("words", ["", "stage *", "stage *\nrefs 9", "nothing of it"])
def test_words_that_are_no_permit_let_nothing_through(words: str) -> None:
    assert not permit.covers(words, [MAIN])


@pytest.mark.parametrize(
    ("pattern", "simple"),
    [
        ("main", True),
        ("fix/*", True),
        ("*", True),
        ("*/fix", False),
        ("v?", False),
        ("v[0-9]*", False),
        ("v1**", False),
        ("a b", False),
        ("a\nstage *", False),
    ],
)
def test_what_is_not_simple_is_left_out_of_a_permit(
    pattern: str, *, simple: bool
) -> None:
    assert permit.is_simple(pattern) is simple


# --- push options -------------------------------------------------------------------


@pytest.mark.parametrize(("size", "code"), [(2**15, 0), (2**15 + 1, 1)])
def test_no_permit_lets_more_than_64_kib_of_options_in(
    server: Server, granted: Callable[..., str], size: int, code: int
) -> None:
    """Whoever stands before git counts them as well, and is not relied upon."""
    server.setup("shop")
    environment = {
        "GIT_DIR": ".",
        "GITDEPLOY_KEY": "SHA256:of-somebody",
        "GITDEPLOY_PERMIT": granted(stage="main"),
        "GIT_PUSH_OPTION_COUNT": "2",
        "GIT_PUSH_OPTION_0": "x" * 2**15,
        "GIT_PUSH_OPTION_1": "x" * size,
    }
    hook, update = (
        server.repo() / "hooks/pre-receive",
        f"{'0' * 40} {'1' * 40} {MAIN}\n",
    )
    done = process.run(
        hook, cwd=server.repo(), env=environment, stdin=update, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("push options of more than 64 KiB" in done.stderr) is bool(code)
