"""Every call of this process that changes the disk below a root, handed on beforehand.

Audit events of Python tell most of them; what they do not tell is wrapped.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from gitdeploy.ledger.database import Database
from gitdeploy.system import files

__all__ = ["Act", "Point", "install"]

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# Where an audit event has the name or descriptor that is changed, and its dir_fd.
_EVENTS: dict[str, tuple[int, int | None]] = {
    "os.chmod": (0, 2),
    "os.chown": (0, 3),
    "os.link": (1, 3),
    "os.mkdir": (0, 2),
    "os.remove": (0, 1),
    "os.rename": (1, 3),
    "os.rmdir": (0, 1),
    "os.symlink": (1, 2),
    "os.truncate": (0, None),
    "os.utime": (0, 3),
}
_HERE = os.path.dirname(os.path.abspath(__file__))
_LIBRARY = os.path.dirname(os.__file__)


class Point(NamedTuple):
    """A call that changes the disk."""

    n: int
    """Counts from 1."""
    name: str
    """`os.rename`, `fsync`, `ledger`, `committed`, `start` …."""
    path: str
    """What is changed; of `ledger` the statement, of `start` the program."""
    caller: str
    """The nearest source file that is not the standard library's."""

    @property
    def label(self) -> str:
        """How this point is asked for by name."""
        return f"{self.n}:{self.name}"


Act = Callable[[Point], None]


class _Watch:
    """Counts the points of this process and hands each to `act`."""

    def __init__(self, root: Path, act: Act) -> None:
        self._root = f"{os.path.realpath(root)}/"
        self._act = act
        self._n = 0
        self._busy = False

    def point(self, name: str, path: str) -> None:
        """A call comes that changes the disk."""
        self._n += 1
        self._act(Point(self._n, name, path, _caller()))

    def below(self, path: object, dir_fd: object = -1) -> str | None:
        """Return a path or descriptor as a path below the root; None elsewhere."""
        if isinstance(path, int):
            where = os.readlink(f"/proc/self/fd/{path}")
        elif isinstance(path, str | bytes | os.PathLike):
            at = dir_fd if isinstance(dir_fd, int) and dir_fd >= 0 else None
            base = os.readlink(f"/proc/self/fd/{at}") if at is not None else os.getcwd()
            where = os.path.join(base, os.fsdecode(path))
            parent, name = os.path.split(where)
            where = os.path.join(os.path.realpath(parent), name)
        else:
            return None
        return where if where.startswith(self._root) else None

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See sys.addaudithook."""
        if self._busy or not (
            event in _EVENTS or event in ("open", "subprocess.Popen")
        ):
            return
        self._busy = True
        try:
            found = self._found(event, arguments)
            if found:
                self.point(*found)
        finally:
            self._busy = False

    def _found(self, event: str, arguments: tuple[Any, ...]) -> tuple[str, str] | None:
        if event == "subprocess.Popen":
            return "start", " ".join(map(os.fsdecode, arguments[1]))
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & WRITES
            where = self.below(path) if writes and not isinstance(path, int) else None
        else:
            name_at, fd_at = _EVENTS[event]
            at = arguments[fd_at] if fd_at is not None else -1
            where = self.below(arguments[name_at], at)
        return (event, where) if where else None


def install(root: Path, act: Act) -> None:
    """Watch this process from now on; it is a forked one that ends soon."""
    watch = _Watch(root, act)
    _watch_syncs(watch)
    _watch_descriptors(watch)
    _watch_writes(watch)
    _watch_ledger(watch)
    sys.addaudithook(watch.audit)


def _watch_syncs(watch: _Watch) -> None:
    sync_filesystems = files.sync_filesystems

    def watched_syncfs(paths: Any) -> None:
        paths = list(paths)
        watch.point("syncfs", " ".join(map(str, paths)))
        sync_filesystems(paths)

    files.sync_filesystems = watched_syncfs


def _watch_descriptors(watch: _Watch) -> None:
    """Watch the calls on open files that tell no audit hook."""
    for name in ("fsync", "write", "pwrite", "posix_fallocate"):
        setattr(os, name, _watched(watch, name, getattr(os, name)))


def _watched(watch: _Watch, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def watched(fd: int, *more: Any) -> Any:
        if where := watch.below(fd):
            watch.point(name, where)
        return call(fd, *more)

    return watched


def _watch_writes(watch: _Watch) -> None:
    """Watch what is written through the files that `system.files` opens."""

    class Written:
        def __init__(self, file: IO[Any]) -> None:
            self._file = file

        def write(self, data: Any) -> int:
            if where := watch.below(self._file.fileno()):
                watch.point("write", where)
            return self._file.write(data)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    def watched_open(*args: Any, **more: Any) -> Any:
        return Written(open(*args, **more))

    files.open = watched_open  # type: ignore[attr-defined]


def _watch_ledger(watch: _Watch) -> None:
    """Watch every statement that may change the ledger, and what follows a commit."""
    execute, execute_all = Database.execute, Database.execute_all

    def watched(self: Database, sql: str, *values: object) -> int:
        if not sql.startswith("PRAGMA"):
            _said(self, watch, sql)
        done = execute(self, sql, *values)
        if not self._connection.in_transaction and not sql.startswith("PRAGMA"):
            watch.point("committed", sql)
        return done

    def watched_all(self: Database, sql: str, values: Any) -> None:
        _said(self, watch, sql)
        execute_all(self, sql, values)

    Database.execute = watched  # type: ignore[method-assign]
    Database.execute_all = watched_all  # type: ignore[method-assign]


def _said(database: Database, watch: _Watch, sql: str) -> None:
    """Pass a point of the ledger; an error there comes as SQLite tells it."""
    with database._translated():  # noqa: SLF001 - where its errors become ours
        try:
            watch.point("ledger", " ".join(sql.split()))
        except OSError as error:
            said = _SQLITE.get(error.errno, "disk I/O error")
            raise sqlite3.OperationalError(said) from error


_SQLITE = {28: "database or disk is full", 13: "attempt to write a readonly database"}


def _caller() -> str:
    """Return the nearest source file that is neither the library's nor ours."""
    frame = sys._getframe(1)  # noqa: SLF001 - there is no public way
    while frame:
        name = frame.f_code.co_filename
        if not name.startswith((_LIBRARY, _HERE, "<")):
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return ""
