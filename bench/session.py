"""What all parts of one run of the bench share: where, how often, how far it is."""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from disk import Disk
from measure import Sample, timed
from ssh import Loopback

LARGE = 50_000
"""Files from which on a run is so long that floors are measured less often."""
FEWER_RUNS = 3


@dataclass(frozen=True)
class Route:
    """How pushes travel: by path, or over ssh on loopback."""

    env: Mapping[str, str]
    loopback: Loopback | None = None

    @property
    def name(self) -> str:
        """What it is called in results."""
        return "ssh" if self.loopback else "path"

    def url(self, path: Path) -> str:
        """Return what `git push` is given for a repository."""
        return self.loopback.url(path) if self.loopback else str(path)


def ssh_route(env: Mapping[str, str], loopback: Loopback) -> Route:
    """Return the route over a running sshd."""
    return Route({**env, "GIT_SSH_COMMAND": loopback.command}, loopback)


@dataclass
class Progress:
    """Says what is being done, and guesses how long it will still take."""

    expected_s: float
    started_s: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Say it on stderr, with the time since the start."""
        passed = (time.monotonic() - self.started_s) / 60
        whole = self.expected_s / 60
        print(f"[{passed:4.1f} of about {whole:.0f} min] {text}", file=sys.stderr)


@dataclass(frozen=True)
class Session:
    """One run of the bench."""

    home: Path
    env: Mapping[str, str]
    runs: int
    disk: Disk
    progress: Progress

    def timed(self, argv: list[str], env: Mapping[str, str]) -> Sample:
        """Return what a command cost, bytes written included."""
        return timed(argv, env, written=self.disk.written_bytes)

    def runs_alone(self, files: int) -> int:
        """Return how often commands are measured that a rival merely consists of."""
        return min(self.runs, FEWER_RUNS) if files >= LARGE else self.runs


@contextmanager
def directory(parent: Path | None, name: str) -> Iterator[Path]:
    """Give a directory that is gone afterwards, read-only parts and all."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=parent) as path:
        yield Path(path).resolve()


def turns(names: list[str], number: int) -> list[str]:
    """Return the names as they take turns: A B C, then B C A, and so on."""
    first = number % len(names)
    return names[first:] + names[:first]
