"""The ledger's tables, and how the file is opened.

No question of a push, of `status` or of prune may read all that ever happened: each
has its index here, and tests/test_growth.py asks SQLite whether it is used.
"""

import os
from pathlib import Path
from typing import Final

from gitdeploy.errors import StateError
from gitdeploy.ledger.database import Database, way_out
from gitdeploy.system import files

__all__ = [
    "FROM_VERSION_1",
    "FROM_VERSION_2",
    "FROM_VERSION_3",
    "FROM_VERSION_4",
    "INDICES",
    "VERSION",
    "connect",
]

VERSION: Final = 5

_DEPLOYMENT: Final = """
CREATE TABLE deployment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    chain TEXT, ref TEXT, old TEXT, new TEXT,
    release INTEGER REFERENCES release (number),
    from_release INTEGER REFERENCES release (number),
    state TEXT NOT NULL CHECK (
        state IN ('begun', 'intended', 'changed', 'condemned', 'ended')
    ),
    verdict TEXT, reason TEXT, plan TEXT,
    "by" TEXT NOT NULL,
    started TEXT NOT NULL, seconds REAL, timings TEXT,
    public_seconds REAL,
    key TEXT, overrode TEXT,
    signer TEXT, certificate TEXT
) STRICT;
"""

_CERTIFICATE: Final = """
-- What pushers signed, whole; `object` is its id, which no git keeps.
CREATE TABLE certificate (
    object TEXT PRIMARY KEY, signer TEXT NOT NULL, text TEXT NOT NULL
) WITHOUT ROWID, STRICT;
"""

_HEALTH: Final = """
-- The checks that a release passed; see deploy/checks.py.
CREATE TABLE check_passed (
    release INTEGER NOT NULL REFERENCES release (number),
    key TEXT NOT NULL,
    PRIMARY KEY (release, key)
) WITHOUT ROWID, STRICT;

-- Who is asked on after the verdict; see deploy/watch.py.
CREATE TABLE watch (
    chain TEXT PRIMARY KEY,
    release INTEGER NOT NULL REFERENCES release (number),
    since TEXT NOT NULL, until TEXT NOT NULL
) WITHOUT ROWID, STRICT;
"""

_TABLES: Final = f"""
CREATE TABLE setting (
    name TEXT PRIMARY KEY, value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE release (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used twice
    name TEXT NOT NULL UNIQUE,
    "commit" TEXT, tree TEXT,
    content TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('preparing', 'ready', 'failed', 'pruned')),
    created TEXT NOT NULL, ready TEXT,
    path TEXT,
    left_at TEXT, left_why TEXT, failed_why TEXT,
    files INTEGER, size_bytes INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0,
    bad_at TEXT, bad_why TEXT
) STRICT;
-- undo = 0: the chain itself; undo = n: what the n-th latest roll back took off it.
CREATE TABLE chain (
    chain TEXT NOT NULL CHECK (chain IN ('dev', 'prod')),
    undo INTEGER NOT NULL, position INTEGER NOT NULL,
    release INTEGER NOT NULL REFERENCES release (number),
    "commit" TEXT, ref TEXT, since TEXT NOT NULL,
    PRIMARY KEY (chain, undo, position)
) WITHOUT ROWID, STRICT;

{_DEPLOYMENT}
-- A step with stated inputs and outputs that ran in a release; see deploy/reuse.py.
CREATE TABLE step_output (
    key TEXT NOT NULL,
    release INTEGER NOT NULL REFERENCES release (number),
    PRIMARY KEY (key, release)
) WITHOUT ROWID, STRICT;

CREATE TABLE freeze (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    reason TEXT NOT NULL, "by" TEXT NOT NULL, since TEXT NOT NULL,
    chain TEXT, until TEXT
) STRICT;

-- Where the latest accepted event of each ref left it; a deleted ref has no row.
CREATE TABLE ref (
    name TEXT PRIMARY KEY, value TEXT NOT NULL
) WITHOUT ROWID, STRICT;
{_HEALTH}{_CERTIFICATE}"""

INDICES: Final = """
CREATE INDEX release_by_content ON release (content, state);
CREATE INDEX release_preparing ON release (number) WHERE state = 'preparing';
CREATE INDEX release_to_keep_or_prune ON release (number)
    WHERE state <> 'pruned' AND path IS NULL;
CREATE INDEX deployment_unfinished ON deployment (id) WHERE state <> 'ended';
CREATE INDEX deployment_by_ref ON deployment (ref, id);
CREATE INDEX deployment_by_value ON deployment (ref, new, id);
CREATE INDEX deployment_by_release ON deployment (release, id);
CREATE INDEX deployment_of_chain ON deployment (chain, id)
    WHERE verdict IN ('deployed', 'rolled back', 'rolled forward');
CREATE INDEX step_output_by_release ON step_output (release);
"""

FROM_VERSION_1: Final = """
DROP INDEX release_by_content;
DROP INDEX release_by_state;
DROP INDEX deployment_unfinished;
DROP INDEX deployment_by_ref;

CREATE TABLE ref (
    name TEXT PRIMARY KEY, value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

INSERT INTO ref SELECT ref, new FROM (
    SELECT ref, new, max(id) FROM deployment
    WHERE ref IS NOT NULL
        AND verdict IN ('deployed', 'rolled back', 'unchanged', 'accepted')
    GROUP BY ref
) WHERE new GLOB '*[^0]*';

UPDATE deployment SET plan = NULL WHERE state = 'ended' AND plan IS NOT NULL;

DELETE FROM step_output
WHERE release IN (SELECT number FROM release WHERE state = 'pruned');
"""

FROM_VERSION_2: Final = f"""
DROP INDEX IF EXISTS release_by_content;
DROP INDEX IF EXISTS release_preparing;
DROP INDEX IF EXISTS release_to_keep_or_prune;
DROP INDEX IF EXISTS step_output_by_release;
ALTER TABLE release ADD COLUMN bad_at TEXT;
ALTER TABLE release ADD COLUMN bad_why TEXT;
ALTER TABLE deployment RENAME TO deployment_before;
{_DEPLOYMENT}INSERT INTO deployment
    SELECT *, NULL, NULL, NULL, NULL, NULL FROM deployment_before;
DROP TABLE deployment_before;
{_HEALTH}
"""  # noqa: S608 - ours

_LOCK_OF_A_CHAIN: Final = """
ALTER TABLE freeze ADD COLUMN chain TEXT;
ALTER TABLE freeze ADD COLUMN until TEXT;
"""

# What the deployments' own new columns are not: they were copied into the new table.
_SINCE_VERSION_2: Final = f"{_LOCK_OF_A_CHAIN}{_CERTIFICATE}"

FROM_VERSION_3: Final = f"""
ALTER TABLE deployment ADD COLUMN key TEXT;
ALTER TABLE deployment ADD COLUMN overrode TEXT;
{_LOCK_OF_A_CHAIN}"""

FROM_VERSION_4: Final = f"""
ALTER TABLE deployment ADD COLUMN signer TEXT;
ALTER TABLE deployment ADD COLUMN certificate TEXT;
{_CERTIFICATE}"""


def connect(path: Path, *, create: bool) -> Database:
    """Return the open ledger; transactions are opened explicitly.

    Raises:
        StateError: The file is missing or empty (and not to be created), damaged, or
            newer.
        SystemFailed: It cannot be opened.
    """
    if not create and not path.exists():
        raise StateError(
            f"{path}: the ledger is missing",
            hint=f"gitdeploy repair --from-links {path.parent.name}",
        )
    if create:  # what SQLite makes beside it, it gives the same permissions
        os.close(files.open_to_hold(path))
    database = Database(path)
    try:
        _make_ready(database, create=create)
    except BaseException:
        database.close()
        raise
    return database


def _make_ready(database: Database, *, create: bool) -> None:
    database.execute("PRAGMA synchronous = FULL")
    database.execute("PRAGMA foreign_keys = ON")
    if create:
        database.execute("PRAGMA journal_mode = WAL")
    version = _version(database)
    if version == 0 and not create:  # as it is after a disk that lost it
        hint = way_out(database.path)
        raise StateError(f"{database.path}: the ledger is empty", hint=hint)
    if version != VERSION:
        with database.transaction():
            _bring_up_to_date(database)


def _version(database: Database) -> int:
    (row,) = database.rows("PRAGMA user_version")
    return int(row[0])


def _bring_up_to_date(database: Database) -> None:
    """Make the tables what they are now; another process may just have done so."""
    version = _version(database)
    if version > VERSION:
        raise StateError(
            f"{database.path}: written by a newer gitdeploy (ledger version {version})",
            hint="upgrade gitdeploy on this server",
        )
    if version < VERSION:
        for statement in _way_from(version).split(";\n"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _way_from(version: int) -> str:
    return {
        0: f"{_TABLES}{INDICES}",
        1: f"{FROM_VERSION_1}{FROM_VERSION_2}{_SINCE_VERSION_2}{INDICES}",
        2: f"{FROM_VERSION_2}{_SINCE_VERSION_2}{INDICES}",
        3: f"{FROM_VERSION_3}{FROM_VERSION_4}",
        4: FROM_VERSION_4,
    }[version]
