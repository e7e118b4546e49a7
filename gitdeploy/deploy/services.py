"""The services of a chain run its live release: after each flip, and on request."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

from gitdeploy.config import Service
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.still_wanted import check_not_cancelled
from gitdeploy.deploy.workplace import environment_of, mask_of
from gitdeploy.errors import ReleaseFailed
from gitdeploy.model import CHAINS, ChainName, Release
from gitdeploy.services import (
    SLOTS,
    Description,
    Launch,
    NotReady,
    Supervisor,
    Systemd,
    bring_up,
    release_of,
    systemd_runs,
)
from gitdeploy.system.clock import Stopwatch

__all__ = [
    "ServiceState",
    "SlotState",
    "install_services",
    "restart_services",
    "service_states",
    "uninstall_services",
]

AnyKeeper: TypeAlias = Systemd | Supervisor

_WANTED: Final = "services"
"""The setting that says that somebody installed them: new ones are, by the flip."""


def restart_services(
    app: App,
    wanted: Wanted,
    report: Report,
    *,
    anew: bool = False,
    running: Stopwatch | None = None,
) -> None:
    """Make a chain's services run the release that is live on it now.

    A service that runs it already is left alone. The new generation is started and
    gets ready on the same socket before the earlier one is told to stop; where it
    does not, the earlier one goes on serving.

    Args:
        app: The app, whose lock is held; the links show the chain.
        wanted: What the head of the chain was made of.
        report: Told one line for each service, and what a failing one printed.
        anew: Whether they are started anew where they run that release already.
        running: Since when they get ready already; None: since now.

    Raises:
        ReleaseFailed: A service did not get ready.
        SystemFailed: Its supervisor does not do what it is told.

    Changes: the services' scripts and processes. Safe to repeat.
    """
    head = app.ledger.chains.read(wanted.chain).head
    services = wanted.config.services_for(wanted.chain)
    if not (head and services):
        return
    release = app.ledger.releases.get(head.release)
    missing: list[str] = []
    already_s = running.seconds if running else 0.0
    for service in services:
        keeper = _keeper(app, wanted.chain, service)
        if not (keeper.installed or app.ledger.setting(_WANTED)):
            missing.append(service.name)
            continue
        if not (keeper.alive and keeper.listens_as_described):
            keeper.install()
        launch = _launch(app, release, wanted, service)
        _restart(app, keeper, launch, report, anew=anew, running=Stopwatch(already_s))
    if missing:
        report.line("services", f"not installed: gitdeploy service install {app.name}")


def _restart(
    app: App,
    keeper: AnyKeeper,
    launch: Launch,
    report: Report,
    *,
    anew: bool,
    running: Stopwatch,
) -> None:
    service = keeper.description.service
    watch = Stopwatch()
    try:
        started = bring_up(
            keeper,
            keeper.description,
            launch,
            anew=anew,
            check=lambda: check_not_cancelled(app),
            running=running,
        )
    except NotReady as error:
        mask = mask_of(Path(launch.environment["GITDEPLOY_SHARED_DIR"]))
        for line in error.tail:
            report.output(mask(line))
        failed = ReleaseFailed(
            f"service {service.name} failed: {mask(error.message)}",
            hint=f"gitdeploy service status {app.name}",
        )
        raise failed from error
    if started:
        where = keeper.description.listen
        report.line("service", f"{service.name} at {where}", watch.seconds)
    if not keeper.as_described:
        report.line("service", f"{service.name}: [[services]] changed; its settings")
        report.line("", f"hold after  gitdeploy service install {app.name}")


def install_services(app: App, report: Report) -> list[str]:
    """Start what the live releases describe; what runs well is left alone.

    Returns:
        The names of the services, `prod-web`, that are installed now.

    Raises:
        ConfigError: A service cannot be as it is described.
        ReleaseFailed: A service did not get ready.
        SystemFailed: The supervisor is missing, or an address is taken.

    Changes: files in ROOT/APP/run, then processes. Safe to repeat.
    """
    installed: list[str] = []
    app.ledger.set_setting(_WANTED, "yes")
    for chain in CHAINS:
        wanted = what_is_live(app, chain)
        if wanted is None:
            continue
        for service in wanted.config.services_for(chain):
            keeper = _keeper(app, chain, service)
            keeper.install()
            installed.append(keeper.description.name)
        restart_services(app, wanted, report)
    return installed


def uninstall_services(app: App) -> list[str]:
    """Stop the services of all chains and forget them; return their names.

    Changes: processes, then files in ROOT/APP/run. Safe to repeat.
    """
    app.ledger.set_setting(_WANTED, "")
    found = [keeper for keeper in _keepers(app) if keeper.installed]
    for keeper in found:
        keeper.uninstall()
    return [keeper.description.name for keeper in found]


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

    @property
    def trouble(self) -> str:
        """What is wrong, one sentence; empty where nothing is."""
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
        return ""


def service_states(app: App) -> list[ServiceState]:
    """Return what is known of each service that a live release describes."""
    return [_state(app, keeper) for keeper in _keepers(app)]


def _state(app: App, keeper: AnyKeeper) -> ServiceState:
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
    )


def _keepers(app: App) -> Iterator[AnyKeeper]:
    for chain in CHAINS:
        wanted = what_is_live(app, chain)
        services = wanted.config.services_for(chain) if wanted else ()
        for service in services:
            yield _keeper(app, chain, service)


def _keeper(app: App, chain: ChainName, service: Service) -> AnyKeeper:
    """Return who keeps a service; once it is installed, that stays."""
    description = Description(app.name, chain, service, app.layout.run)
    env = app.surroundings.environment()
    systemd, supervisor = Systemd(description, env), Supervisor(description, env)
    if systemd.installed or (not supervisor.installed and systemd_runs(env)):
        return systemd
    return supervisor


def _launch(app: App, release: Release, wanted: Wanted, service: Service) -> Launch:
    directory = Path(os.path.realpath(app.directory(release)))
    environment = {
        **environment_of(app, release, wanted),
        "GITDEPLOY_SERVICE": service.name,
    }
    return Launch(release.name, directory, service.run, environment)
