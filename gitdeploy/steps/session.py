"""A step's processes, watched and ended as a whole."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gitdeploy.system import processes
from gitdeploy.system.processes import Process

__all__ = ["adopting_orphans", "end_leftovers", "end_session"]

_GRACE_S: Final = 5.0
_PR_SET_CHILD_SUBREAPER: Final = 36
_BOX: Final = "bwrap"


def end_session(child: "subprocess.Popen[bytes]") -> None:
    """Stop the child and all it started: TERM, a moment, then KILL."""
    if child.poll() is None:
        _tell_to_end(child.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
    _signal(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE_S)  # unless it became another user: not ours to wait for


def end_leftovers(directory: Path) -> None:
    """Kill what a command still runs in a release, whoever started it died.

    Only commands have these in their environment: the release's directory, and what
    they run for, which an app's server has not.
    """
    for process in processes.running():
        where = process.variable("GITDEPLOY_RELEASE_DIR")
        if where == str(directory) and process.variable("GITDEPLOY_STAGE"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)


def _tell_to_end(session: int) -> None:
    """Ask a command to end; the box around it ends with it, and is not asked.

    A box that is told to end takes everything with it at once.
    """
    if Process(session).name != _BOX:
        _signal(session, signal.SIGTERM)
        return
    for process in processes.descendants(session):
        if process.name != _BOX:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGTERM)


def _signal(session: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[Callable[[], Iterator[Process]]]:
    """Become the parent of what a step leaves behind, and end it.

    Yields:
        What tells which processes there are of the step.

    A process that made a session of its own escapes killpg(2); as a subreaper
    (prctl(2)) we inherit it and can find it.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = _children()
    try:
        yield lambda: _begun_since(before)
    finally:
        _end_all(except_for=before)


def _end_all(except_for: set[int]) -> None:
    """Kill our children until none is left, but for those we may not kill."""
    spared = set(except_for)
    while left := _children() - spared:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:  # it became another user: not ours to wait for
                spared.add(pid)
                continue
            except ProcessLookupError:
                pass
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _begun_since(before: set[int]) -> Iterator[Process]:
    for pid in _children() - before:
        yield Process(pid)
        yield from processes.descendants(pid)


def _children() -> set[int]:
    found: set[int] = set()
    for children in Path("/proc/self/task").glob("*/children"):
        found.update(map(int, children.read_text().split()))
    return found
