"""A push held in the middle of its build, so that a test can do something meanwhile."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gitdeploy.deploy.app import App
from gitdeploy.door import surroundings
from gitdeploy.model import Deployment
from support.server import Server

T = TypeVar("T")

_LOOK_AGAIN_S = 0.02
PATIENCE_S = 30.0


class Held:
    """A build step that says when it runs, and goes on when it may."""

    def __init__(self, directory: Path, name: str = "held") -> None:
        self._running = directory / f"{name}-runs"
        self._gate = directory / f"{name}-gate"
        os.mkfifo(self._gate)

    @property
    def words(self) -> str:
        """What a shell has to do for it."""
        return f": > '{self._running}'; read go < '{self._gate}'"

    def toml(self, afterwards: str = "true", *, build: str = "") -> str:
        """Return a deploy.toml with that step, and more for its shell to do."""
        words = f"{self.words}; {afterwards}"
        return (
            f'[build]\n{build}\n[[build.steps]]\nname = "held"\nrun = """{words}"""\n'
        )

    def wait(self) -> None:
        """Wait until the step runs."""
        until(self._running.exists, "the step runs")

    def go_on(self) -> None:
        """Let the step go on; it runs, or is just about to wait."""
        fd = until(self._opened, "the step waits")
        os.write(fd, b"on\n")
        os.close(fd)

    def _opened(self) -> int | None:
        """Return the gate opened for writing; None while nobody waits there."""
        try:
            return os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None


@contextmanager
def blocked_after(server: Server, ref: str, held: Held) -> Iterator[None]:
    """Let git wait for the test each time after it has moved a ref."""
    hook = server.repo() / "hooks" / "reference-transaction"
    hook.write_text(
        "#!/bin/sh\n"
        f"[ \"$1\" = committed ] && grep -q ' {ref}$' || exit 0\n{held.words}\n"
    )
    hook.chmod(0o755)
    yield
    hook.unlink()


def until(condition: Callable[[], T | None], what: str, within_s: float = 0) -> T:
    """Return what a condition says as soon as that is true.

    Raises:
        AssertionError: It is not, for very long.
    """
    end = time.monotonic() + (within_s or PATIENCE_S)
    while not (found := condition()):
        assert time.monotonic() < end, f"not even after a while: {what}"
        time.sleep(_LOOK_AGAIN_S)
    return found


def opened(server: Server, app: str = "shop") -> App:
    """Return an app as the product sees it; a context manager."""
    return App.open(server.root, app, surroundings(os.environ), "ada")


def events(server: Server, app: str = "shop") -> list[Deployment]:
    """Return the app's history, newest first."""
    with opened(server, app) as one:
        return one.ledger.deployments.history(-1)


def ended(server: Server, new: str) -> Deployment:
    """Return the event of the ref that was to become `new`, once it has a verdict."""
    return until(
        lambda: next((e for e in events(server) if e.new == new and e.verdict), None),
        f"a verdict on {new}",
    )


def at_work(server: Server) -> list[str]:
    """Return what runs in a server's directories: hooks, gits, steps."""
    return [
        f"{process.name} {_read(process, 'cmdline')!r}"
        for process in Path("/proc").glob("[0-9]*")
        if _is_below(process, str(server.root))
    ]


def _is_below(process: Path, root: str) -> bool:
    try:
        directory = os.readlink(process / "cwd")
    except OSError:  # it has ended
        return False
    ours = f"GITDEPLOY_RELEASE_DIR={root}/".encode()
    return directory.startswith(f"{root}/") or ours in _read(process, "environ")


def _read(process: Path, name: str) -> bytes:
    try:
        return (process / name).read_bytes()
    except OSError:
        return b""
