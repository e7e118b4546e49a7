"""The stage of `gitdeploy demo`: a server, a clone, and what is seen of a push."""

import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from gitdeploy.cli.screen import show_line
from gitdeploy.deploy.app import App
from gitdeploy.deploy.setup import set_up
from gitdeploy.door import acting_name, surroundings
from gitdeploy.lock import holder
from gitdeploy.system import files

if TYPE_CHECKING:
    from git import Repo

__all__ = ["Stage", "throw_away_directory"]

_SHOWN: Final = re.compile(
    r"remote:   (  \S|staged |released |rolled back|failed |still live)"
    r"| ! \[remote rejected\]"
)
_CHAIN_WIDTH: Final = 37
_PATIENCE_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.05
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stage:
    """A server with the app shop, and a clone whose remote `server` it is."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._app: App | None = None
        self._environment = dict(os.environ)

    def __enter__(self) -> Self:
        """Set the stage; the person's own git configuration is not part of it."""
        files.make_directory(self._place / "home")
        _replace_environment(_clean_environment(self._place / "home"))
        server = msgspec.structs.replace(
            surroundings(os.environ), home=str(self._place / "home")
        )
        self._app = set_up(
            self._place / "server",
            "shop",
            server,
            acting_name(os.environ),
            target=None,
            links=None,
            gate=None,
        ).app
        self._work = _clone(self._place / "shop", self._app.layout.repository)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave when the last push has ended, whoever interrupted its sight."""
        _replace_environment(self._environment)
        if self._app:
            self._app.__exit__(kind, error, trace)
            until = time.monotonic() + _PATIENCE_S
            while holder(self._app.layout.lock) and time.monotonic() < until:
                time.sleep(_LOOK_AGAIN_S)

    # --- the developer ------------------------------------------------------------

    def write(self, name: str, text: str) -> None:
        """Write a file in the clone."""
        files.write_whole(self._place / "shop" / name, text.encode())

    def commit(self, message: str, *, amend: bool = False) -> None:
        """Commit all there is."""
        self._work.git.add(all=True)
        self._work.git.commit(message=message, amend=amend, quiet=True)

    def tag(self, name: str) -> None:
        """Tag the latest commit."""
        self._work.git.tag(name)

    def revert(self) -> None:
        """Commit the contrary of the latest commit."""
        self._work.git.revert("HEAD", no_edit=True)

    def push(self, typed: str, ref: str) -> None:
        """Push, and show what was typed, what the server said, and the links."""
        show_line(f"$ {typed}", style="bold")
        _, _, said = self._work.git.push(
            "server", ref, with_extended_output=True, with_exceptions=False
        )
        for line in str(said).splitlines():
            if _SHOWN.match(line):
                show_line(line.rstrip(), style="dim")
        prod, dev = (self._live(name) for name in ("shop", "shop-staging"))
        show_line(f"  {prod:<{_CHAIN_WIDTH}}{dev}")

    # --- the server ---------------------------------------------------------------

    def _live(self, name: str) -> str:
        assert self._app is not None
        target = self._app.public.target
        link = os.readlink(target / name)
        directory = Path(os.readlink(target / link)).name
        number = directory.partition("-")[0]
        live = f"release {number}" if number.isdecimal() else "nothing yet"
        return f"{name} -> {link} -> {live}"


@contextmanager
def throw_away_directory() -> Iterator[Path]:
    """Give an empty directory that is gone afterwards, however the body ends.

    A signal that would end us at once ends the body instead, as Ctrl-C does; while
    the directory is being removed, signals wait.
    """
    before = {number: signal.getsignal(number) for number in _ENDINGS}
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    place = Path(tempfile.mkdtemp(prefix="gitdeploy-demo-")).resolve()
    try:
        yield place
    finally:
        for number in _ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        files.remove_tree(place)
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _clone(path: Path, repository: Path) -> "Repo":
    """Make an empty clone; GitPython drives the person's own git."""
    from git import Repo

    repo = Repo.init(path, initial_branch="main")
    repo.create_remote("server", str(repository))
    return repo


def _clean_environment(home: Path) -> dict[str, str]:
    """Return an environment in which git knows nobody and asks nobody."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "GITDEPLOY_"))
    }
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
    }
    return {
        **kept,
        **who,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


def _replace_environment(wanted: dict[str, str]) -> None:
    """Make the environment as wanted; GitPython hands ours to git as it is."""
    os.environ.clear()
    os.environ.update(wanted)
