"""A deed done in a process forked from this one: no start of Python for each point."""

import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from crash.world import World, end

KILLED = 137
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Ended:
    """How a deed ended, as whoever asked for it saw it."""

    code: int
    """Its exit status; negative or 137 where it was killed."""
    stdout: str
    stderr: str


def inside(
    main: Callable[[], int],
    world: World,
    *,
    stdin: bytes = b"",
    before: Callable[[], None] | None = None,
) -> Ended:
    """Run `main` in a child of its own, in the world's repository, and wait for it."""
    _warm()
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        files[0].write(stdin)
        files[0].seek(0)
        pid = _fork(main, world, [file.fileno() for file in files], before)
        code = _waited(pid)
        return Ended(code, *(_text(file) for file in files[1:]))


def _fork(
    main: Callable[[], int],
    world: World,
    descriptors: list[int],
    before: Callable[[], None] | None,
) -> int:
    with warnings.catch_warnings():  # the other threads are a test runner's
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 99
        try:
            _become(world, descriptors)
            if before:
                before()
            code = main()
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001 - nothing of the parent's may run here
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return pid


def _become(world: World, descriptors: list[int]) -> None:
    """Be like a process that was just started in the world's repository."""
    os.setsid()
    for number, fd in enumerate(descriptors):
        os.dup2(fd, number)
    for name in ("INT", "TERM", "HUP"):
        signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(world.environment())
    os.environ["GIT_DIR"] = str(world.repository)
    os.chdir(world.repository if world.repository.exists() else world.root)
    sys.stdin, sys.stdout, sys.stderr = (
        open(0, closefd=False),  # noqa: SIM115 - they live as long as the process
        open(1, "w", closefd=False),  # noqa: SIM115
        open(2, "w", closefd=False),  # noqa: SIM115
    )


def _waited(pid: int) -> int:
    """Wait for a child's end, and kill it where that does not come."""
    fd = os.pidfd_open(pid)
    try:
        import select

        if not select.select([fd], [], [], _PATIENCE_S)[0]:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(fd)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _text(file: "tempfile._TemporaryFileWrapper[bytes]") -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


@cache
def _warm() -> None:
    """Import here what every child would import again."""
    from gitdeploy.cli.main import VERBS

    for verbs in VERBS.values():
        for verb in verbs:
            import_module(f"gitdeploy.cli.{verb}")
    for name in (
        "hooks.proc_receive",
        "hooks.post_receive",
        "deploy.push",
        "deploy.acceptance",
        "deploy.prepare",
        "deploy.reuse",
        "deploy.roll",
        "deploy.repair",
        "deploy.prune",
        "tree",
        "submodules",
    ):
        import_module(f"gitdeploy.{name}")
    # What is found out once for each process is at no point of a deed.
    for module, question in (
        ("steps", "why_no_box"),
        ("steps.binding", "_takes_descriptors"),
        ("steps.bounds", "held_by_group"),
        ("system.openat2", "_known"),
    ):
        getattr(import_module(f"gitdeploy.{module}"), question)()


def end_all(world: World) -> list[int]:
    """Wait for the processes of a world; kill and return those that stay."""
    left = wait_quiet(world)
    end(left)
    return left


def wait_quiet(world: World, *, patience_s: float = 10.0) -> list[int]:
    """Wait until no process has to do with the world; return those that stay."""
    until = time.monotonic() + patience_s
    while (left := world.processes()) and time.monotonic() < until:
        time.sleep(0.005)
    return left
