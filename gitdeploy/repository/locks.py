"""Lock files of git's own: who may hold them, and whether a killed git left them.

git locks a ref, `packed-refs`, `HEAD` or `config` by making a file beside it
(`main.lock`), and forgets who made it. A git that was killed leaves it behind, and
nobody can move that ref until somebody removes the file.

It is removed here only where no living git can have made it: every one that works in
this repository was started later, or the machine was. What this does not see: git on
another machine or in another container that shares the repository's disk, and a clock
that was set forward since.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy.errors import SystemFailed
from gitdeploy.repository.objects import Objects
from gitdeploy.system import clock, files, processes
from gitdeploy.system.process import CommandFailed
from gitdeploy.system.processes import Process
from gitdeploy.system.terminal import human_time

__all__ = ["GATE", "GitLock", "GitLocked", "Locks"]

GATE: Final = ("receive.procReceiveRefs", "refs")
"""The setting that makes git leave every ref to proc-receive."""

_IN_THE_WAY: Final = (
    r"Unable to create '(?P<lock>.+\.lock)': File exists"
    r"|could not lock config file (?P<config>.+): File exists"
)
# Times of files lag behind by a tick, and ntpd may have moved the clock a little.
_MARGIN_S: Final = 2.0
# Those that never lock a ref; a clone may last for hours.
_READERS: Final = frozenset({"upload-pack", "upload-archive", "pack-objects"})
_AT_TOP: Final = ("HEAD", "config", "packed-refs", "shallow")


class GitLocked(SystemFailed):
    """A git that may still be running holds what has to change."""


class GitLock(Struct, frozen=True):
    """One lock file, judged."""

    path: Path
    name: str
    """Below the repository: `refs/heads/main.lock`."""
    made_s: float
    """When, seconds since the epoch."""
    stale: bool
    """Whether no living git can have made it."""
    holder: Process | None
    """A git that may have."""

    def __str__(self) -> str:
        """Return a sentence: what it is, and since when."""
        age = human_time(max(clock.age_s(self.made_s), 0))
        if self.stale:
            return f"{self.name} was left {age} ago by a git that is gone"
        if self.holder is None:
            return f"{self.name} is there since {age}, and is perhaps another user's"
        command = " ".join(self.holder.arguments[:2]) or "git"
        return (
            f"{self.name} is held since {age},"
            f" perhaps by process {self.holder.pid} ({command})"
        )


class Locks(Objects):
    """The lock files of a bare repository."""

    def unlocked(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run git, again where what a killed git left was in its way.

        Called with the app's lock held, so that nobody else of ours removes the same.

        Changes: removes such lock files, whatever git does afterwards.

        Raises:
            GitLocked: A lock file is in the way that may be somebody's.
            CommandFailed: git said no for another reason.
        """
        while True:
            try:
                return self.git(*arguments, stdin=stdin)
            except CommandFailed as error:
                lock = self._in_the_way(error.stderr)
                if lock is None:
                    raise
                if not self.remove_lock(lock):
                    raise GitLocked(str(lock), hint=_way_out(lock)) from error

    @contextmanager
    def rewriting(self, name: str, data: bytes | None = None) -> Iterator[Path]:
        """The lock of a file, for the body to change; afterwards it is the file.

        As git rewrites its files, but for the sync that git leaves out of some.

        Args:
            name: The file's, which exists.
            data: What the lock holds for the body; None: what the file holds.

        Changes: the lock, then the file by its name; called with the app's lock held.

        Raises:
            GitLocked: A lock file is in the way that may be somebody's.
        """
        path, lock = self.path / name, self.path / f"{name}.lock"
        mode = stat.S_IMODE(path.stat().st_mode)
        data = path.read_bytes() if data is None else data
        while not files.create_whole(lock, data, mode):
            found = self._one_judged(lock, _READERS)
            if found and not self.remove_lock(found):
                raise GitLocked(str(found), hint=_way_out(found))
        try:
            yield lock
            files.sync_filesystems([lock])
            files.replace_file(path, lock)
        except BaseException:
            files.remove_file(lock)
            raise

    def locks(self) -> list[GitLock]:
        """Return every lock file, in the order of their names."""
        tops = [self.path / f"{name}.lock" for name in _AT_TOP]
        below = files.everything_below(self.path / "refs")
        found = (path for path in below if path.suffix == ".lock")
        return self._judged([*tops, *found], _READERS)

    def remove_stale_locks(self) -> list[GitLock]:
        """Remove what killed gits left, with the app's lock held; return it."""
        return [lock for lock in self.locks() if self.remove_lock(lock)]

    def remove_lock(self, lock: GitLock) -> bool:
        """Remove a lock file that is stale, and still the one that was judged.

        While it exists no other git can have taken its name (open(2), O_EXCL).
        """
        status = _status(lock.path)
        if not lock.stale or status is None or _made_s(status) != lock.made_s:
            return False
        files.remove_file(lock.path)
        return True

    def receives(self) -> bool:
        """Return whether git takes another push than the one that we serve."""
        serving, places = processes.ancestors(), self._places()
        return any(
            _git_command(process.arguments) == "receive-pack"
            and process.pid not in serving
            and _works_in(process, places)
            for process in processes.running()
        )

    def _in_the_way(self, stderr: str) -> GitLock | None:
        """Return the lock file that git complained of, if it is still there."""
        match = re.search(_IN_THE_WAY, stderr)
        if match is None:
            return None
        place = Path(match["lock"] or f"{match['config']}.lock")
        return next(iter(self._judged([place], _READERS)), None)

    def _judged(
        self, paths: Iterable[Path], harmless: AbstractSet[str]
    ) -> list[GitLock]:
        """Return those of the files that exist, judged, in the order of their names.

        Args:
            paths: Lock files, or others that a git makes and removes.
            harmless: The commands that never make one, or never keep it.
        """
        return [
            lock for path in sorted(paths) if (lock := self._one_judged(path, harmless))
        ]

    def _one_judged(self, path: Path, harmless: AbstractSet[str]) -> GitLock | None:
        status = _status(path)
        if status is None:
            return None
        made_s = _made_s(status)
        if harmless is _READERS and self._is_gated():
            harmless = harmless | {"receive-pack"}
        holder = next(self._may_hold(made_s, harmless), None)
        unseen = not processes.all_are_seen() and status.st_uid != os.geteuid()
        stale = holder is None and (not unseen or made_s < clock.booted_s() - _MARGIN_S)
        return GitLock(path, os.path.relpath(path, self.path), made_s, stale, holder)

    def _may_hold(self, made_s: float, harmless: AbstractSet[str]) -> Iterator[Process]:
        """Yield every git at work here that was running when a lock was made.

        Those that wait for us hold nothing; behind the gate no receive-pack does.
        """
        waiting = processes.ancestors()
        places = self._places()
        for process in processes.running():
            command = _git_command(process.arguments)
            if command is None or command in harmless or process.pid in waiting:
                continue
            started_s = process.started_s
            if started_s is None or started_s - _MARGIN_S > made_s:
                continue
            if _works_in(process, places):
                yield process

    def _is_gated(self) -> bool:
        key, value = GATE
        try:
            return self.git("config", "--local", "--get", key) == f"{value}\n".encode()
        except CommandFailed:
            return False

    def _places(self) -> list[str]:
        """Return the repository and the working trees that somebody made of it."""
        trees = [
            os.path.dirname(os.fsdecode(file.read_bytes().strip()))
            for file in self.path.glob("worktrees/*/gitdir")
        ]
        return [os.path.realpath(place) for place in [str(self.path), *trees]]


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _made_s(status: os.stat_result) -> float:
    """Return when a file was made: the later of its times, of which one can be set."""
    return max(status.st_mtime, status.st_ctime)


def _git_command(arguments: tuple[str, ...]) -> str | None:
    """Return `receive-pack` of `git receive-pack` and the like; None: it is not git."""
    if not arguments:
        return None
    program = os.path.basename(arguments[0])
    if program.startswith("git-"):
        return program.removeprefix("git-")
    if program != "git":
        return None
    return next((word for word in arguments[1:] if not word.startswith("-")), "git")


def _works_in(process: Process, places: list[str]) -> bool:
    """Return whether a process works in one of some places, or hides where.

    What another user's works on is hidden too, but a lock of ours is not by it.
    """
    directory = process.directory
    if directory is None:  # one that is just ending has no arguments any more either
        return bool(process.arguments) and process.owner == os.geteuid()
    named = [process.variable("GIT_DIR") or "", *_directories(process.arguments)]
    used = [os.path.join(directory, name) for name in named if name]
    used += process.paths()
    paths = [f"{os.path.realpath(path)}/" for path in used]
    return any(path.startswith(f"{place}/") for path in paths for place in places)


def _directories(arguments: tuple[str, ...]) -> Iterator[str]:
    """Yield what follows `--git-dir`."""
    for n, word in enumerate(arguments):
        if word.startswith("--git-dir="):
            yield word.removeprefix("--git-dir=")
        elif word == "--git-dir":
            yield from arguments[n + 1 : n + 2]


def _way_out(lock: GitLock) -> str:
    if lock.holder:
        return "push again when it has ended"
    return f"on the server, where no git is running there: rm {lock.path}"
