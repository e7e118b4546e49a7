"""The services of an app that were started, as the ledger remembers them.

What deploy.toml of a live release describes may change with every flip; what runs is
here from the moment before it is started until it has ended.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from gitdeploy.config import Seconds, Service
from gitdeploy.config.services import Address, ServiceName
from gitdeploy.deploy.app import SERVICES_KEPT, App
from gitdeploy.model import ChainName
from gitdeploy.services import Description, Found, Kind, Made, found_by, units_of

__all__ = ["Kept", "forget", "kept", "remember", "unrecorded"]


class Kept(msgspec.Struct, frozen=True):
    """One service of one chain that was started and not stopped for good."""

    chain: ChainName
    name: str
    listen: str
    """An IP address and a port, or the absolute path of a unix socket."""
    kind: Kind
    """Who keeps it."""
    stop_timeout_s: float
    made: Made | None = None
    """The socket that was made; None: not yet, or it listens at a port."""

    def description(self, app: App) -> Description:
        """Return it as far as it takes to stop it."""
        service = Service(
            name=ServiceName(self.name),
            run="true",
            listen=Address(self.listen),
            stop_timeout_s=Seconds(self.stop_timeout_s),
        )
        return Description(app.name, self.chain, service, app.layout.run)

    @property
    def socket(self) -> Path | None:
        """The path of its unix socket; None: it listens at a port."""
        return Path(self.listen) if self.listen.startswith("/") else None


def kept(app: App) -> list[Kept]:
    """Return what was started; what an earlier gitdeploy started is found by its files.

    Raises:
        SystemFailed: The ledger cannot be read.
    """
    said = app.ledger.setting(SERVICES_KEPT)
    if said is None:
        return list(map(_as_kept, _found(app)))
    return msgspec.json.decode(said, type=list[Kept])


def remember(app: App, one: Kept) -> None:
    """Write down that a service is about to be started, or which socket it has.

    Changes: the ledger. Safe to repeat.
    """
    with app.ledger.transaction():  # the lock may be lent: both chains may do so
        _write(app, [*_others(app, one.chain, one.name), one])


def forget(app: App, chain: ChainName, name: str) -> None:
    """Write down that a service has ended.

    Changes: the ledger. Safe to repeat.
    """
    with app.ledger.transaction():
        _write(app, _others(app, chain, name))


def unrecorded(app: App) -> list[Kept]:
    """Return what has files and was not written down."""
    known = {(one.chain, one.name) for one in kept(app)}
    found = map(_as_kept, _found(app))
    return [one for one in found if (one.chain, one.name) not in known]


def _found(app: App) -> Iterable[Found]:
    env = app.surroundings.environment()
    return found_by(app.name, app.layout.run, units_of(env))


def _as_kept(one: Found) -> Kept:
    return Kept(one.chain, one.name, one.listen, one.kind, one.stop_timeout_s)


def _others(app: App, chain: ChainName, name: str) -> list[Kept]:
    return [one for one in kept(app) if (one.chain, one.name) != (chain, name)]


def _write(app: App, all_of_them: list[Kept]) -> None:
    app.ledger.set_setting(SERVICES_KEPT, msgspec.json.encode(all_of_them).decode())
