"""A step of deploy.toml run to its end: streamed, timed, masked, killed whole."""

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, Protocol

from gitdeploy.config import Step
from gitdeploy.errors import StepFailed, SystemFailed
from gitdeploy.system import process
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time, printable

__all__ = ["Mask", "run_step"]

_READ_BYTES: Final = 65536
_LOOK_S: Final = 0.1
_PIPE_READS: Final = 32  # a pipe holds 1 MiB at the most, pipe(7)
_GRACE_S: Final = 5.0
_SILENCE_S: Final = 15.0
_RELAYED_LINES: Final = 1000
_LAST_LINES: Final = 12
_LINE_BYTES: Final = 4096
_SHORTEST_SECRET: Final = 6
_PR_SET_CHILD_SUBREAPER: Final = 36


class Sink(Protocol):
    """Where everything a step prints is kept."""

    @property
    def full(self) -> bool:
        """Whether it keeps no more."""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines since `forget_tail`, oldest first."""

    def line(self, text: str) -> None:
        """Keep a line."""

    def forget_tail(self) -> None:
        """Begin a new step."""


class Mask:
    """Hides secrets in text. Short values are left: they would hide ordinary words."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        lines = {line for secret in secrets for line in secret.splitlines()}
        hidden = sorted(
            (line for line in lines if len(line) >= _SHORTEST_SECRET),
            key=len,
            reverse=True,
        )
        self._pattern = re.compile("|".join(map(re.escape, hidden))) if hidden else None

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced."""
        return self._pattern.sub("[hidden]", text) if self._pattern else text


def run_step(  # noqa: PLR0913 - a process has many sides
    step: Step,
    *,
    directory: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    log: Sink,
    tell: Callable[[str], None],
    mask: Mask,
) -> float:
    """Run a step in `directory` and return how many seconds it took.

    Nothing it started is left running, and nothing it left running is waited for.

    Args:
        step: What to run.
        directory: Where.
        environment: All of its environment.
        timeout_s: How long it may take.
        log: Where everything it prints goes, up to the log's limit.
        tell: Called with each line for the pusher, up to a limit.
        mask: What hides secrets in both.

    Raises:
        StepFailed: It exited with something else than 0, took too long, or could
            not be started.
    """
    argv = ["sh", "-euc", step.run] if isinstance(step.run, str) else list(step.run)
    watch = Stopwatch()
    log.forget_tail()
    output = _Output(log, tell, mask)
    with _adopting_orphans():
        try:
            child = process.start(
                argv, env=environment, cwd=directory, own_session=True
            )
        except SystemFailed as error:
            raise StepFailed(step.title, error.message) from error
        in_time = _follow(child, output, watch, timeout_s)
    output.end()
    if not in_time:
        outcome = f"timed out after {human_time(timeout_s)}"
        raise StepFailed(step.title, outcome)
    if child.returncode:
        raise StepFailed(step.title, _how_it_ended(child.returncode))
    return watch.seconds


class _Output:
    """What a step prints on its way to the log and the pusher, line by line."""

    def __init__(self, log: Sink, tell: Callable[[str], None], mask: Mask) -> None:
        self._log = log
        self._tell = tell
        self._mask = mask
        self._rest = b""
        self._relayed = 0
        self._quiet = Stopwatch()
        self._reported_s = 0.0

    def feed(self, data: bytes) -> None:
        self._quiet = Stopwatch()
        self._reported_s = 0.0
        data = self._rest + data
        if self._log.full and self._relayed > _RELAYED_LINES:
            self._rest = data[-_READ_BYTES:]  # only the end still matters
            return
        *lines, self._rest = re.split(rb"\r\n|\n|\r", data)
        for line in lines:
            self._line(line)
        while len(self._rest) > _READ_BYTES:
            self._line(self._rest[:_LINE_BYTES])
            self._rest = self._rest[_LINE_BYTES:]

    def still_silent(self, running_s: float) -> None:
        """Say that the step still runs, if it has been silent for long."""
        if self._quiet.seconds - self._reported_s >= _SILENCE_S:
            self._reported_s = self._quiet.seconds
            self._tell(f"… still running after {human_time(running_s)}")

    def end(self) -> None:
        for line in re.split(rb"\r\n|\n|\r", self._rest)[-20:]:
            if line:
                self._line(line)
        if self._relayed > _RELAYED_LINES:
            for text in self._log.tail[-_LAST_LINES:]:
                self._tell(text)

    def _line(self, raw: bytes) -> None:
        text = self._mask(raw.decode("utf-8", "surrogateescape"))
        text = printable(text[:_LINE_BYTES])
        self._log.line(text)
        self._relayed += 1
        if self._relayed <= _RELAYED_LINES:
            self._tell(text)
        elif self._relayed == _RELAYED_LINES + 1:
            self._tell("… more in the log; this is how it ends:")


def _follow(
    child: "subprocess.Popen[bytes]",
    output: _Output,
    watch: Stopwatch,
    timeout_s: float,
) -> bool:
    """Pass on what the child prints until it ends; return whether it did in time."""
    assert child.stdout is not None
    with child.stdout as pipe:
        os.set_blocking(pipe.fileno(), False)
        more = True
        try:
            while child.poll() is None:
                if watch.seconds > timeout_s:
                    return False
                more = _wait(child, pipe if more else None) and _pass_on(pipe, output)
                output.still_silent(watch.seconds)
        finally:
            _end_session(child)
        _drain(pipe, output)
    return True


def _wait(child: "subprocess.Popen[bytes]", pipe: IO[bytes] | None) -> bool:
    """Wait a moment for output, or for the end where the output is closed already."""
    if pipe:
        select.select([pipe], [], [], _LOOK_S)
        return True
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_LOOK_S)
    return False


def _pass_on(pipe: IO[bytes], output: _Output) -> bool:
    """Pass on what is there now; return whether more may come."""
    try:
        data = os.read(pipe.fileno(), _READ_BYTES)
    except BlockingIOError:
        return True
    output.feed(data)
    return bool(data)


def _drain(pipe: IO[bytes], output: _Output) -> None:
    """Pass on what the child left in the pipe, and wait for nothing more."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(_PIPE_READS):
            data = os.read(pipe.fileno(), _READ_BYTES)
            if not data:
                return
            output.feed(data)


def _end_session(child: "subprocess.Popen[bytes]") -> None:
    """Stop the child and all it started: TERM, a moment, then KILL."""
    if child.poll() is None:
        _signal(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
    _signal(child.pid, signal.SIGKILL)
    child.wait()


def _signal(session: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Become the parent of what a step leaves behind, and end it.

    A process that made a session of its own escapes killpg(2); as a subreaper
    (prctl(2)) we inherit it and can find it.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = _children()
    try:
        yield
    finally:
        while left := _children() - before:
            _kill(left)


def _children() -> set[int]:
    found: set[int] = set()
    for children in Path("/proc/self/task").glob("*/children"):
        found.update(map(int, children.read_text().split()))
    return found


def _kill(pids: Collection[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"exit {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"
