"""Starting processes and measuring them; nothing here knows git or a rival."""

import ctypes
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""

SETTLE_S = 60.0
"""How long work left behind by a push may go on before the bench gives up."""

NOT_OURS = (
    "GIT_",
    "GITDEPLOY_",
    "DEPLOYMENT_HELPER_",
    "PYTHON",
    "PIP_",
    "NPM_",
    "npm_",
)
"""Settings of this user's tools. PYTHON: with PYTHONDONTWRITEBYTECODE, which hardly any
server has, every hook would compile the program again."""


class BenchError(Exception):
    """Something that makes every later figure worthless, in words."""


class Unavailable(Exception):
    """What one part of the bench needs and this machine lacks, in words."""


@dataclass(frozen=True)
class Sample:
    """What one push, or one command, cost; None is what could not be counted."""

    wall_s: float
    """From starting the client until it exited."""
    cpu_s: float
    """User and system time of the client and all that came of it."""
    written_bytes: int | None = None
    """What went to the block device, until all of it was there."""
    peak_bytes: int | None = None
    """Resident memory of the largest process on the server's side."""
    held_bytes: int | None = None
    """Disk that the releases hold afterwards."""


def clean_environment(home: Path) -> dict[str, str]:
    """Return our environment without any setting of this user's tools."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(NOT_OURS)}
    person = {"NAME": "Bench", "EMAIL": "bench@example.org"}
    roles = ("AUTHOR", "COMMITTER")
    identity = {f"GIT_{r}_{key}": value for r in roles for key, value in person.items()}
    return kept | identity | _no_configuration(home)


def _no_configuration(home: Path) -> dict[str, str]:
    return {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
    }


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    stdin: Iterable[bytes] = (),
    cwd: Path | None = None,
) -> str:
    """Return what a command printed on stdout, stripped, or raise with its output."""
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=output, stderr=errors, cwd=cwd
        ) as process,
    ):
        assert process.stdin
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.writelines(stdin)
        status = process.wait()
        texts = [_text(file) for file in (output, errors)]
    if status:
        raise BenchError(_failure(argv, status, "".join(texts)))
    return texts[0].strip()


def timed(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    written: Callable[[], int | None] = lambda: None,
) -> Sample:
    """Return what a command cost, or raise with all it printed.

    Its output goes to a file, not a pipe: a process left behind that still
    holds the pipe would otherwise be waited for with the clock running.

    Args:
        argv: The command.
        env: Its whole environment.
        written: Tells how many bytes the disk has taken since some moment.
    """
    with tempfile.TemporaryFile() as output:
        os.sync()  # what others wrote must not be synced on this one's time
        written_before, cpu_before_s = written(), _children_cpu_s()
        started_s = time.perf_counter()
        status = _run_to_end(argv, env, output.fileno())
        wall_s = time.perf_counter() - started_s
        peak_bytes = settle(SETTLE_S)
        if peak_bytes is None:
            raise BenchError(f"still busy {SETTLE_S:.0f} s later: {' '.join(argv)}")
        if status:
            raise BenchError(_failure(argv, status, _text(output)))
        sample = Sample(wall_s, _children_cpu_s() - cpu_before_s, None, peak_bytes)
        return replace(sample, written_bytes=_since(written_before, written))


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent exits.

    Without it a hook that detaches work would hide that work's CPU time, and
    would go on working while the next rival is being measured.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def settle(within_s: float) -> int | None:
    """Wait until every child, adopted ones too, has ended.

    Returns:
        The peak memory in bytes of the largest process among them and those
        that they waited for; None where some go on after that time.
    """
    deadline_s, peak_bytes = time.monotonic() + within_s, 0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return peak_bytes
        if pid:
            peak_bytes = max(peak_bytes, usage.ru_maxrss * 1024)
        elif time.monotonic() > deadline_s:
            return None
        else:
            time.sleep(0.002)


def end_children() -> None:
    """Leave no descendant running: wait a little, then kill, layer by layer."""
    while settle(2) is None:
        for pid in _children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _since(before: int | None, written: Callable[[], int | None]) -> int | None:
    os.sync()  # a write that is still under way is this one's write
    after = written()
    return None if before is None or after is None else after - before


def _run_to_end(argv: Sequence[str], env: Mapping[str, str], output: int) -> int:
    with subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    ) as process:
        return process.wait()


def _children() -> list[int]:
    me = os.getpid()
    tasks = Path(f"/proc/{me}/task").iterdir()
    return [int(p) for task in tasks for p in (task / "children").read_text().split()]


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _failure(argv: Sequence[str], status: int, output: str) -> str:
    return f"exit status {status}: {' '.join(argv)}\n{output.rstrip()}"
