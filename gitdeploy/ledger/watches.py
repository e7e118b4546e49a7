"""The ledger's watches: which heads of chains are asked on after their verdict."""

from msgspec.structs import astuple

from gitdeploy.ledger.database import Database
from gitdeploy.model import ChainName, Watch

__all__ = ["Watches"]


class Watches:
    """The table `watch`; one for each chain at most."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, watch: Watch) -> None:
        """Watch the head of a chain, and no other release on it any more."""
        self._database.execute(
            "INSERT OR REPLACE INTO watch (chain, release, since, until)"
            " VALUES (?, ?, ?, ?)",
            *astuple(watch),
        )

    def end(self, chain: ChainName) -> None:
        """Watch a chain no more."""
        self._database.execute("DELETE FROM watch WHERE chain = ?", chain)

    def all(self) -> list[Watch]:
        """Return what is to be watched."""
        rows = self._database.rows("SELECT * FROM watch ORDER BY chain")
        return [Watch(**dict(row)) for row in rows]
