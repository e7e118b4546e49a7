"""Whether a service may listen where it wants to: by server.toml, and by all others."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gitdeploy.config import Service
from gitdeploy.config.addresses import clash
from gitdeploy.config.places import may_listen
from gitdeploy.deploy.app import App, set_up_apps
from gitdeploy.deploy.kept import Kept, kept, unrecorded
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.errors import GitdeployError
from gitdeploy.layout import Layout
from gitdeploy.model import ChainName
from gitdeploy.services import Description

__all__ = ["in_the_way", "real", "why_not_listen"]


def why_not_listen(app: App, chain: ChainName, service: Service) -> tuple[str, str]:
    """Return why a service may not listen where it wants to, and what would let it.

    Both are empty where it may. What was started there goes on there: an earlier
    gitdeploy may have done so.
    """
    address = real(Description(app.name, chain, service, app.layout.run).listen)
    ours = kept(app)
    if not _is_let(app, chain, service) and not any(
        (one.chain, one.name, real(one.listen)) == (chain, service.name, address)
        for one in ours
    ):
        why = f"the server does not let a service listen at {service.listen}"
        return why, f'[services] listen = ["{service.listen}"]  in server.toml'
    if who := _taken_by(app, chain, service, address, ours):
        return f"{service.listen} is where {who} listens", 'listen = "web.sock"'
    return "", ""


def in_the_way(app: App, chain: ChainName, services: tuple[Service, ...]) -> list[Kept]:
    """Return what was started and has to end before a chain's services can start.

    An earlier service of the chain at the same address, under another name; and one
    of dev where prod is to listen.
    """
    wanted = {
        one.name: real(Description(app.name, chain, one, app.layout.run).listen)
        for one in services
    }
    return [
        one
        for one in (*kept(app), *unrecorded(app))
        if chain in (one.chain, "prod")
        and any(
            clash(real(one.listen), address) and (one.chain, one.name) != (chain, name)
            for name, address in wanted.items()
        )
    ]


def real(listen: str) -> str:
    """Return an address as it is compared: a unix socket's by its real directory."""
    if not listen.startswith("/"):
        return listen
    path = Path(listen)
    return str(Path(os.path.realpath(path.parent)) / path.name)


def _is_let(app: App, chain: ChainName, service: Service) -> bool:
    server, address = app.server, service.listen
    if may_listen(server.services, address, network=server.steps.network):
        return True
    path = Path(address)
    own = address.is_unix and path.parent == app.layout.run
    return own and path.name.startswith(f"{chain}-") and path.suffix == ".sock"


def _taken_by(
    app: App, chain: ChainName, service: Service, address: str, ours: list[Kept]
) -> str:
    """Return who else listens there, or is to; empty where nobody is.

    dev never takes what is prod's; prod gets what is its own (`in_the_way`).
    """
    if service.listen.is_own:
        return ""
    if chain == "dev":
        for name, listen in _of_prod(app):
            if clash(real(listen), address):
                return f"service {name} of prod"
    if any(
        (one.chain, one.name) == (chain, service.name)
        and clash(real(one.listen), address)
        for one in ours
    ):
        return ""
    for other_app, one in _of_other_apps(app):
        if clash(real(one.listen), address):
            return f"service {one.name} of {one.chain} of {other_app}"
    return ""


def _of_prod(app: App) -> Iterator[tuple[str, str]]:
    """Yield where prod listens: what was started, and what is described."""
    for one in kept(app):
        if one.chain == "prod":
            yield one.name, one.listen
    if wanted := what_is_live(app, "prod"):
        for service in wanted.config.services_for("prod"):
            described = Description(app.name, "prod", service, app.layout.run)
            yield service.name, described.listen


def _of_other_apps(app: App) -> Iterator[tuple[str, Kept]]:
    """Yield what was started of the other apps; one that is damaged hinders nobody."""
    root = app.layout.root
    for name in set_up_apps(root):
        if name != app.name:
            with suppress(GitdeployError, OSError, ValueError):
                with App(Layout(root, name), app.surroundings, app.by) as other:
                    started = kept(other)
                for one in started:
                    yield name, one
