"""The ledger's chains: what is live, what was live, what a roll back took off."""

import json
import sqlite3
from itertools import groupby
from typing import Any

from msgspec.structs import astuple

from gitdeploy.chain import Chain
from gitdeploy.ledger.database import Database
from gitdeploy.model import ChainName, Entry

__all__ = ["Chains", "dumps", "loads"]


class Chains:
    """The table `chain`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, name: ChainName) -> Chain:
        """Return a chain as it is."""
        rows = self._database.rows(
            "SELECT * FROM chain WHERE chain = ? ORDER BY undo, position", name
        )
        lists = {
            undo: tuple(map(_entry, group))
            for undo, group in groupby(rows, key=lambda row: row["undo"])
        }
        entries = lists.pop(0, ())
        return Chain(name, entries, tuple(lists.values()))

    def first(self, name: ChainName, number: int) -> tuple[Entry, ...]:
        """Return the first entries of a chain, head first, fewer where it is short."""
        rows = self._database.rows(
            "SELECT * FROM chain WHERE chain = ? AND undo = 0 AND position <= ?"
            " ORDER BY position",
            name,
            number,
        )
        return tuple(map(_entry, rows))

    def releases(self) -> set[int]:
        """Return the numbers of the releases that stand on a chain."""
        rows = self._database.rows("SELECT release FROM chain WHERE undo = 0")
        return {row["release"] for row in rows}

    def write(self, chain: Chain) -> None:
        """Replace a chain, all of it in one transaction."""
        rows = [
            (chain.name, undo, position, *astuple(entry))
            for undo, entries in enumerate((chain.entries, *chain.undone))
            for position, entry in enumerate(entries, start=1)
        ]
        with self._database.transaction():
            self._database.execute("DELETE FROM chain WHERE chain = ?", chain.name)
            self._database.execute_all(
                "INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(row["release"], row["commit"], row["ref"], row["since"])


def dumps(before: Chain, after: Chain) -> str:
    """Return what an intent has to remember as text: a chain, and what it shall be."""
    return json.dumps([_plain(before), _plain(after)])


def loads(text: str) -> tuple[Chain, Chain]:
    """Return the chains that `dumps` wrote."""
    before, after = json.loads(text)
    return _chain(before), _chain(after)


def _plain(chain: Chain) -> dict[str, Any]:
    groups = [[astuple(entry) for entry in group] for group in chain.undone]
    entries = [astuple(entry) for entry in chain.entries]
    return {"chain": chain.name, "entries": entries, "undone": groups}


def _chain(plan: dict[str, Any]) -> Chain:
    return Chain(
        plan["chain"],
        tuple(Entry(*entry) for entry in plan["entries"]),
        tuple(tuple(Entry(*entry) for entry in group) for group in plan["undone"]),
    )
