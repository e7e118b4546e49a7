"""The pusher's terminal, on real pipes: told what happens, never waited for."""

import fcntl
import os
from collections.abc import Iterator
from threading import Thread

import pytest

from gitdeploy.system import client
from gitdeploy.system.client import Client
from gitdeploy.system.clock import Stopwatch

DEADLINE_S = 0.1
SOON_S = 30.0  # far above the deadline, far below for ever
PAGE = 4096


class Pipe:
    """A pipe whose ends are closed once, at the end of the test at the latest."""

    def __init__(self) -> None:
        reader, self.writer = os.pipe()
        self.reading = os.fdopen(reader, "rb", buffering=0)
        self.size_bytes = fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ)
        self._open = True

    def fill(self) -> None:
        """Write until the kernel takes no more, as a stuck reader leaves a pipe."""
        os.set_blocking(self.writer, False)
        while self._write():
            pass
        os.set_blocking(self.writer, True)

    def finish(self) -> None:
        """Close the writer's end."""
        if self._open:
            os.close(self.writer)
        self._open = False

    def rest(self) -> bytes:
        """Return all that is to be read, once nobody can write any more."""
        self.finish()
        return self.reading.readall()

    def _write(self) -> int:
        try:
            return os.write(self.writer, b"x" * PAGE)
        except BlockingIOError:
            return 0


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe with an end for each of two."""
    made = Pipe()
    yield made
    made.finish()
    made.reading.close()


@pytest.fixture
def impatient(monkeypatch) -> None:
    """A deadline that a test can wait for."""
    monkeypatch.setattr(client, "_DEADLINE_S", DEADLINE_S)


def test_lines_arrive_whole_and_in_order(pipe):
    told = Client(pipe.writer)
    told.line("one")
    told.line("")
    told.line("caf\xe9")
    assert not told.gone
    assert pipe.rest() == b"one\n\ncaf\xc3\xa9\n"


def test_what_is_no_text_is_written_all_the_same(pipe):
    Client(pipe.writer).line("caf\udce9")
    assert pipe.rest() == b"caf\\udce9\n"


def test_a_line_that_no_pipe_holds_reaches_a_reader(pipe):
    told, text, got = Client(pipe.writer), "0123456789" * 100_000, []
    reading = Thread(target=lambda: got.append(pipe.reading.readall()))
    reading.start()
    told.line(text)
    pipe.finish()
    reading.join(timeout=10)
    assert not told.gone
    assert got == [f"{text}\n".encode()]


def test_nobody_is_told_nothing():
    told = Client(None)
    assert told.gone
    told.line("said to nobody")


def test_a_reader_that_hung_up_is_forgotten_at_once(pipe):
    told = Client(pipe.writer)
    told.line("one")
    pipe.reading.close()
    watch = Stopwatch()
    told.line("two")
    told.line("three")
    assert told.gone
    assert watch.seconds < SOON_S


def test_a_terminal_that_was_closed_is_forgotten(pipe):
    told = Client(pipe.writer)
    pipe.finish()
    told.line("one")
    assert told.gone


@pytest.mark.usefixtures("impatient")
def test_a_reader_that_is_stuck_is_forgotten_after_the_deadline(pipe):
    """And is not waited for again: one deadline, however many lines follow."""
    pipe.fill()
    told, watch = Client(pipe.writer), Stopwatch()
    told.line("one")
    assert told.gone
    assert DEADLINE_S * 0.9 <= watch.seconds < SOON_S
    again = Stopwatch()
    for _ in range(1000):
        told.line("more")
    assert again.seconds < SOON_S


@pytest.mark.usefixtures("impatient")
def test_a_reader_stuck_in_the_middle_of_a_line_is_forgotten_too(pipe):
    told, watch = Client(pipe.writer), Stopwatch()
    told.line("x" * 2 * pipe.size_bytes)
    assert told.gone
    assert watch.seconds < SOON_S
    assert set(pipe.rest()) == {ord("x")}


@pytest.mark.usefixtures("impatient")
def test_a_reader_that_comes_back_too_late_is_told_no_more(pipe):
    pipe.fill()
    told = Client(pipe.writer)
    told.line("one")
    pipe.reading.read(pipe.size_bytes)
    told.line("two")
    assert pipe.rest() == b""


def test_the_deadline_is_short():
    """A deployment waits for nobody longer than a person would notice."""
    assert client._DEADLINE_S <= 2  # noqa: SLF001 - the promise itself
