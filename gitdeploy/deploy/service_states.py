"""What there is to know of an app's services: described, started, and what is wrong."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.deploy.app import App
from gitdeploy.deploy.kept import Kept, kept, unrecorded
from gitdeploy.deploy.listening import why_not_listen
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.deploy.services import AnyKeeper, keeper_of
from gitdeploy.model import CHAINS, ChainName
from gitdeploy.services import SLOTS, release_of, supervisors_of

__all__ = ["ServiceState", "SlotState", "service_states", "stray_supervisors"]


class SlotState(Struct, frozen=True):
    """What there is to know of a slot that is not stopped."""

    number: int
    state: str
    """starting, running, stopping or failed."""
    release: str
    """The name of the release it runs or ran."""
    pid: int
    """Its process; 0 for none."""


class ServiceState(Struct, frozen=True):
    """What there is to know of one service of one chain."""

    name: str
    chain: ChainName
    listen: str
    installed: bool
    socket: bool
    """Whether the supervisor has the socket open."""
    slots: tuple[SlotState, ...]
    """Those that are not stopped."""
    live: str
    """The release that is live on the chain."""
    described: bool = True
    """Whether what is live describes it."""
    objection: str = ""
    """Why it may not listen where it does; empty where it may."""

    @property
    def trouble(self) -> str:
        """What is wrong, one sentence; empty where nothing is."""
        if not self.described:
            return "runs on, and what is live does not describe it"
        if not self.installed:
            return "not installed"
        if not self.socket:
            return "its supervisor is gone, and its socket closed"
        works = ("starting", "running")
        running = [slot.release for slot in self.slots if slot.state in works]
        if not running:
            return "nothing runs"
        if self.live not in running:
            return f"runs {running[0]}, but {self.live} is live"
        return self.objection


def service_states(app: App) -> list[ServiceState]:
    """Return what is known of each service that is described, or was started."""
    described: set[tuple[ChainName, str]] = set()
    found: list[ServiceState] = []
    for keeper in _described(app):
        service, chain = keeper.description.service, keeper.description.chain
        described.add((chain, service.name))
        found.append(_state(app, keeper, why_not_listen(app, chain, service)[0]))
    started = (*kept(app), *unrecorded(app))
    strays = [one for one in started if (one.chain, one.name) not in described]
    return [*found, *(_stray(app, one) for one in strays)]


def stray_supervisors(app: App) -> dict[str, list[int]]:
    """Return supervisords of the app whose service nobody knows, by configuration."""
    started = (*kept(app), *unrecorded(app))
    known = {
        str(app.layout.run / f"{one.description(app).name}.conf") for one in started
    }
    ours = supervisors_of(app.layout.run)
    return {conf: pids for conf, pids in ours.items() if conf not in known}


def _described(app: App) -> Iterator[AnyKeeper]:
    for chain in CHAINS:
        wanted = what_is_live(app, chain)
        for service in wanted.config.services_for(chain) if wanted else ():
            yield keeper_of(app, chain, service)


def _stray(app: App, one: Kept) -> ServiceState:
    state = _state(app, keeper_of(app, one.chain, one.description(app).service))
    return replace(state, described=False)


def _state(app: App, keeper: AnyKeeper, objection: str = "") -> ServiceState:
    description = keeper.description
    head = app.ledger.chains.read(description.chain).head
    alive = keeper.installed and keeper.alive
    slots = [
        SlotState(slot, state, release_of(description, slot), keeper.pid(slot))
        for slot in (SLOTS if alive else ())
        if (state := keeper.state(slot)) != "stopped"
    ]
    return ServiceState(
        description.service.name,
        description.chain,
        description.listen,
        keeper.installed,
        alive,
        tuple(slots),
        app.ledger.releases.get(head.release).name if head else "",
        objection=objection,
    )
