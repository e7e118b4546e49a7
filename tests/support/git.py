"""The developer's side: a clone that commits and pushes with the real git."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from support import process

REMOTE = "server"
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
STATUS_LINE = re.compile(r"([ +*=!-])\t([^\t]*):([^:\t]*)\t(.*)")
SUMMARY = re.compile(r"(\[[^]]*\]|\S+)(?: \((.*)\))?", re.DOTALL)


class RefStatus(NamedTuple):
    """What `git push --porcelain` says of one ref."""

    flag: str
    """One of ' ' moved, '+' forced, '*' new, '-' deleted, '!' refused, '=' same."""

    summary: str
    """Such as 'abc..def', '[new branch]' or '[remote rejected]'."""

    reason: str
    """The words in parentheses behind it; empty where there are none."""


@dataclass(frozen=True)
class Push:
    """A push that has ended, as the pusher saw it."""

    code: int
    """git's exit status."""

    output: str
    """What git wrote to stderr."""

    statuses: dict[str, RefStatus]
    """Each ref by its full name on the server, in the order git told them."""

    def status(self, ref: str) -> RefStatus:
        """Return what git says of a ref; its full name, or a branch, or a tag."""
        for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}"):
            if name in self.statuses:
                return self.statuses[name]
        raise AssertionError(f"{ref!r} is not in {self.statuses}\n{self.output}")

    @property
    def remote_lines(self) -> list[str]:
        """What the server said, line by line, without git's prefix and padding."""
        lines = re.split(r"[\r\n]+", self.output)
        return [
            line.removeprefix("remote:").removeprefix(" ").rstrip(" ")
            for line in lines
            if line.startswith("remote:")
        ]


class Work:
    """A developer's clone. Each commit is a minute after the one before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits = 0

    @classmethod
    def create(cls, path: Path, *, branch: str = "main") -> Self:
        """Make an empty repository at `path`."""
        process.run("git", "init", "--quiet", f"--initial-branch={branch}", path)
        return cls(path)

    @classmethod
    def clone(cls, url: str | Path, path: Path) -> Self:
        """Clone `url`, whose remote is then named as everywhere: server."""
        process.run("git", "clone", "--quiet", f"--origin={REMOTE}", url, path)
        return cls(path)

    def connect(self, url: str | Path, *, ssh_command: str = "") -> None:
        """Let the remote `server` be `url`, reached by `ssh_command` if given."""
        self.git("config", f"remote.{REMOTE}.url", str(url))
        if ssh_command:
            self.git("config", "core.sshCommand", ssh_command)

    def git(
        self,
        *args: str | bytes | Path,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> CompletedProcess[str]:
        """Run git in the clone."""
        dated = {**self._dates(), **(env or {})}
        return process.run(
            "git", *args, cwd=self.path, env=dated, stdin=stdin, check=check
        )

    def write(
        self, name: str | bytes, content: str | bytes, mode: int | None = None
    ) -> Path:
        """Write a file, with its directories, and return its path."""
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            path.chmod(mode)
        return path

    def remove(self, name: str | bytes) -> None:
        """Remove a file, a link or a whole directory."""
        path = self.path / os.fsdecode(name)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def commit(self, message: str = "change", /, **files: str | bytes) -> str:
        """Write `files`, commit all there is, even if nothing, return the id.

        Names with a dot are given as `**{"index.html": "..."}`.
        """
        for name, content in files.items():
            self.write(name, content)
        self._commits += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.head

    def revert(self, oid: str = "HEAD") -> str:
        """Commit the contrary of a commit, and return the new commit's id."""
        self._commits += 1
        self.git("revert", "--no-edit", oid)
        return self.head

    def tag(self, name: str, *, annotated: bool = False, oid: str = "HEAD") -> str:
        """Tag a commit, and return the id that the tag's ref holds."""
        words = ["--annotate", "-m", f"Tag {name}"] if annotated else []
        self.git("tag", *words, name, oid)
        return self.oid(f"refs/tags/{name}")

    @property
    def head(self) -> str:
        """The id of the commit that is checked out."""
        return self.oid("HEAD")

    def oid(self, name: str) -> str:
        """Return the object id behind a name such as `HEAD^{tree}`."""
        return self.git("rev-parse", "--verify", name).stdout.strip()

    def push(
        self,
        *refspecs: str,
        options: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Push:
        """Push to the remote `server`, and return what came of it.

        A refused push is an answer, not an error. `refspecs` may hold options
        of git push, such as --atomic or --tags. What the server tidies up after it
        is done when this returns.
        """
        done = self.git(*_push_words(refspecs, options), check=False, env=env)
        wait_until_tidy(self.git("config", f"remote.{REMOTE}.url").stdout.strip())
        return Push(done.returncode, done.stderr, _statuses(done.stdout))

    @contextmanager
    def pushing(
        self,
        *refspecs: str,
        options: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Iterator[Popen[bytes]]:
        """A push under way, to be interrupted; killed where it has not ended."""
        words = _push_words(refspecs, options)
        dated = {**self._dates(), **(env or {})}
        with process.started("git", *words, cwd=self.path, env=dated) as child:
            yield child

    def _dates(self) -> dict[str, str]:
        now = (MIDNIGHT + timedelta(minutes=self._commits)).isoformat()
        return {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}


def wait_until_tidy(url: str) -> None:
    """Wait until nothing is removed any more of the app that a URL stands for."""
    repository = Path(unquote(urlsplit(url).path))
    lock = repository.with_suffix("") / "tidying"
    if lock.exists():  # else nothing ever was
        with lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_SH)


def told(pushing: Popen[bytes], timeout_s: float = 60) -> Push:
    """Wait for a push under way, and return what came of it."""
    printed = pushing.communicate(timeout=timeout_s)
    out, err = (text.decode("utf-8", "surrogateescape") for text in printed)
    return Push(pushing.returncode, err, _statuses(out))


def _push_words(refspecs: Iterable[str], options: Iterable[str]) -> list[str]:
    chosen = [f"--push-option={option}" for option in options]
    return ["push", "--porcelain", *chosen, REMOTE, *refspecs]


def _statuses(porcelain: str) -> dict[str, RefStatus]:
    found = {}
    for line in porcelain.split("\n"):
        if told := STATUS_LINE.fullmatch(line):
            flag, _, ref, rest = told.groups()
            summary = SUMMARY.fullmatch(rest)
            assert summary, f"git push printed {line!r}"
            found[ref] = RefStatus(flag, summary[1], summary[2] or "")
    return found
