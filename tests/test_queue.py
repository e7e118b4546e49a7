"""Who waits for an app: in the order of arrival, as long as they live."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from support import process
from support.held import until

from gitdeploy.errors import LockHeld
from gitdeploy.lock import Holder, cancel, holder, lock_held, queue, waiting
from gitdeploy.system import files, flock

# Waits for the lock and keeps it until its input ends; tells what it is told.
WAIT = """
import sys
from pathlib import Path
from gitdeploy.lock import lock_held

path, by, wait_s = sys.argv[1:]
tell = lambda sentence: print(sentence, flush=True)
wants = {"refs/heads/main": by}
with lock_held(
    Path(path), by=by, what="push", wait_s=float(wait_s), tell=tell, wants=wants
):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def taken(path: Path, *, wait_s: float = 0):
    return lock_held(path, by="eve", what="prune", wait_s=wait_s, tell=lambda _: None)


@contextmanager
def someone(path: Path, by: str, wait_s: float = 60) -> Iterator[Popen[bytes]]:
    """A process that waits for the lock, and keeps it till its input ends."""
    words = (sys.executable, "-c", WAIT, path, by, str(wait_s))
    with process.started(*words) as child:
        yield child


def says(child: Popen[bytes]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().decode().rstrip("\n")


def let_go(child: Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()


def queued(path: Path) -> list[str]:
    return [one.by for one in waiting(path)]


def tickets(path: Path) -> list[str]:
    place = path.with_name("queue")
    return sorted(os.listdir(place)) if place.is_dir() else []


@contextmanager
def in_a_row(path: Path, *names: str) -> Iterator[list[Popen[bytes]]]:
    """The first holds the lock, the others wait; each begins when the last one does."""
    with ExitStack() as stack:
        children = []
        for n, name in enumerate(names):
            child = stack.enter_context(someone(path, name))
            children.append(child)
            if n:
                until(lambda n=n: queued(path) == [*names[1 : n + 1]], "it waits")
            else:
                assert says(child) == "held"
        yield children


def test_turns_come_in_the_order_of_arrival_and_each_is_told_its_place(path):
    names = [f"dev{n}" for n in range(7)]
    with in_a_row(path, *names) as children:
        assert queued(path) == names[1:]
        told = [says(child) for child in children[1:]]
        assert all(line.startswith("waiting for dev0 (push, process ") for line in told)
        assert "before you" not in told[0]
        assert told[1].endswith(", 1 other before you")
        assert told[5].endswith(", 5 others before you")
        for n, child in enumerate(children):
            if n:
                assert says(child) == "held"
            assert holder(path).by == names[n]
            assert queued(path) == names[n + 1 :]
            let_go(child)
            child.wait(timeout=30)
    assert tickets(path) == []


def test_who_comes_while_others_wait_does_not_push_in(path):
    """Not even at the very moment at which the lock becomes free."""
    with in_a_row(path, "ada", "bob") as (ada, bob):
        os.kill(bob.pid, signal.SIGSTOP)
        let_go(ada)
        ada.wait(timeout=30)
        assert holder(path) is None
        with pytest.raises(LockHeld), taken(path):
            pytest.fail("somebody pushed in")
        os.kill(bob.pid, signal.SIGCONT)
        assert says(bob).startswith("waiting for ada")
        assert says(bob) == "held"
        let_go(bob)


@pytest.mark.parametrize("killed", [1, 2, 3])
def test_a_waiter_that_is_killed_hinders_nobody(path, killed):
    """Its ticket is cleared away by whoever comes to it."""
    names = ["ada", "bob", "cyd", "dan"]
    with in_a_row(path, *names) as children:
        children[killed].kill()
        children[killed].wait(timeout=30)
        del names[killed], children[killed]
        assert queued(path) == names[1:]
        for n, child in enumerate(children):
            if n:
                assert until(lambda child=child: says(child) == "held", "its turn")
            let_go(child)
            child.wait(timeout=30)
    with taken(path):
        assert tickets(path) == []


def test_a_holder_that_is_killed_makes_room_for_the_first_in_the_queue(path):
    with in_a_row(path, "ada", "bob", "cyd") as (ada, bob, cyd):
        ada.kill()
        assert until(lambda: says(bob) == "held", "its turn")
        assert queued(path) == ["cyd"]
        let_go(bob)
        assert until(lambda: says(cyd) == "held", "its turn")
        let_go(cyd)


def test_what_the_dead_left_is_cleared_away(path):
    """Tickets of a machine that was restarted, and notes that nobody read."""
    place = path.with_name("queue")
    place.mkdir()
    late = f"{time.monotonic_ns() + 10**18:020d}-1"
    for name in ("00000000000000000001-1", late, "cancel-1", "cancel-99999999"):
        (place / name).write_text("{}")
    assert waiting(path) == []
    with taken(path):
        assert tickets(path) == []


def test_a_ticket_that_cannot_be_removed_stops_nobody(path, monkeypatch):
    place = path.with_name("queue")
    place.mkdir()
    (place / "00000000000000000001-1").write_text("{}")

    def no(_path):
        raise PermissionError

    with someone(path, "ada") as ada:
        assert says(ada) == "held"
        monkeypatch.setattr(files, "remove_file", no)
        with pytest.raises(LockHeld), taken(path, wait_s=0.3):
            pytest.fail("two hold one lock")


def test_without_room_for_a_ticket_the_lock_alone_decides(path):
    """A full disk, say: nobody is told of who waits, and one at a time works."""
    path.with_name("queue").write_text("not a directory")
    with someone(path, "ada") as ada:
        assert says(ada) == "held"
        with someone(path, "bob") as bob:
            assert says(bob).startswith("waiting for ada")
            assert waiting(path) == []
            let_go(ada)
            assert says(bob) == "held"
            let_go(bob)


def test_who_waits_too_long_is_told_for_whom(path):
    """Which process, since when, doing what: somebody may want to look."""
    with in_a_row(path, "ada", "bob") as (ada, _):
        with pytest.raises(LockHeld) as caught, taken(path, wait_s=0.3):
            pytest.fail("two hold one lock")
        expected = f"ada (push, process {ada.pid}, since "
        assert caught.value.message.startswith(expected)
        assert queued(path) == ["bob"]
        os.kill(ada.pid, signal.SIGCONT)
        let_go(ada)


def test_what_each_wants_can_be_read_by_whose_turn_is_before(path):
    with in_a_row(path, "ada", "bob"):
        (bob,) = waiting(path)
        assert bob.wants == {"refs/heads/main": "bob"}
        assert holder(path).wants == {"refs/heads/main": "ada"}


def test_a_note_is_read_by_the_one_it_was_left_for(path):
    with taken(path) as turn:
        assert turn.cancelled_by is None
        cancel(path, Holder("x", "push", 1, "2026-01-01T00:00:00Z"), by="bob")
        assert turn.cancelled_by is None
        mine = holder(path)
        assert mine is not None
        cancel(path, mine, by="bob")
        assert turn.cancelled_by == "bob"
    with taken(path) as turn:
        assert turn.cancelled_by is None


def test_a_note_for_one_that_waits_is_there_when_its_turn_comes(path):
    with someone(path, "ada") as ada:
        assert says(ada) == "held"
        mine = Holder("eve", "prune", os.getpid(), "2026-01-01T00:00:00Z")

        def tell(_sentence: str) -> None:
            cancel(path, mine, by="bob")
            let_go(ada)

        with lock_held(path, by="eve", what="prune", wait_s=60, tell=tell) as turn:
            assert turn.cancelled_by == "bob"
    assert tickets(path) == []


def test_only_the_living_and_only_complete_tickets_are_shown(path):
    """Somebody who has just drawn one has not said yet who it is."""
    place = path.with_name("queue")
    place.mkdir()
    fd = files.open_to_hold(place / "00000000000000000007-7")
    assert flock.try_to_hold(fd)
    (place / "00000000000000000008-8").write_bytes(queue.written(ANYBODY))
    assert [one.by for one in waiting(path)] == ["somebody"]
    files.overwrite(fd, queue.written(ANYBODY))
    assert waiting(path) == [ANYBODY]
    os.close(fd)
    assert waiting(path) == []


ANYBODY = Holder("ada", "push", 7, "2026-01-01T00:00:00Z", {"refs/heads/main": "a"})


def test_of_very_many_refs_only_some_are_written_down():
    """The lock file is for people and for whose turn is before, not a pack."""
    wants = {f"refs/heads/{n}": "a" * 40 for n in range(5000)}
    much = Holder("ada", "push", 7, "2026-01-01T00:00:00Z", wants)
    assert len(json.loads(queue.written(much))["wants"]) < 100
