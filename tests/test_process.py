"""Programs that we start end, one way or another."""

import os
import select

import pytest

from gitdeploy.system.process import (
    CommandFailed,
    TookTooLong,
    looking_meanwhile,
    run,
)
from gitdeploy.system.surroundings import BARE


def test_what_a_program_prints_is_returned():
    assert run(["/bin/cat"], env=BARE, stdin=b"text", timeout_s=60) == b"text"


def test_a_program_that_fails_is_quoted():
    with pytest.raises(CommandFailed, match=r"^sh exited with 3: no$"):
        run(["/bin/sh", "-c", "echo no >&2; exit 3"], env=BARE)


def test_a_program_that_does_not_end_is_killed_with_all_it_started(tmp_path):
    pid = tmp_path / "pid"
    os.mkfifo(pid)
    reader = os.open(pid, os.O_RDONLY | os.O_NONBLOCK)
    script = f"sh -c 'echo $$ > {pid}; exec sleep 300' & wait"
    with pytest.raises(TookTooLong, match=r"^sh did not end within 1\.0 s$"):
        run(["/bin/sh", "-c", script], env=BARE, timeout_s=1)
    started = int(os.read(reader, 100))
    os.close(reader)
    try:
        child = os.pidfd_open(started)
    except ProcessLookupError:
        return  # it is gone already
    assert select.select([child], [], [], 30)[0], "it is still running"
    os.close(child)


def test_a_program_that_hangs_is_ended_by_whoever_looks_meanwhile(tmp_path):
    """What it was given to read is whole, and one that ends in time just ends."""

    class Enough(Exception):
        pass

    looked = []

    def look():
        looked.append(1)
        if len(looked) > 2:
            raise Enough

    much = b"x" * 2**20
    with looking_meanwhile(look):
        script = f"cat > {tmp_path}/got; echo $$ > {tmp_path}/pid; exec sleep 300"
        with pytest.raises(Enough):
            run(["/bin/sh", "-c", script], env=BARE, stdin=much)
    assert (tmp_path / "got").read_bytes() == much
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}")
    with looking_meanwhile(lambda: None):
        assert run(["/bin/cat"], env=BARE, stdin=much, timeout_s=60) == much
        with pytest.raises(TookTooLong, match=r"within 1\.0 s$"):
            run(["/bin/sleep", "300"], env=BARE, timeout_s=1)
