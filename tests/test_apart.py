"""Work of others' code ends in time, takes no more than it may, and says little."""

import select
import signal
import sys

from support import process

from gitdeploy.system.apart import done_apart

MEMORY = 2**26


def done(work, within_s: float = 60) -> str | None:
    (said,) = done_apart([work], within_s=within_s, memory_bytes=MEMORY)
    return said


def test_what_takes_more_memory_than_it_may_says_nothing():
    assert done(lambda: str(len(bytearray(MEMORY // 2)))) == str(MEMORY // 2)
    assert done(lambda: str(len(bytearray(MEMORY * 2)))) is None


def test_what_is_said_is_bounded():
    said = done(lambda: "x" * 10**6)
    assert said
    assert len(said) < 5000


def test_what_hears_no_alarm_ends_in_time():
    """Whoever waits for it looks at the clock, too."""

    def deaf() -> str:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        select.select((), (), (), 60)
        return "too late"

    assert done(deaf, within_s=0.2) is None


OUTLIVES = """
import os, signal
from gitdeploy.system.apart import done_apart

def work():
    os.write(1, b"at work")
    signal.pause()

done_apart([work], within_s=2, memory_bytes=2**28)
"""


def test_it_ends_in_time_although_the_one_who_waits_was_killed():
    """Nobody is there to end it: the deadline is its own."""
    with process.started(sys.executable, "-c", OUTLIVES) as waits:
        assert waits.stdout
        assert waits.stdout.read(7) == b"at work"
        waits.kill()
        waits.wait()
        assert waits.communicate(timeout=60)[0] == b""  # all who have it have ended
