"""The ledger's deployments: every event, from the intent to the verdict."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from gitdeploy.errors import StateError
from gitdeploy.ledger.database import Database
from gitdeploy.model import Certificate, ChainName, Deployment, RefUpdate, VerdictWord
from gitdeploy.states import DEPLOYMENT, next_state

__all__ = ["Deployments"]

_SELECT: Final = """
SELECT deployment.*, release.name AS release_name, (
    SELECT signer FROM certificate WHERE object = deployment.certificate
) AS certificate_signer
FROM deployment LEFT JOIN release ON release.number = deployment.release
"""

_REF_MOVED: Final = "verdict IN ('deployed', 'rolled back', 'unchanged', 'accepted')"
_CHAIN_MOVED: Final = "verdict IN ('deployed', 'rolled back', 'rolled forward')"

_SET_REF: Final = f"""
INSERT INTO ref SELECT ref, new FROM deployment
WHERE id = ? AND ref IS NOT NULL AND {_REF_MOVED}
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""  # noqa: S608 - ours
_DROP_REF: Final = f"""
DELETE FROM ref WHERE name = (
    SELECT ref FROM deployment
    WHERE id = ? AND new NOT GLOB '*[^0]*' AND {_REF_MOVED}
)
"""  # noqa: S608 - ours
_LISTING: Final = """
SELECT group_concat(line, '') AS listing FROM
(SELECT value || ' ' || name || char(10) AS line FROM ref ORDER BY name)
"""

_LATEST_FROM_TO: Final = f"""
SELECT id FROM deployment
WHERE ref = ? AND old = ? AND new = ? AND {_REF_MOVED} ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - ours
_LATEST_BACK: Final = f"""
SELECT id FROM deployment
WHERE ref = ? AND new = ? AND id > ? AND {_REF_MOVED} LIMIT 1
"""  # noqa: S608 - ours
_LATEST_TO: Final = f"""
SELECT id, old, {_REF_MOVED} AS accepted FROM deployment
WHERE ref = ? AND new = ? AND state = 'ended' AND id < ? ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - ours
_LAST_CHAIN: Final = f"""
SELECT chain FROM deployment
WHERE ref = ? AND chain IS NOT NULL AND {_REF_MOVED} ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - ours
_CERTIFY: Final = f"""
UPDATE deployment SET certificate = ? WHERE id = (
    SELECT id FROM deployment
    WHERE ref = ? AND new = ? AND old = ? AND "by" = ? AND {_REF_MOVED}
    ORDER BY id DESC LIMIT 1
)
"""  # noqa: S608 - ours
_LAST_ID: Final = 2**63 - 1


class Deployments:
    """The table `deployment`; rows are added and ended, never removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(  # noqa: PLR0913 - the columns of an event
        self,
        action: str,
        *,
        by: str,
        started: str,
        chain: ChainName | None = None,
        ref: str | None = None,
        old: str | None = None,
        new: str | None = None,
        key: str | None = None,
        overrode: str | None = None,
        signer: str | None = None,
    ) -> Deployment:
        """Return a new event that has begun."""
        id_ = self._database.execute(
            "INSERT INTO deployment"
            ' (action, chain, ref, old, new, "by", started, key, overrode, signer,'
            " state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'begun')",
            *(action, chain, ref, old, new, by, started, key, overrode, signer),
        )
        return self.get(id_)

    def intend(
        self, id_: int, *, release: int | None, from_release: int | None, plan: str
    ) -> None:
        """Write down what will happen, just before the ref moves.

        Args:
            id_: The event.
            release: What becomes the head.
            from_release: The head until then.
            plan: The chain as it shall be, in the ledger's own form.
        """
        self._advance(
            id_, "intend", plan=plan, release=release, from_release=from_release
        )

    def changed(self, id_: int) -> None:
        """Note, in the transaction that changes the chain, that it did."""
        self._advance(id_, "change")

    def condemn(self, id_: int, why: str) -> None:
        """Note that what an event shows does not work, and will not stay."""
        self._advance(id_, "condemn", reason=why)

    def withdrawn(self, id_: int, *, public_seconds: float) -> None:
        """Note for how long was shown what an event had condemned."""
        self._database.execute(
            "UPDATE deployment SET public_seconds = ? WHERE id = ?",
            round(public_seconds, 1),
            id_,
        )

    def end(
        self,
        id_: int,
        verdict: VerdictWord,
        *,
        reason: str = "",
        seconds: float | None = None,
        timings: Sequence[tuple[str, float]] = (),
        release: int | None = None,
    ) -> None:
        """Write the verdict; where it accepts, that is where its ref is by now.

        Changes: one transaction.

        Args:
            id_: The event.
            verdict: What the pusher is told.
            reason: Why, where the verdict is a no.
            seconds: How long all of it took; None where nobody knows.
            timings: Each stage of the work with its seconds.
            release: The release it was about, where none was intended.
        """
        with self._database.transaction():
            self._advance(
                id_,
                "end",
                verdict=verdict,
                reason=reason or None,
                plan=None,  # of use to nobody any more, and by far the largest
                seconds=seconds,
                timings=json.dumps(timings) if timings else None,
                **({} if release is None else {"release": release}),
            )
            self._database.execute(_SET_REF, id_)
            self._database.execute(_DROP_REF, id_)

    def certify(
        self,
        updates: Sequence[RefUpdate],
        certificate: Certificate,
        text: str,
        *,
        by: str,
    ) -> None:
        """Write down the certificate with which somebody pushed some updates.

        Changes: one transaction. Safe to repeat.

        Args:
            updates: Those of the push that were accepted.
            certificate: Which, and whose.
            text: All of it, so that it can be verified again.
            by: Who pushed.
        """
        object_, signer = certificate.object, certificate.signer
        rows = [(object_, u.ref, u.new, u.old, by) for u in updates]
        with self._database.transaction():
            self._database.execute(
                "INSERT INTO certificate VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                object_,
                signer,
                text,
            )
            self._database.execute_all(_CERTIFY, rows)

    def get(self, id_: int) -> Deployment:
        """Return the event with that id, which exists."""
        (deployment,) = self._select("WHERE id = ?", id_)
        return deployment

    def plan(self, id_: int) -> str | None:
        """Return what `intend` wrote down."""
        row = self._database.row("SELECT plan FROM deployment WHERE id = ?", id_)
        return None if row is None else row["plan"]

    def unfinished(self) -> list[Deployment]:
        """Return the events without a verdict, oldest first."""
        return self._select("WHERE deployment.state <> 'ended' ORDER BY id")

    def history(self, limit: int) -> list[Deployment]:
        """Return the latest events, newest first."""
        return self._select("ORDER BY id DESC LIMIT ?", limit)

    def after(self, id_: int) -> list[Deployment]:
        """Return the events after one, oldest first."""
        return self._select("WHERE id > ? ORDER BY id", id_)

    def latest_on(self, chain: ChainName) -> Deployment | None:
        """Return the event that last changed a chain."""
        found = self._select(
            f"WHERE deployment.chain = ? AND {_CHAIN_MOVED} ORDER BY id DESC LIMIT 1",
            chain,
        )
        return found[0] if found else None

    def latest_of(self, ref: str) -> Deployment | None:
        """Return the latest event of a ref, whatever came of it."""
        found = self._select("WHERE ref = ? ORDER BY id DESC LIMIT 1", ref)
        return found[0] if found else None

    def last_chain(self, ref: str) -> ChainName | None:
        """Return the chain that a ref last deployed to; None: it never did."""
        row = self._database.row(_LAST_CHAIN, ref)
        return None if row is None else row["chain"]

    def latest_about(self, release: int) -> Deployment | None:
        """Return the latest event with a verdict that was about a release."""
        found = self._select(
            "WHERE release = ? AND deployment.state = 'ended' ORDER BY id DESC LIMIT 1",
            release,
        )
        return found[0] if found else None

    def made_head(self, chain: ChainName, release: int) -> Deployment | None:
        """Return the event that last made a release the head of a chain."""
        found = self._select(
            f"WHERE release = ? AND deployment.chain = ? AND {_CHAIN_MOVED}"
            " ORDER BY id DESC LIMIT 1",
            release,
            chain,
        )
        return found[0] if found else None

    def judged(self, update: RefUpdate) -> bool:
        """Return whether an event accepted an update, and its ref was not back since.

        Another push may have moved the ref on meanwhile; that takes nothing back.
        """
        ref, old, new = update.ref, update.old, update.new
        accepted = self._database.row(_LATEST_FROM_TO, ref, old, new)
        if accepted is None:
            return False
        back = self._database.row(_LATEST_BACK, ref, old, accepted["id"])
        return back is None or old == new

    def value_before(self, update: RefUpdate) -> str:
        """Return what a ref shall hold again where an update of it is declined.

        That is what it held before; but where git had let the update come on top of
        others that were declined in the end, what it held before those.
        """
        value, id_ = update.old, _LAST_ID
        while row := self._database.row(_LATEST_TO, update.ref, value, id_):
            if row["accepted"]:
                break
            value, id_ = str(row["old"]), row["id"]
        return value

    def last_values(self) -> dict[str, str]:
        """Return for every ref the value that the latest accepted event gave it.

        A ref that was deleted is not among them.
        """
        rows = self._database.rows("SELECT name, value FROM ref")
        return {row["name"]: row["value"] for row in rows}

    def last_listing(self) -> str:
        """Return `last_values` as git lists refs: lines of value and name, by name."""
        row = self._database.row(_LISTING)
        assert row is not None
        return row["listing"] or ""

    def _select(self, where: str, *values: object) -> list[Deployment]:
        rows = self._database.rows(f"{_SELECT} {where}", *values)
        return [_deployment(row) for row in rows]

    def _advance(self, id_: int, event: str, **columns: object) -> None:
        row = self._database.row("SELECT state FROM deployment WHERE id = ?", id_)
        if row is None:
            raise StateError(f"the ledger has no deployment {id_}")
        columns["state"] = next_state(DEPLOYMENT, row["state"], event)
        names = ", ".join(f"{name} = ?" for name in columns)
        self._database.execute(
            f"UPDATE deployment SET {names} WHERE id = ?",  # noqa: S608 - names are ours
            *columns.values(),
            id_,
        )


def _deployment(row: sqlite3.Row) -> Deployment:
    columns = dict(row)
    del columns["plan"]
    object_, signer = columns.pop("certificate"), columns.pop("certificate_signer")
    certificate = Certificate(object_, signer) if object_ else None
    return Deployment(**columns, certificate=certificate)
