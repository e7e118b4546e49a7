"""The commands of deploy.toml, run: streamed, timed, masked, killed whole."""

import contextlib
import json
import os
import re
import select
import subprocess
from collections.abc import Callable, Iterator
from typing import IO, Final

from gitdeploy.config import Command, Run
from gitdeploy.errors import StepFailed, SystemFailed
from gitdeploy.steps.binding import Shown
from gitdeploy.steps.bounds import Bounds, Gauge, held_by_group, out_of_time
from gitdeploy.steps.box import Box, why_no_box
from gitdeploy.steps.output import HideAll, Mask, Output, Sink
from gitdeploy.steps.place import Confinement, Place, started, words_of
from gitdeploy.steps.privileges import can_be_unprivileged
from gitdeploy.steps.session import adopting_orphans, end_session
from gitdeploy.steps.tool import how_it_ended, what_tool_says
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time

__all__ = [
    "Bounds",
    "Box",
    "Confinement",
    "HideAll",
    "Mask",
    "Place",
    "Shown",
    "Workplace",
    "can_be_unprivileged",
    "held_by_group",
    "run_step",
    "serve",
    "what_tool_says",
    "why_no_box",
]

_READ_BYTES: Final = 65536
_LOOK_S: Final = 0.1
_NOT_FOUND: Final = 127  # of sh(1), env(1) and all that start another program
_MISSED: Final = re.compile("No such file or directory|Read-only file system")
"""What a command says that wants a place which is not there for it (errno(3))."""
_SHUT_IN: Final = re.compile(
    "Failed to connect to (?:the )?bus|System has not been booted|not permitted"
    "|Permission denied"
)
"""What systemctl(1) and its like say, where they do not reach the machine."""
_NO_PRIVILEGES: Final = re.compile("no new privileges")
"""What sudo(8) says where it may not do its work."""
_AROUND_THE_FLIP: Final = ("activate", "deactivate")
_UNSEEN: Final = (
    "commands see the system and their release;  [steps] readable  in server.toml"
    " shows them more"
)
_PIPE_READS: Final = 32  # a pipe holds 1 MiB at the most, pipe(7)


class Workplace(Place, frozen=True, kw_only=True):
    """A place whose commands are heard."""

    log: Sink
    """Where everything they print goes, up to the log's limit."""
    tell: Callable[[str], None]
    """Called with each line for the pusher, up to a limit."""
    mask: Mask
    """What hides secrets in both."""
    check: Callable[[], None] = lambda: None
    """Called now and then while they run; what that raises ends them."""


def run_step(step: Run, place: Workplace, *, timeout_s: float) -> float:
    """Run a command to its end and return how many seconds it took.

    Nothing it started is left running, and nothing it left running is waited for.

    Raises:
        StepFailed: It exited with something else than 0, took too long, or could
            not be started.
    """
    watch, limit_s = Stopwatch(), _limit_s(step.title, place, timeout_s)
    with _started(step.run, step.title, place) as (child, output, check):
        in_time = _follow(child, output, watch, limit_s, check)
    output.end()
    if not in_time and (limit_s < timeout_s or place.bounds.time_s <= timeout_s):
        raise out_of_time(step.title, place.bounds)
    if not in_time:
        raise StepFailed(step.title, f"timed out after {human_time(timeout_s)}")
    if child.returncode:
        hint = _way_out(step.run, child.returncode, place)
        raise StepFailed(step.title, how_it_ended(child.returncode), hint=hint)
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
    watch, limit_s = Stopwatch(), _limit_s(title, place, timeout_s)
    with _started(command, title, place) as (child, output, check):
        in_time = _follow(child, output, watch, limit_s, check, until=done)
    output.end()
    if not in_time and limit_s < timeout_s:
        raise out_of_time(title, place.bounds)
    if in_time and not done():
        how = how_it_ended(child.returncode)
        hint = _way_out(command, child.returncode, place)
        raise StepFailed(title, f"ended before it answered: {how}", hint=hint)
    return watch.seconds


def _limit_s(title: str, place: Workplace, timeout_s: float) -> float:
    """Return how long a command may run; it is not even started without time."""
    left_s = place.left_s
    if left_s <= 0:
        raise out_of_time(title, place.bounds)
    return min(timeout_s, left_s)


def _way_out(command: Command, code: int, place: Workplace) -> str:
    """Return what the server would have to allow, where a command failed for that."""
    boxed, words = place.confinement.box is not None, words_of(command)
    if boxed and words in place.confinement.free:
        return ""

    def said(what: re.Pattern[str]) -> bool:
        return any(map(what.search, place.log.tail))

    around_the_flip = place.environment.get("GITDEPLOY_STAGE") in _AROUND_THE_FLIP
    if said(_NO_PRIVILEGES) or (boxed and around_the_flip and said(_SHUT_IN)):
        named = json.dumps(words, ensure_ascii=False)
        return (
            "commands are held; if it runs nothing of the release:  [steps] unconfined"
            f" = [{named}]  in server.toml"
        )
    if boxed and (code == _NOT_FOUND or said(_MISSED)):
        return _UNSEEN
    return ""


@contextlib.contextmanager
def _started(
    command: Command, title: str, place: Workplace
) -> Iterator[tuple["subprocess.Popen[bytes]", Output, Callable[[], None]]]:
    """Start a command for the body, which ends it; what it left behind is killed.

    Yields:
        The child, what it prints, and what has to be called now and then.
    """
    place.log.forget_tail()
    output = Output(place.log, place.tell, place.mask)
    with adopting_orphans() as adopted, contextlib.ExitStack() as stack:
        try:
            begun = stack.enter_context(started(command, place))
        except SystemFailed as error:
            raise StepFailed(title, error.message) from error
        gauge = Gauge(title, place.bounds, adopted, begun)

        def check() -> None:
            place.check()
            gauge.look()

        yield begun.child, output, check
        gauge.look_back()


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
