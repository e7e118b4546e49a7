"""Start programs for the tests.

Always a list of arguments, always a time limit or an end, never a shell, and
nothing a test started outlives it unless it detached itself.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

Argument = str | bytes | os.PathLike[str]


class ProgramError(AssertionError):
    """A program that a test relies on exited with another status than 0."""

    def __init__(self, done: CompletedProcess[str]) -> None:
        self.done = done
        super().__init__(
            f"{done.args} exited with {done.returncode}\n"
            f"--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        )

    def __reduce__(self) -> tuple[type["ProgramError"], tuple[CompletedProcess[str]]]:
        """Let it travel from another process (pickle would give it its message)."""
        return ProgramError, (self.done,)


def run(
    *argv: Argument,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    timeout_s: float = 60,
) -> CompletedProcess[str]:
    """Run a program to its end and return all that it printed.

    What it prints is text with surrogate escapes and untouched line ends, so
    nothing is lost. `env` is laid over this process's environment.

    Raises:
        ProgramError: it exited with another status than 0, and `check` is set.
        subprocess.TimeoutExpired: it ran too long, and was killed.
    """
    with started(*argv, cwd=cwd, env=env) as child:
        sent = None if stdin is None else stdin.encode("utf-8", "surrogateescape")
        out, err = child.communicate(sent, timeout_s)
    done = CompletedProcess(child.args, child.returncode, _text(out), _text(err))
    if check and done.returncode:
        raise ProgramError(done)
    return done


@contextmanager
def started(
    *argv: Argument,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs beside the test, and is killed at the end of it.

    It leads a session of its own, so that `os.killpg(child.pid, ...)` reaches
    it and its children, and SIGINT means to it what it means at a terminal.
    """
    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with child:
        try:
            yield child
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def _text(printed: bytes) -> str:
    return printed.decode("utf-8", "surrogateescape")
