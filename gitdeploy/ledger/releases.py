"""The ledger's releases: numbered, prepared, ready or failed, pruned."""

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

from gitdeploy.ledger.database import Database
from gitdeploy.model import Release
from gitdeploy.states import RELEASE, next_state

__all__ = ["Releases"]


_DIGITS: Final = 19  # SQLite's integers have 64 bits


class Releases:
    """The table `release`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        *,
        content: str,
        created: str,
        suffix: str,
        commit: str | None = None,
        tree: str | None = None,
    ) -> Release:
        """Return a new release in state preparing, with the next number.

        Args:
            content: Its content id.
            created: ISO 8601, UTC.
            suffix: What follows the number in its name.
            commit: None for a directory that did not come from git.
            tree: The commit's.
        """
        with self._database.transaction():
            number = self._database.execute(
                "INSERT INTO release"
                ' (name, "commit", tree, content, state, created)'
                " VALUES ('', ?, ?, ?, 'preparing', ?)",
                commit,
                tree,
                content,
                created,
            )
            self._set(number, name=f"{number}-{suffix}")
        return self.get(number)

    def seal(
        self,
        release: Release,
        *,
        at: str,
        files: int | None = None,
        size_bytes: int | None = None,
        path: str | None = None,
    ) -> Release:
        """Return the release as ready: complete, durable, never changed again."""
        state = next_state(RELEASE, release.state, "seal")
        self._set(
            release.number,
            state=state,
            ready=at,
            files=files,
            size_bytes=size_bytes,
            path=path,
        )
        return self.get(release.number)

    def fail(self, release: Release, why: str) -> None:
        """Mark a release that could not be prepared."""
        state = next_state(RELEASE, release.state, "fail")
        self._set(release.number, state=state, failed_why=why)

    def prune(self, release: Release) -> None:
        """Mark a release whose directory is about to be removed, outputs and all."""
        with self._database.transaction():
            self._set(release.number, state=next_state(RELEASE, release.state, "prune"))
            for table in ("step_output", "check_passed"):
                self._database.execute(
                    f"DELETE FROM {table} WHERE release = ?",  # noqa: S608 - ours
                    release.number,
                )

    def leave(self, numbers: Iterable[int], *, at: str, why: str) -> None:
        """Note that releases were rolled back from."""
        for number in numbers:
            self._set(number, left_at=at, left_why=why)

    def come_back(self, numbers: Iterable[int]) -> None:
        """Note that releases are on a chain again."""
        for number in numbers:
            self._set(number, left_at=None, left_why=None)

    def condemn(self, number: int, *, at: str, why: str) -> None:
        """Note that a release, live, was found not to work."""
        self._set(number, bad_at=at, bad_why=why)

    def absolve(self, number: int) -> None:
        """Note that a release works, live, whatever it did before."""
        self._set(number, bad_at=None, bad_why=None)

    def passed(self, number: int, key: str) -> None:
        """Note that a release passed the checks with that key."""
        self._database.execute(
            "INSERT OR IGNORE INTO check_passed (release, key) VALUES (?, ?)",
            number,
            key,
        )

    def has_passed(self, number: int, key: str) -> bool:
        """Return whether a release ever passed the checks with that key."""
        sql = "SELECT 1 FROM check_passed WHERE release = ? AND key = ?"
        return self._database.row(sql, number, key) is not None

    def pin(self, number: int, *, pinned: bool) -> None:
        """Keep a release from being pruned, or no longer."""
        self._set(number, pinned=int(pinned))

    def get(self, number: int) -> Release:
        """Return the release with that number, which exists."""
        (release,) = self._select("WHERE number = ?", number)
        return release

    def find(self, words: str) -> Release | None:
        """Return the release that a person names by number or by name."""
        if words.isdecimal() and len(words) < _DIGITS:
            found = self._select("WHERE number = ?", int(words))
        else:
            found = self._select("WHERE name = ?", words)
        return found[0] if found else None

    def ready_with(self, content: str) -> list[Release]:
        """Return the ready releases with that content, newest first.

        One that was found not to work is among them only while it is on a chain.
        """
        return self._select(
            "WHERE content = ? AND state = 'ready' AND (bad_at IS NULL OR EXISTS"
            " (SELECT 1 FROM chain WHERE undo = 0 AND release = number))"
            " ORDER BY number DESC",
            content,
        )

    def made(self, number: int, key: str) -> None:
        """Note that a release holds the outputs of the step with that key."""
        self._database.execute(
            "INSERT OR IGNORE INTO step_output (key, release) VALUES (?, ?)",
            key,
            number,
        )

    def unmade(self, number: int, key: str) -> None:
        """Note that a release's outputs of a step are not as they were any more."""
        self._database.execute(
            "DELETE FROM step_output WHERE key = ? AND release = ?", key, number
        )

    def holding(self, key: str) -> list[Release]:
        """Return the ready releases that hold a step's outputs, newest first."""
        return self._select(
            "WHERE state = 'ready' AND number IN"
            " (SELECT release FROM step_output WHERE key = ?) ORDER BY number DESC",
            key,
        )

    def keys_of(self, number: int) -> list[str]:
        """Return the keys of the steps whose outputs a release holds."""
        sql = "SELECT key FROM step_output WHERE release = ?"
        return [row["key"] for row in self._database.rows(sql, number)]

    def on_disk(self) -> list[Release]:
        """Return the releases that have a directory, oldest first."""
        return self._select("WHERE state <> 'pruned' ORDER BY number")

    def made_here(self) -> list[Release]:
        """Return those of `on_disk` whose directory is ours, oldest first."""
        return self._select("WHERE state <> 'pruned' AND path IS NULL ORDER BY number")

    def preparing(self) -> list[Release]:
        """Return the releases that somebody prepares, or died preparing."""
        return self._select("WHERE state = 'preparing' ORDER BY number")

    def newest(self, limit: int) -> list[Release]:
        """Return the newest releases, pruned ones too, newest first."""
        return self._select("ORDER BY number DESC LIMIT ?", limit)

    def newest_ready(self, limit: int) -> list[Release]:
        """Return the newest releases that are ready and ours, newest first."""
        return self._select(
            "WHERE state = 'ready' AND state <> 'pruned' AND path IS NULL"
            " ORDER BY number DESC LIMIT ?",
            limit,
        )

    def skip_numbers(self, up_to: int) -> None:
        """Never give out a number that is `up_to` or lower."""
        with self._database.transaction():
            self._database.execute("DELETE FROM sqlite_sequence WHERE name = 'release'")
            self._database.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ('release', ?)",
                up_to,
            )

    def insert(self, release: Release) -> None:
        """Write a release as it is, number and all; for rebuilding a lost ledger."""
        self._database.execute(
            'INSERT INTO release (number, name, "commit", tree, content, state,'
            " created, ready, path) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            release.number,
            release.name,
            release.commit,
            release.tree,
            release.content,
            release.state,
            release.created,
            release.ready,
            release.path,
        )

    def _select(self, where: str, *values: object) -> list[Release]:
        rows = self._database.rows(f"SELECT * FROM release {where}", *values)  # noqa: S608 - `where` is ours
        return [_release(row) for row in rows]

    def _set(self, number: int, **columns: Any) -> None:  # noqa: ANN401 - what SQLite takes
        names = ", ".join(f"{name} = ?" for name in columns)
        self._database.execute(
            f"UPDATE release SET {names} WHERE number = ?",  # noqa: S608 - names are ours
            *columns.values(),
            number,
        )


def _release(row: sqlite3.Row) -> Release:
    columns = dict(row)
    return Release(**{**columns, "pinned": bool(columns["pinned"])})
