"""A step of deploy.toml run to its end: streamed, timed, masked, killed whole."""

import contextlib
import os
import select
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from gitdeploy.config import Step
from gitdeploy.errors import StepFailed, SystemFailed
from gitdeploy.steps.confine import can_confine, confinement
from gitdeploy.steps.output import Mask, Output, Sink
from gitdeploy.steps.session import adopting_orphans, end_session
from gitdeploy.steps.tool import argv_of, how_it_ended, what_tool_says
from gitdeploy.system import process
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time

__all__ = ["Mask", "can_confine", "run_step", "what_tool_says"]

_READ_BYTES: Final = 65536
_LOOK_S: Final = 0.1
_PIPE_READS: Final = 32  # a pipe holds 1 MiB at the most, pipe(7)


def run_step(  # noqa: PLR0913 - a process has many sides
    step: Step,
    *,
    directory: Path,
    environment: Mapping[str, str],
    timeout_s: float,
    log: Sink,
    tell: Callable[[str], None],
    mask: Mask,
    check: Callable[[], None] = lambda: None,
    confined: bool = False,
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
        check: Called now and then while it runs; what that raises ends it.
        confined: Whether it runs without the privilege to write into files that are
            read-only; `can_confine` has said that this works.

    Raises:
        StepFailed: It exited with something else than 0, took too long, or could
            not be started.
    """
    argv = [*(confinement() if confined else ()), *argv_of(step.run)]
    watch = Stopwatch()
    log.forget_tail()
    output = Output(log, tell, mask)
    with adopting_orphans():
        try:
            child = process.start(
                argv, env=environment, cwd=directory, own_session=True
            )
        except SystemFailed as error:
            raise StepFailed(step.title, error.message) from error
        in_time = _follow(child, output, watch, timeout_s, check)
    output.end()
    if not in_time:
        outcome = f"timed out after {human_time(timeout_s)}"
        raise StepFailed(step.title, outcome)
    if child.returncode:
        raise StepFailed(step.title, how_it_ended(child.returncode))
    return watch.seconds


def _follow(
    child: "subprocess.Popen[bytes]",
    output: Output,
    watch: Stopwatch,
    timeout_s: float,
    check: Callable[[], None],
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
