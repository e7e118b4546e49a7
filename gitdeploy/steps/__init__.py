"""The commands of deploy.toml, run: streamed, timed, masked, killed whole."""

import contextlib
import os
import select
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from msgspec import Struct

from gitdeploy.config import Command, Run
from gitdeploy.errors import StepFailed, SystemFailed
from gitdeploy.steps.confine import can_confine, confinement
from gitdeploy.steps.output import Mask, Output, Sink
from gitdeploy.steps.session import adopting_orphans, end_session
from gitdeploy.steps.tool import argv_of, how_it_ended, what_tool_says
from gitdeploy.system import process
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time

__all__ = [
    "Mask",
    "Workplace",
    "can_confine",
    "run_step",
    "serve",
    "what_tool_says",
]

_READ_BYTES: Final = 65536
_LOOK_S: Final = 0.1
_PIPE_READS: Final = 32  # a pipe holds 1 MiB at the most, pipe(7)


class Workplace(Struct, frozen=True):
    """What commands of one release have in common."""

    directory: Path
    """Where they run."""
    environment: Mapping[str, str]
    """All of their environment."""
    log: Sink
    """Where everything they print goes, up to the log's limit."""
    tell: Callable[[str], None]
    """Called with each line for the pusher, up to a limit."""
    mask: Mask
    """What hides secrets in both."""
    check: Callable[[], None] = lambda: None
    """Called now and then while they run; what that raises ends them."""
    confined: bool = False
    """Whether they run without the privilege to write into files that are read-only;
    `can_confine` has said that this works."""


def run_step(step: Run, place: Workplace, *, timeout_s: float) -> float:
    """Run a command to its end and return how many seconds it took.

    Nothing it started is left running, and nothing it left running is waited for.

    Raises:
        StepFailed: It exited with something else than 0, took too long, or could
            not be started.
    """
    watch = Stopwatch()
    with _started(step.run, step.title, place) as (child, output):
        in_time = _follow(child, output, watch, timeout_s, place.check)
    output.end()
    if not in_time:
        raise StepFailed(step.title, f"timed out after {human_time(timeout_s)}")
    if child.returncode:
        raise StepFailed(step.title, how_it_ended(child.returncode))
    return watch.seconds


def serve(
    command: Command,
    title: str,
    place: Workplace,
    *,
    timeout_s: float,
    done: Callable[[], bool],
) -> float:
    """Let a command serve until somebody is done with it; return for how long it did.

    Nothing it started is left running.

    Args:
        command: What to start.
        title: What it is called.
        place: Where it runs.
        timeout_s: How long at most.
        done: Asked now and then.

    Raises:
        StepFailed: It ended by itself, or could not be started.
    """
    watch = Stopwatch()
    with _started(command, title, place) as (child, output):
        in_time = _follow(child, output, watch, timeout_s, place.check, until=done)
    output.end()
    if in_time and not done():
        how = how_it_ended(child.returncode)
        raise StepFailed(title, f"ended before it answered: {how}")
    return watch.seconds


@contextlib.contextmanager
def _started(
    command: Command, title: str, place: Workplace
) -> Iterator[tuple["subprocess.Popen[bytes]", Output]]:
    """Start a command for the body, which ends it; what it left behind is killed."""
    argv = [*(confinement() if place.confined else ()), *argv_of(command)]
    place.log.forget_tail()
    output = Output(place.log, place.tell, place.mask)
    with adopting_orphans():
        try:
            child = process.start(
                argv, env=place.environment, cwd=place.directory, own_session=True
            )
        except SystemFailed as error:
            raise StepFailed(title, error.message) from error
        yield child, output


def _follow(
    child: "subprocess.Popen[bytes]",
    output: Output,
    watch: Stopwatch,
    timeout_s: float,
    check: Callable[[], None],
    until: Callable[[], bool] = lambda: False,
) -> bool:
    """Pass on what the child prints, then end it; return whether it was in time."""
    assert child.stdout is not None
    with child.stdout as pipe:
        os.set_blocking(pipe.fileno(), False)
        more = True
        try:
            while child.poll() is None and not until():
                if watch.seconds > timeout_s:
                    return False
                more = _wait(child, pipe if more else None) and _pass_on(pipe, output)
                output.still_silent(watch.seconds)
                check()
        finally:
            end_session(child)
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


def _pass_on(pipe: IO[bytes], output: Output) -> bool:
    """Pass on what is there now; return whether more may come."""
    try:
        data = os.read(pipe.fileno(), _READ_BYTES)
    except BlockingIOError:
        return True
    output.feed(data)
    return bool(data)


def _drain(pipe: IO[bytes], output: Output) -> None:
    """Pass on what the child left in the pipe, and wait for nothing more."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(_PIPE_READS):
            data = os.read(pipe.fileno(), _READ_BYTES)
            if not data:
                return
            output.feed(data)
