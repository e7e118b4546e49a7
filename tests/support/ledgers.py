"""Ledgers as years of deployments leave them, and as an earlier version made them.

    PYTHONPATH=tests .venv/bin/python -m support.ledgers ROOT/APP/ledger.db

gives an app that is to be thrown away 5,000 releases and 50,000 deployments behind it.
"""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gitdeploy.deploy.app import App

VERSION_1 = """
CREATE TABLE setting (
    name TEXT PRIMARY KEY, value TEXT NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE release (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    "commit" TEXT, tree TEXT,
    content TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('preparing', 'ready', 'failed', 'pruned')),
    created TEXT NOT NULL, ready TEXT,
    path TEXT,
    left_at TEXT, left_why TEXT, failed_why TEXT,
    files INTEGER, size_bytes INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX release_by_content ON release (content, state);
CREATE INDEX release_by_state ON release (state);
CREATE TABLE chain (
    chain TEXT NOT NULL CHECK (chain IN ('dev', 'prod')),
    undo INTEGER NOT NULL, position INTEGER NOT NULL,
    release INTEGER NOT NULL REFERENCES release (number),
    "commit" TEXT, ref TEXT, since TEXT NOT NULL,
    PRIMARY KEY (chain, undo, position)
) WITHOUT ROWID, STRICT;
CREATE TABLE deployment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    chain TEXT, ref TEXT, old TEXT, new TEXT,
    release INTEGER REFERENCES release (number),
    from_release INTEGER REFERENCES release (number),
    state TEXT NOT NULL CHECK (state IN ('begun', 'intended', 'changed', 'ended')),
    verdict TEXT, reason TEXT, plan TEXT,
    "by" TEXT NOT NULL,
    started TEXT NOT NULL, seconds REAL, timings TEXT
) STRICT;
CREATE INDEX deployment_unfinished ON deployment (id) WHERE state <> 'ended';
CREATE INDEX deployment_by_ref ON deployment (ref, id);
CREATE TABLE step_output (
    key TEXT NOT NULL,
    release INTEGER NOT NULL REFERENCES release (number),
    PRIMARY KEY (key, release)
) WITHOUT ROWID, STRICT;
CREATE TABLE freeze (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reason TEXT NOT NULL, "by" TEXT NOT NULL, since TEXT NOT NULL
) STRICT;
PRAGMA journal_mode = WAL;
PRAGMA user_version = 1;
"""
"""The tables and indices of ledger version 1, word for word."""

_NUMBERS = (
    "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?)"
)

_RELEASES = f"""
{_NUMBERS} INSERT INTO release (name, "commit", tree, content, state, created)
SELECT n || '-20260101T000000Z-old', printf('%040x', n), printf('%040x', n),
       printf('%064x', n), 'pruned', '2026-01-01T00:00:00Z' FROM i
"""  # noqa: S608 - ours

_DEPLOYMENTS = f"""
{_NUMBERS} INSERT INTO deployment
(action, chain, ref, old, new, release, state, verdict, "by", started, seconds)
SELECT CASE n % 4 WHEN 0 THEN 'rollback' ELSE 'stage' END,
       'dev', 'refs/heads/main', printf('%040x', n - 1), printf('%040x', n),
       1 + n % ?, 'ended',
       CASE n % 7 WHEN 0 THEN 'refused' WHEN 1 THEN 'rolled back' ELSE 'deployed' END,
       'ada', '2026-01-01T00:00:00Z', 0.1 FROM i
"""  # noqa: S608 - ours


def with_a_past(path: Path, *, releases: int, deployments: int) -> None:
    """Let a ledger that exists have seen all that: pushes of main, all pruned since."""
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute(_RELEASES, (releases,))
        ledger.execute(_DEPLOYMENTS, (deployments, releases))


@contextmanager
def listening(app: App, told: Callable[[str], None]) -> Iterator[None]:
    """Tell every statement of SQL that the body lets an app's ledger execute."""
    connection = _connection(app)
    connection.set_trace_callback(told)
    yield
    connection.set_trace_callback(None)


@contextmanager
def counting(app: App, told: Callable[[], None]) -> Iterator[None]:
    """Tell every step of SQLite's machine: each row that is looked at costs some."""
    connection = _connection(app)
    connection.set_progress_handler(told, 1)
    yield
    connection.set_progress_handler(None, 1)


def plan(app: App, statement: str) -> list[str]:
    """Return how SQLite answers a question: `SCAN release`, `SEARCH … USING …`."""
    rows = _connection(app).execute(f"EXPLAIN QUERY PLAN {statement}")
    return [row["detail"] for row in rows]


def _connection(app: App) -> sqlite3.Connection:
    return app.ledger._database._connection  # noqa: SLF001 - nobody else needs it


if __name__ == "__main__":
    with_a_past(Path(sys.argv[1]), releases=5_000, deployments=50_000)
