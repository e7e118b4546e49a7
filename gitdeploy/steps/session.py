"""A step's processes, watched and ended as a whole."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitdeploy.system import processes

__all__ = ["adopting_orphans", "end_leftovers", "end_session"]

_GRACE_S: Final = 5.0
_PR_SET_CHILD_SUBREAPER: Final = 36


def end_session(child: "subprocess.Popen[bytes]") -> None:
    """Stop the child and all it started: TERM, a moment, then KILL."""
    if child.poll() is None:
        _signal(child.pid, signal.SIGTERM)
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


def _signal(session: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, number)


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
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


def _children() -> set[int]:
    found: set[int] = set()
    for children in Path("/proc/self/task").glob("*/children"):
        found.update(map(int, children.read_text().split()))
    return found
