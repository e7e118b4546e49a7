"""The one place that starts processes, always by argv and with a stated environment.

Programs of ours are started by `run`, `ended` and `start`: by an absolute path, with an
environment that nobody else has a say in, and not where somebody else writes. Commands
of deploy.toml are started by `start_command`, which only `steps.place` calls.
"""

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple, NoReturn

from gitdeploy.errors import SystemFailed
from gitdeploy.system.surroundings import Environment
from gitdeploy.system.terminal import human_time

__all__ = [
    "CommandFailed",
    "Ended",
    "TookTooLong",
    "become",
    "check_found",
    "ended",
    "looking_meanwhile",
    "run",
    "start",
    "start_command",
]

_NOWHERE: Final = Path("/")
"""Where programs of ours run: what lies where they do is never a pusher's."""

_LOOK_S: Final = 0.1
_looks: Final[list[Callable[[], None]]] = []


class CommandFailed(SystemFailed):
    """A program that we started exited with something else than 0.

    Attributes:
        code: Its exit status; negative for the signal that ended it.
        stdout: What it printed until then.
        stderr: What it said, decoded leniently.
    """

    def __init__(
        self, argv: Sequence[str], code: int, stdout: bytes, stderr: bytes
    ) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr.decode("utf-8", "replace").strip()
        words = _name(argv)
        last = self.stderr.splitlines()[-1] if self.stderr else "it said nothing"
        super().__init__(f"{words} exited with {code}: {last}")


class TookTooLong(SystemFailed):
    """A program that we started was killed, as it did not end in time."""

    def __init__(self, argv: Sequence[str], timeout_s: float) -> None:
        words = _name(argv)
        super().__init__(f"{words} did not end within {human_time(timeout_s)}")


class Ended(NamedTuple):
    """What came of a program that we started."""

    code: int
    """Its exit status; negative for the signal that ended it."""
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str],
    *,
    env: Environment,
    cwd: Path = _NOWHERE,
    stdin: bytes = b"",
    keeps: Sequence[int] = (),
    timeout_s: float | None = None,
) -> bytes:
    """Run a program to its end, or to ours, and return what it wrote to stdout.

    Args:
        argv: As for `start`.
        env: As for `start`.
        cwd: As for `start`.
        stdin: All that it reads.
        keeps: Descriptors of ours that it has too, so that a lock outlives us in it.
        timeout_s: After how long it is killed with all it started; None: never.

    Raises:
        CommandFailed: It exited with something else than 0.
        TookTooLong: It was killed.
        SystemFailed: There is no such program.
    """
    found = ended(argv, env=env, cwd=cwd, stdin=stdin, keeps=keeps, timeout_s=timeout_s)
    if found.code:
        raise CommandFailed(argv, *found)
    return found.stdout


def ended(
    argv: Sequence[str],
    *,
    env: Environment,
    cwd: Path = _NOWHERE,
    stdin: bytes = b"",
    keeps: Sequence[int] = (),
    timeout_s: float | None = None,
) -> Ended:
    """Run a program as `run` does, and return all that came of it, a no as well.

    Raises:
        TookTooLong: It was killed.
        SystemFailed: There is no such program.
    """
    process = start(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        keeps=keeps,
        own_session=timeout_s is not None,
    )
    with process:
        stdout, stderr = _heard(process, argv, stdin, timeout_s)
    return Ended(process.returncode, stdout, stderr)


def _heard(
    process: "subprocess.Popen[bytes]",
    argv: Sequence[str],
    stdin: bytes,
    timeout_s: float | None,
) -> tuple[bytes, bytes]:
    try:
        return _communicated(process, stdin, timeout_s)
    except subprocess.TimeoutExpired as error:
        os.killpg(process.pid, signal.SIGKILL)
        raise TookTooLong(argv, error.timeout) from None
    except BaseException:  # whoever stops us stops it too
        process.kill()
        process.wait()
        raise


def _communicated(
    process: "subprocess.Popen[bytes]", stdin: bytes, timeout_s: float | None
) -> tuple[bytes, bytes]:
    """Wait for a program's end; now and then look whether somebody ends that."""
    end_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
    input_: bytes | None = stdin
    while _looks:
        left_s = end_s - time.monotonic()
        try:
            return process.communicate(input_, max(min(left_s, _LOOK_S), 0))
        except subprocess.TimeoutExpired:
            if left_s <= _LOOK_S:
                assert timeout_s is not None
                raise subprocess.TimeoutExpired(process.args, timeout_s) from None
        input_ = None  # it goes on with what it was given
        _looks[-1]()
    return process.communicate(input_, timeout_s)


@contextmanager
def looking_meanwhile(look: Callable[[], None]) -> Iterator[None]:
    """Call something now and then while the body waits for a program's end.

    Args:
        look: Ends the program by raising.
    """
    _looks.append(look)
    try:
        yield
    finally:
        _looks.pop()


def start(  # noqa: PLR0913 - the descriptors of a child are three
    argv: Sequence[str],
    *,
    env: Environment,
    cwd: Path = _NOWHERE,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.STDOUT,
    own_session: bool = False,
    keeps: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program of ours; its descriptors are those stated here and no others.

    Args:
        argv: Where the program lies, as `programs` says, and its arguments; no shell
            reads them.
        env: All of its environment.
        cwd: Where it runs: nowhere where a pusher may write.
        stdin: By default the null device.
        stdout: By default a pipe.
        stderr: By default the same as stdout.
        own_session: Whether it leads a session of its own, to be killed as a whole.
        keeps: Descriptors of ours that it has too.

    Raises:
        SystemFailed: There is no such program, or it cannot be run.
        ValueError: The program has no absolute path: PATH would decide which it is.
    """
    _check_path(argv[0])
    with _told(argv[0]):
        return subprocess.Popen(
            argv,
            env=env.variables,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=own_session,
            pass_fds=keeps,
        )


def become(argv: Sequence[str], *, env: Environment) -> NoReturn:
    """Let a program of ours take our place, where nobody else writes.

    The arguments are those of `start`.

    Raises:
        SystemFailed: There is no such program, or it cannot be run.
        ValueError: The program has no absolute path.
    """
    _check_path(argv[0])
    os.chdir(_NOWHERE)
    with _told(argv[0]):
        os.execve(argv[0], [*argv], env.variables)  # noqa: S606 - no shell


def start_command(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stderr: int,
    keeps: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command of deploy.toml, leader of a session, as somebody else wants it.

    Nobody calls it but `steps.place.started`, which holds such commands.

    Args:
        argv: What holds it, if anything does, and the command.
        env: All of its environment.
        cwd: Where it runs.
        stderr: As for `start`; stdout is a pipe, and stdin the null device.
        keeps: Descriptors of ours that it has too.

    Raises:
        SystemFailed: There is no such program, or it cannot be run.
    """
    with _told(argv[0]):
        return subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            pass_fds=keeps,
        )


def _check_path(program: str) -> None:
    if not os.path.isabs(program):
        raise ValueError(f"a program of ours without its path: {program}")


@contextmanager
def _told(program: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise SystemFailed(_why_not(program, error)) from error


def check_found(program: str, path: str) -> None:
    """Say nothing if there is a program; for one that another program starts for us.

    Args:
        program: Its name, or where it is.
        path: Where it is looked for, as in PATH.

    Raises:
        SystemFailed: There is no such program.
    """
    import shutil

    if "/" in program or not all(map(os.path.isabs, path.split(os.pathsep))):
        return  # where it is looked for is not for us to say
    if shutil.which(program, path=path) is None:
        raise SystemFailed(_nowhere(program))


def _name(argv: Sequence[str]) -> str:
    return Path(argv[0]).name if argv else "command"


def _nowhere(program: str) -> str:
    return f"{program}: no such program in PATH"


def _why_not(program: str, error: OSError) -> str:
    """Return why a program did not start.

    A name that is nowhere in PATH is told as such: execvp(3) says "permission denied"
    where a directory of PATH may not be read.
    """
    if "/" in program or error.filename != program:
        return f"{error.filename}: {error.strerror}"
    return _nowhere(program)
