"""The services of a chain run its live release: after each flip, and on request.

Each is written down (`kept`) before it is started and forgotten when it has ended, and
whatever stops services goes by that, not by what some deploy.toml describes.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace

from gitdeploy.config import Service
from gitdeploy.deploy.app import SERVICES_INSTALLED, App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.kept import Kept, forget, kept, remember, unrecorded
from gitdeploy.deploy.listening import in_the_way, why_not_listen
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.still_wanted import check_not_cancelled
from gitdeploy.deploy.workplace import environment_of, mask_of
from gitdeploy.errors import GitdeployError, ReleaseFailed
from gitdeploy.ground import Ground
from gitdeploy.model import CHAINS, ChainName, Release
from gitdeploy.services import (
    Description,
    Launch,
    NotReady,
    Supervisor,
    Systemd,
    bring_up,
    check_free,
    made_at,
    remove_socket,
    systemd_runs,
)
from gitdeploy.system.clock import Stopwatch

__all__ = [
    "AnyKeeper",
    "install_services",
    "keeper_of",
    "restart_services",
    "stop_services",
    "uninstall_services",
]

AnyKeeper: TypeAlias = Systemd | Supervisor


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
    does not, the earlier one goes on serving. One that is no more described goes on
    as well, unless it is in the way: see `stop_services`.

    Args:
        app: The app, whose lock is held; the links show the chain.
        wanted: What the head of the chain was made of.
        report: Told one line for each service, and what a failing one printed.
        anew: Whether they are started anew where they run that release already.
        running: Since when they get ready already; None: since now.

    Raises:
        ReleaseFailed: A service did not get ready, or may not listen where it would.
        SystemFailed: Its supervisor does not do what it is told.

    Changes: what is kept, then the services' scripts and processes. Safe to repeat.
    """
    head = app.ledger.chains.read(wanted.chain).head
    services = wanted.config.services_for(wanted.chain)
    if not (head and services):
        return
    release = app.ledger.releases.get(head.release)
    everything = bool(app.ledger.setting(SERVICES_INSTALLED))
    keepers = {one.name: keeper_of(app, wanted.chain, one) for one in services}
    starting = [one for one in services if everything or keepers[one.name].installed]
    for service in starting:
        _check_listens(app, wanted.chain, service)
    _stop(app, in_the_way(app, wanted.chain, tuple(starting)), report)
    already_s = running.seconds if running else 0.0
    for service in starting:
        keeper = keepers[service.name]
        if not (keeper.alive and keeper.listens_as_described):
            _install(app, keeper)
        launch = _launch(app, release, wanted, service)
        shared = app.shared_of(wanted.config.shared.scope, wanted.chain)
        left = Stopwatch(already_s)
        _restart(app, keeper, launch, report, shared=shared, anew=anew, running=left)
    if len(starting) < len(services):
        report.line("services", f"not installed: gitdeploy service install {app.name}")


def _check_listens(app: App, chain: ChainName, service: Service) -> None:
    why, hint = why_not_listen(app, chain, service)
    if why:
        raise ReleaseFailed(f"service {service.name}: {why}", hint=hint)


def _restart(  # noqa: PLR0913 - what is started, and what tells of it
    app: App,
    keeper: AnyKeeper,
    launch: Launch,
    report: Report,
    *,
    shared: Ground,
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
        mask = mask_of(shared)
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
    """Start what the live releases describe, and stop what they do not.

    What runs well is left alone.

    Returns:
        The names of the services, `prod-web`, that are installed now.

    Raises:
        ConfigError: A service cannot be as it is described.
        ReleaseFailed: A service did not get ready, or may not listen where it would.
        SystemFailed: The supervisor is missing, or an address is taken.

    Changes: what is kept, files in ROOT/APP/run, then processes. Safe to repeat.
    """
    installed: list[str] = []
    failed: list[GitdeployError] = []
    app.ledger.set_setting(SERVICES_INSTALLED, "yes")
    for chain in reversed(CHAINS):  # prod takes what is prod's
        try:
            installed += _install_all(app, chain, report)
        except GitdeployError as error:  # of one chain: the other has its own
            failed.append(error)
    if failed:
        raise failed[0]
    _stop(app, unrecorded(app), report)
    return installed


def _install_all(app: App, chain: ChainName, report: Report) -> list[str]:
    wanted = what_is_live(app, chain)
    services = wanted.config.services_for(chain) if wanted else ()
    for service in services:
        _check_listens(app, chain, service)
    _stop(app, in_the_way(app, chain, services), report)
    installed: list[str] = []
    for service in services:
        keeper = keeper_of(app, chain, service)
        _install(app, keeper)
        installed.append(keeper.description.name)
    if wanted:
        restart_services(app, wanted, report)
    stop_services(app, chain, services, report)
    return installed


def stop_services(
    app: App, chain: ChainName, but: Sequence[Service], report: Report
) -> None:
    """Stop and forget what was started for a chain and is not described any more.

    Args:
        app: The app, whose lock is held.
        chain: The chain.
        but: The services that what is live describes.
        report: Told one line for each.

    Changes: processes, files in ROOT/APP/run, then what is kept. Safe to repeat.
    """
    described = {service.name for service in but}
    started = [one for one in kept(app) if one.chain == chain]
    _stop(app, [one for one in started if one.name not in described], report)


def uninstall_services(app: App) -> list[str]:
    """Stop all that was ever started and forget it; return the names.

    Changes: processes, files in ROOT/APP/run, then what is kept. Safe to repeat.
    """
    app.ledger.set_setting(SERVICES_INSTALLED, "")
    found = [*kept(app), *unrecorded(app)]
    _stop(app, found, None)
    return [one.description(app).name for one in found]


def keeper_of(app: App, chain: ChainName, service: Service) -> AnyKeeper:
    """Return who keeps a service; once it is installed, that stays."""
    description = Description(app.name, chain, service, app.layout.run)
    env = app.surroundings.environment()
    systemd, supervisor = Systemd(description, env), Supervisor(description, env)
    if systemd.installed or (not supervisor.installed and systemd_runs(env)):
        return systemd
    return supervisor


def _install(app: App, keeper: AnyKeeper) -> None:
    """Let a supervisor hold the socket, which is written down before and after."""
    description = keeper.description
    before = _before(app, description)
    one = Kept(
        description.chain,
        str(description.service.name),
        str(description.listen),
        "systemd" if isinstance(keeper, Systemd) else "supervisor",
        float(description.service.stop_timeout_s),
    )
    same = before if before and before.listen == one.listen else None
    if one.socket:
        holds = keeper.alive and keeper.listens_as_described
        known = same.made if same else None
        made = made_at(one.socket) if holds else known
        ours = same is not None or one.socket.parent == app.layout.run
        check_free(one.socket, made, ours=ours)
    if not same:
        remember(app, one)
    keeper.install()
    if before and before.socket and not same:
        remove_socket(before.socket, before.made)
    made = made_at(one.socket) if one.socket else None
    remember(app, replace(one, made=made))


def _before(app: App, description: Description) -> Kept | None:
    name, chain = description.service.name, description.chain
    found = [one for one in kept(app) if (one.chain, one.name) == (chain, name)]
    return found[0] if found else None


def _stop(app: App, all_of_them: Iterable[Kept], report: Report | None) -> None:
    """Stop services for good: their processes, their sockets, what is known of them."""
    for one in all_of_them:
        description, env = one.description(app), app.surroundings.environment()
        keeper: AnyKeeper = (
            Systemd(description, env)
            if one.kind == "systemd"
            else Supervisor(description, env)
        )
        made = one.made
        if one.socket and keeper.installed and keeper.alive:
            made = made_at(one.socket)  # it made it anew when the machine started
        keeper.uninstall()
        if one.socket:
            remove_socket(one.socket, made)
        forget(app, one.chain, one.name)
        if report:
            report.line("service", f"{one.name} of {one.chain} stopped: not described")


def _launch(app: App, release: Release, wanted: Wanted, service: Service) -> Launch:
    directory = Path(os.path.realpath(app.directory(release)))
    environment = {
        **environment_of(app, release, wanted),
        "GITDEPLOY_SERVICE": service.name,
    }
    return Launch(release.name, directory, service.run, environment)
