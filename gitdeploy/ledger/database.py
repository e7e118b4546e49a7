"""The one connection to SQLite: its errors become ours here, once.

WAL mode with synchronous=FULL: a committed transaction survives a crash and a power
cut (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gitdeploy.errors import StateError, SystemFailed
from gitdeploy.system import disk

__all__ = ["Database", "way_out"]

_BUSY_S: Final = 30.0
_LITTLE_BYTES: Final = 2**20


class Database:
    """An open SQLite file.

    Every method raises `SystemFailed` where the disk, a right or another process's
    lock said no, and `StateError` where the file is damaged or no database. An error
    in what we ask of it is a bug, and stays one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._translated():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None
            )
            self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return all that a question finds."""
        with self._translated():
            return self._connection.execute(sql, _storable(values)).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first that a question finds; None where it finds nothing."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def damage(self) -> list[str]:
        """Return what SQLite finds wrong with its file, or with its references."""
        said = [str(row[0]) for row in self.rows("PRAGMA integrity_check")]
        broken = {
            f"a {row['table']} names a {row['parent']} that is not there"
            for row in self.rows("PRAGMA foreign_key_check")
        }
        return [*(line for line in said if line != "ok"), *sorted(broken)]

    def execute(self, sql: str, *values: object) -> int:
        """Change something; return the id of the row that was added, if one was."""
        with self._translated():
            return self._connection.execute(sql, _storable(values)).lastrowid or 0

    def execute_all(self, sql: str, values: Iterable[Sequence[object]]) -> None:
        """Make the same change for each of many rows of values."""
        with self._translated():
            self._connection.executemany(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the body's changes one: all of them durably, or none.

        Within another transaction it is part of that one.
        """
        if self._inside():
            yield
            return
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # A full disk may have rolled it back already.
            if self._inside():
                self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")

    def _inside(self) -> bool:
        return self._connection.in_transaction

    def _hint(self) -> str:
        """Return what helps where the machine said no."""
        place = self.path.parent
        free_bytes, _ = disk.room(place)
        if free_bytes < _LITTLE_BYTES:
            return f"the disk is full: df {place}"
        return f"gitdeploy doctor {place.name}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise SystemFailed(f"{self.path}: {error}", hint=self._hint()) from error
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.DatabaseError as error:
            raise StateError(
                f"{self.path}: {error}", hint=way_out(self.path)
            ) from error


def way_out(path: Path) -> str:
    """Return what replaces a ledger that cannot be read any more."""
    app = path.parent.name
    return f"mv {path} {path}.damaged && gitdeploy repair --from-links {app}"


def _storable(values: Sequence[object]) -> list[object]:
    """Return values as SQLite takes them: bytes that were not UTF-8 are escaped."""
    return [
        value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if isinstance(value, str)
        else value
        for value in values
    ]
