"""Starting processes and timing them; nothing here knows git or a rival."""

import ctypes
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
"""Source: prctl(2)."""

SETTLE_S = 60.0
"""How long work left behind by a push may go on before the bench gives up."""


class BenchError(Exception):
    """Something that makes every later figure worthless, in words."""


@dataclass(frozen=True)
class Sample:
    """What one push cost; a new measure (bytes written, …) is a new field."""

    wall_s: float
    """From starting the client until it exited."""
    cpu_s: float
    """User and system time of the client and all that came of it."""


def clean_environment(home: Path) -> dict[str, str]:
    """Return our environment without any setting of this user's git or apps."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "GITDEPLOY_", "DEPLOYMENT_HELPER_"))
    }
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
        "LC_ALL": "C",
    }


def run(argv: Sequence[str], env: Mapping[str, str], *, stdin: bytes = b"") -> str:
    """Return what a command printed on stdout, stripped, or raise with its output."""
    done = subprocess.run(argv, env=env, input=stdin, capture_output=True, check=False)
    if done.returncode:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise BenchError(_failure(argv, done.returncode, output))
    return done.stdout.decode(errors="replace").strip()


def timed(argv: Sequence[str], env: Mapping[str, str]) -> Sample:
    """Return what a command cost, or raise with all it printed.

    Its output goes to a file, not a pipe: a process left behind that still
    holds the pipe would otherwise be waited for with the clock running.
    """
    with tempfile.TemporaryFile() as output:
        os.sync()  # what others wrote must not be synced on this one's time
        cpu_before_s, started_s = _children_cpu_s(), time.perf_counter()
        status = _run_to_end(argv, env, output.fileno())
        wall_s = time.perf_counter() - started_s
        if not settle(SETTLE_S):
            raise BenchError(f"still busy {SETTLE_S:.0f} s later: {' '.join(argv)}")
        if status:
            output.seek(0)
            text = output.read().decode(errors="replace")
            raise BenchError(_failure(argv, status, text))
        return Sample(wall_s, _children_cpu_s() - cpu_before_s)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose parent exits.

    Without it a hook that detaches work would hide that work's CPU time, and
    would go on working while the next rival is being measured.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def settle(within_s: float) -> bool:
    """Return whether every child, adopted ones too, ended within that time."""
    deadline_s = time.monotonic() + within_s
    while _children_left():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.002)
    return True


def end_children() -> None:
    """Leave no descendant running: wait a little, then kill, layer by layer."""
    while not settle(2):
        for pid in _children():
            os.kill(pid, signal.SIGKILL)


def _run_to_end(argv: Sequence[str], env: Mapping[str, str], output: int) -> int:
    with subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    ) as process:
        return process.wait()


def _children_left() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    me = os.getpid()
    return [int(p) for p in Path(f"/proc/{me}/task/{me}/children").read_text().split()]


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _failure(argv: Sequence[str], status: int, output: str) -> str:
    return f"exit status {status}: {' '.join(argv)}\n{output.rstrip()}"
