"""What a step's `tool` says: one line, asked quickly."""

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable
from typing import Final

from gitdeploy.config import Step
from gitdeploy.errors import StepFailed, SystemFailed
from gitdeploy.steps.bounds import Gauge, out_of_time
from gitdeploy.steps.place import Place, started
from gitdeploy.steps.session import adopting_orphans, end_session
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time

__all__ = ["how_it_ended", "what_tool_says"]

_PATIENCE_S: Final = 10.0
_MOST_BYTES: Final = 4096
_READ_BYTES: Final = 65536
_LOOK_S: Final = 0.1


def what_tool_says(step: Step, place: Place) -> str:
    """Return what the step's tool prints to stdout, stripped, 4096 bytes at most.

    Raises:
        StepFailed: It exited with something else than 0, took longer than ten
            seconds or than all commands have left, used more than it may, or could
            not be started.
    """
    assert step.tool is not None
    try:
        with (
            adopting_orphans() as adopted,
            started(step.tool, place, stderr=subprocess.DEVNULL) as begun,
        ):
            child, gauge = begun.child, Gauge(step.title, place.bounds, adopted, begun)
            patience_s = min(_PATIENCE_S, place.left_s)
            said = _hear(child, patience_s, gauge.look)
            gauge.look_back()
    except SystemFailed as error:
        raise StepFailed(step.title, f"tool: {error.message}") from error
    if said is None and patience_s < _PATIENCE_S:
        raise out_of_time(step.title, place.bounds)
    if said is None:
        outcome = f"tool did not end within {human_time(patience_s)}"
        raise StepFailed(step.title, outcome)
    if child.returncode:
        raise StepFailed(step.title, f"tool: {how_it_ended(child.returncode)}")
    return said.decode("utf-8", "backslashreplace").strip()


def how_it_ended(code: int) -> str:
    """Return an exit status of subprocess in words."""
    if code >= 0:
        return f"exit {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}"


def _hear(
    child: "subprocess.Popen[bytes]", patience_s: float, look: Callable[[], None]
) -> bytes | None:
    """Return how the output begins; None where the child did not end in time."""
    assert child.stdout is not None
    watch, said = Stopwatch(), b""
    with child.stdout as pipe:
        try:
            while watch.seconds < patience_s:
                look()
                ended = child.poll() is not None  # what it left may hold the pipe
                readable = select.select([pipe], [], [], 0 if ended else _LOOK_S)[0]
                data = os.read(pipe.fileno(), _READ_BYTES) if readable else b""
                said = (said + data)[:_MOST_BYTES]
                if ended and not data:
                    return said
                if readable and not data:
                    _wait(child, min(patience_s - watch.seconds, _LOOK_S))
        finally:
            end_session(child)
    return None


def _wait(child: "subprocess.Popen[bytes]", patience_s: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(max(patience_s, 0))
