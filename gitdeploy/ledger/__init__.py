"""The ledger: one SQLite file, the only truth about an app."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.chain import Chain
from gitdeploy.ledger.chains import Chains, dumps, loads
from gitdeploy.ledger.database import way_out
from gitdeploy.ledger.deployments import Deployments
from gitdeploy.ledger.releases import Releases
from gitdeploy.ledger.schema import connect
from gitdeploy.ledger.watches import Watches
from gitdeploy.model import Freeze
from gitdeploy.system import clock

__all__ = ["Ledger", "dumps", "loads"]


class Ledger:
    """An open ledger.

    Attributes:
        releases: The releases.
        chains: The two chains.
        deployments: The events.
        watches: The heads that are asked on after their verdict.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._database = connect(path, create=create)
        self.releases = Releases(self._database)
        self.chains = Chains(self._database)
        self.deployments = Deployments(self._database)
        self.watches = Watches(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def damage(self) -> list[str]:
        """Return what is wrong with the file or what it holds; empty: nothing.

        Reads all of it.

        Raises:
            StateError: It is so damaged that it cannot be asked.
        """
        return self._database.damage()

    @property
    def way_out(self) -> str:
        """The command that replaces a damaged ledger."""
        return way_out(self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the body's changes one: all of them durably, or none."""
        with self._database.transaction():
            yield

    def change(self, deployment: int, chain: Chain, *, at: str, why: str) -> None:
        """Make `chain` the truth, together with the event that did it.

        A release that is on neither chain any more is marked with when and why.

        Changes: one transaction.
        """
        with self.transaction():
            self.rewrite(chain, at=at, why=why)
            self.deployments.changed(deployment)

    def condemn(
        self, deployment: int, why: str, *, release: int | None, at: str
    ) -> None:
        """Note that what a deployment shows does not work.

        Args:
            deployment: The event that shows it.
            why: What was wrong.
            release: The release it brought; None where it only went along its chain.
            at: When it was found.

        Changes: one transaction.
        """
        with self.transaction():
            self.deployments.condemn(deployment, why)
            if release is not None:
                self.releases.condemn(release, at=at, why=why)

    def rewrite(self, chain: Chain, *, at: str, why: str) -> None:
        """Make `chain` the truth, and mark what left both chains or came back.

        Changes: one transaction.
        """
        with self.transaction():
            before = self.chains.releases()
            self.chains.write(chain)
            after = self.chains.releases()
            self.releases.leave(before - after, at=at, why=why)
            self.releases.come_back(after - before)

    def setting(self, name: str) -> str | None:
        """Return what `set_setting` remembered; None where it was not called."""
        row = self._database.row("SELECT value FROM setting WHERE name = ?", name)
        return None if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        """Remember a setting."""
        if self.setting(name) == value:
            return
        self._database.execute(
            "INSERT INTO setting VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    @property
    def freeze(self) -> Freeze | None:
        """The lock a person put on the app; None where there is none any more."""
        row = self._database.row(
            'SELECT reason, "by", since, chain, until FROM freeze'
            " WHERE until IS NULL OR until > ?",
            clock.now(),
        )
        return None if row is None else Freeze(*row)

    def set_freeze(self, freeze: Freeze | None) -> None:
        """Put a person's lock on the app, or take it off."""
        with self.transaction():
            self._database.execute("DELETE FROM freeze")
            if freeze:
                self._database.execute(
                    "INSERT INTO freeze VALUES (1, ?, ?, ?, ?, ?)",
                    freeze.reason,
                    freeze.by,
                    freeze.since,
                    freeze.chain,
                    freeze.until,
                )
