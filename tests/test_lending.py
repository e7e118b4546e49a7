"""The lock lent: roll backs go first while its holder only waits, and nobody else."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from support import process
from support.held import until

from gitdeploy.lock import at_work, holder, lender, lock_held, waiting
from gitdeploy.system import files, flock

# Holds the lock, says so, and lends it until its input ends; holds it again then.
LEND = """
import sys, threading, time
from pathlib import Path
from gitdeploy.lock import Amid, lock_held

path, trial = sys.argv[1:]
amid = Amid(frozenset({7}), frozenset({8}))
enough = threading.Event()
def read():
    sys.stdin.read()
    enough.set()
threading.Thread(target=read).start()
with lock_held(Path(path), by="ada", what="push", wait_s=60, tell=print) as turn:
    print("held", flush=True)
    with turn.lending(lambda: amid, trial or None):
        while not enough.wait(0.02):
            turn.look()
    print("held again" if turn.was_lent else "never lent", flush=True)
"""

# Waits for the lock and keeps it until its input ends.
WAIT = """
import sys
from pathlib import Path
from gitdeploy.lock import lock_held

path, by, chain = sys.argv[1:]
with lock_held(
    Path(path), by=by, what="x", wait_s=60, tell=lambda _: None,
    rolls_back=chain or None,
):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@contextmanager
def lending(path: Path, trial: str = "") -> Iterator[Popen[bytes]]:
    with process.started(sys.executable, "-c", LEND, path, trial) as child:
        assert says(child) == "held"
        yield child


@contextmanager
def someone(path: Path, by: str, chain: str = "") -> Iterator[Popen[bytes]]:
    """A process that waits for the lock, to roll a chain back or for something else."""
    before = len(waiting(path))
    with process.started(sys.executable, "-c", WAIT, path, by, chain) as child:
        until(lambda: len(waiting(path)) > before or has(path, by), "it is there")
        yield child


def has(path: Path, by: str) -> bool:
    return by in [one.by for one in at_work(path)]


def says(child: Popen[bytes]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().decode().rstrip("\n")


def let_go(child: Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()


def test_a_roll_back_goes_first_and_nobody_else_gets_past_who_lends(
    path: Path,
) -> None:
    with ExitStack() as stack:
        ada = stack.enter_context(lending(path))
        cyd = stack.enter_context(someone(path, "cyd"))
        bob = stack.enter_context(someone(path, "bob", "prod"))
        assert says(bob) == "held"
        lent = lender(path)
        assert lent is not None
        who, amid = lent
        assert (who.by, amid.events, amid.releases) == ("ada", {7}, {8})
        assert [one.by for one in at_work(path)] == ["ada", "bob"]
        assert [one.by for one in waiting(path)] == ["cyd"]
        let_go(bob)
        bob.wait(30)
        until(lambda: holder(path) and holder(path).by == "ada", "ada is at work")
        dan = stack.enter_context(someone(path, "dan", "dev"))
        assert says(dan) == "held"
        let_go(ada)  # what she waited for has ended; she waits for dan
        let_go(dan)
        assert says(ada) == "held again"
        assert says(cyd) == "held"
        assert lender(path) is None
        let_go(cyd)
    assert os.listdir(path.with_name("queue")) == []


@pytest.mark.parametrize("asked", ["", "dev"])
def test_what_is_tried_out_is_not_rolled_back_meanwhile(path: Path, asked: str) -> None:
    """Nor does anybody else go first; the other chain does."""
    with lending(path, "dev") as ada, someone(path, "bob", asked) as bob:
        with someone(path, "cyd", "prod") as cyd:
            assert says(cyd) == "held"
            assert [one.by for one in waiting(path)] == ["bob"]
            let_go(cyd)
            cyd.wait(30)
        assert not has(path, "bob")
        let_go(ada)
        assert says(ada) == "held again"
        assert says(bob) == "held"
        let_go(bob)


def test_without_a_roll_back_nothing_is_lent(path: Path) -> None:
    with lending(path) as ada, someone(path, "bob") as bob:
        let_go(ada)
        assert says(ada) == "never lent"
        assert says(bob) == "held"
        let_go(bob)


def test_who_is_killed_lends_nothing_any_more(path: Path) -> None:
    """Whoever comes next finds what it left, as of any holder that died."""
    with lending(path) as ada, someone(path, "bob", "prod") as bob:
        assert says(bob) == "held"
        ada.kill()
        ada.wait(30)
        assert lender(path) is None
        assert holder(path).by == "bob"
        let_go(bob)
        bob.wait(30)
    with lock_held(path, by="eve", what="x", wait_s=0, tell=pytest.fail):
        assert os.listdir(path.with_name("queue")) == []


def test_a_roll_back_that_is_killed_gives_the_lock_back(path: Path) -> None:
    with lending(path) as ada, someone(path, "bob", "prod") as bob:
        assert says(bob) == "held"
        bob.kill()
        bob.wait(30)
        let_go(ada)
        assert says(ada) == "held again"


def test_a_child_that_has_the_lock_too_keeps_it_no_longer_than_it_is_held(
    path: Path,
) -> None:
    """A git of ours may run on while the lock is lent (flock(2): one open file)."""
    fd = files.open_to_hold(path)
    assert flock.try_to_hold(fd)
    with Popen(["/bin/sleep", "60"], pass_fds=[fd]) as child:
        flock.release(fd)
        with lock_held(path, by="eve", what="x", wait_s=0, tell=pytest.fail):
            assert not flock.try_to_hold(fd)
        child.kill()
    os.close(fd)


def test_without_room_for_a_ticket_nothing_is_lent(path: Path) -> None:
    path.with_name("queue").write_text("no directory")
    with lending(path) as ada:
        words = (sys.executable, "-c", WAIT, path, "bob", "prod")
        with process.started(*words) as bob:
            let_go(ada)
            assert says(ada) == "never lent"
            assert says(bob) == "held"
            let_go(bob)
