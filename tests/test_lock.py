"""The lock, between real processes."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from support import process

from gitdeploy.errors import LockHeld
from gitdeploy.lock import Holder, holder, lock_held
from gitdeploy.system.clock import Stopwatch

# Holds the lock until its standard input ends; a further word runs beside it.
HOLD = """
import subprocess, sys
from pathlib import Path
from gitdeploy.lock import lock_held

path, by, what, wait_s, *child = sys.argv[1:]
tell = lambda sentence: print(sentence, flush=True)
with lock_held(Path(path), by=by, what=what, wait_s=float(wait_s), tell=tell):
    if child:
        subprocess.Popen(child, close_fds=False)
    print("held", flush=True)
    sys.stdin.read()
print("let go", flush=True)
"""

# Counts up in a file, again and again, each time under the lock.
COUNT = """
import os, sys
from pathlib import Path
from gitdeploy.lock import lock_held

path, number = map(Path, sys.argv[1:3])
for _ in range(int(sys.argv[3])):
    with lock_held(path, by="ada", what="count", wait_s=60, tell=lambda _: None):
        before = int(number.read_text())
        os.sched_yield()
        number.write_text(str(before + 1))
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "lock"


@contextmanager
def holding(
    path: Path, *, by: str = "ada", wait_s: float = 0, child: str = ""
) -> Iterator[Popen[bytes]]:
    """A process that takes the lock, if it can, and keeps it till its input ends."""
    words = [str(path), by, "push of main", str(wait_s), *child.split()]
    with process.started(sys.executable, "-c", HOLD, *words) as holds:
        yield holds


def says(running: Popen[bytes]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().decode().rstrip("\n")


def let_go(running: Popen[bytes]) -> None:
    assert running.stdin is not None
    running.stdin.close()


def taken(path: Path, *, wait_s: float = 0):
    return lock_held(path, by="bob", what="prune", wait_s=wait_s, tell=pytest.fail)


def test_a_lock_that_nobody_holds_is_taken_at_once(path):
    assert holder(path) is None
    with taken(path):
        assert holder(path).by == "bob"
    assert holder(path) is None


def test_a_lock_is_free_after_an_error_too(path):
    with pytest.raises(ZeroDivisionError), taken(path):
        raise ZeroDivisionError
    assert holder(path) is None
    with taken(path):
        pass


def test_the_file_stays_and_says_nothing_when_the_work_is_done(path):
    with taken(path):
        pass
    assert path.read_bytes() == b""


def test_the_holder_is_described(path):
    with holding(path) as ada:
        assert says(ada) == "held"
        found = holder(path)
        assert found == Holder("ada", "push of main", ada.pid, found.since)
        sentence = rf"ada \(push of main, process {ada.pid}, since [0-9.]+ m?s\)"
        assert re.fullmatch(sentence, str(found))
        let_go(ada)
        assert says(ada) == "let go"
    assert holder(path) is None


def test_who_does_not_wait_is_told_who_holds_it(path):
    with holding(path) as ada:
        assert says(ada) == "held"
        with pytest.raises(LockHeld) as caught, taken(path, wait_s=0):
            pytest.fail("two hold one lock")
    assert re.match(r"ada \(push of main, .*\) holds the lock$", caught.value.message)
    assert caught.value.exit_code == 75
    assert caught.value.hint


def test_who_waits_in_vain_is_told_once_and_gives_up_in_time(path):
    told = []
    with holding(path) as ada:
        assert says(ada) == "held"
        watch = Stopwatch()
        with (
            pytest.raises(LockHeld),
            lock_held(path, by="bob", what="prune", wait_s=0.2, tell=told.append),
        ):
            pytest.fail("two hold one lock")
        assert watch.seconds >= 0.2
    assert len(told) == 1


def test_a_second_waits_is_told_and_gets_it(path):
    with holding(path) as ada:
        assert says(ada) == "held"
        with holding(path, by="bob", wait_s=60) as bob:
            assert says(bob).startswith("waiting for ada (push of main, process ")
            let_go(ada)
            assert says(bob) == "held"
            assert holder(path).pid == bob.pid


def test_of_many_one_at_a_time_works(path, tmp_path):
    """Nothing is lost of what each reads, changes and writes under the lock."""
    number = tmp_path / "number"
    number.write_text("0")
    words = [sys.executable, "-c", COUNT, str(path), str(number), "5"]
    with (
        process.started(*words) as ada,
        process.started(*words) as bob,
        process.started(*words) as eve,
    ):
        assert [running.wait(timeout=60) for running in (ada, bob, eve)] == [0, 0, 0]
    assert number.read_text() == "15"


def test_a_holder_that_is_killed_holds_nothing(path):
    with holding(path) as ada:
        assert says(ada) == "held"
        os.kill(ada.pid, signal.SIGKILL)
        ada.wait(timeout=10)
        assert json.loads(path.read_bytes())["by"] == "ada"  # what it left behind
        assert holder(path) is None
        with taken(path, wait_s=0):
            assert holder(path).by == "bob"


def test_a_child_of_the_holder_holds_nothing(path):
    """A daemon that a step leaves behind must not keep the app locked."""
    with holding(path, child="cat") as ada:
        assert says(ada) == "held"
        os.kill(ada.pid, signal.SIGKILL)  # cat lives on, until its input ends
        ada.wait(timeout=10)
        with taken(path, wait_s=0):
            assert holder(path).by == "bob"


def test_a_lock_of_another_app_is_another_lock(path, tmp_path):
    with taken(path), taken(tmp_path / "other"):
        assert holder(path).by == "bob"


def test_who_only_looks_locks_nobody_out(path):
    """`gitdeploy status` at the wrong moment must not make a command exit 75."""
    path.touch()
    done = threading.Event()

    def look():
        while not done.is_set():
            holder(path)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            with taken(path, wait_s=0):
                pass
    finally:
        done.set()
        looking.join()


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b"\xff", b'{"by": "ada"}', b'{"who": "ada"}']
)
def test_a_holder_that_has_not_said_yet_who_it_is_is_somebody(path, text):
    """Between taking the lock and writing the file there is a moment."""
    with taken(path):
        path.write_bytes(text)
        assert holder(path).by == "somebody"
        with pytest.raises(LockHeld, match=r"^somebody \(just started"), taken(path):
            pytest.fail("two hold one lock")


def test_the_directory_of_the_lock_is_not_made_by_asking(tmp_path):
    assert holder(tmp_path / "no-such-app" / "lock") is None
    assert list(tmp_path.iterdir()) == []
