"""`gitdeploy service`: the processes that run on beside releases."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from gitdeploy.cli.acting import progress
from gitdeploy.cli.options import (
    app_argument,
    chosen_chain,
    held,
    json_option,
    opened,
    root_option,
    wait_option,
)
from gitdeploy.cli.screen import fields, show_json, show_line, table
from gitdeploy.deploy.app import App
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.deploy.service_states import ServiceState, service_states
from gitdeploy.deploy.services import (
    install_services,
    restart_services,
    uninstall_services,
)
from gitdeploy.errors import UsageError
from gitdeploy.model import CHAINS, ChainName

__all__ = ["command"]


class _Asked(Struct, frozen=True):
    app: App
    chains: tuple[ChainName, ...]
    as_json: bool
    wait_s: float


@click.command()
@click.argument(
    "action", type=click.Choice(["install", "status", "restart", "uninstall"])
)
@app_argument()
@click.argument("chain", required=False, type=click.Choice(CHAINS))
@root_option
@wait_option
@json_option
def command(
    *,
    action: str,
    app: str,
    chain: str | None,
    root: Path,
    wait_s: float,
    as_json: bool,
) -> int:
    """Install, look at, restart or uninstall the services of an app.

    They are described by [[services]] in deploy.toml. `install` may be repeated: it
    mends what is broken and leaves alone what runs as described.
    """
    if chain and action != "restart":
        raise UsageError(
            f"service {action}: acts on both chains, got {chain}",
            hint=f"gitdeploy service {action} {app}",
        )
    with opened(root, app) as opened_app:
        chains = (chosen_chain(chain),) if chain else CHAINS
        return _ACTIONS[action](_Asked(opened_app, chains, as_json, wait_s))


def _install(asked: _Asked) -> int:
    with held(asked.app, "service install", asked.wait_s):
        names = install_services(asked.app, progress())
    if not names:
        raise UsageError(
            f"{asked.app.name}: what is live describes no services",
            hint="[[services]]  in deploy.toml; see docs/services.md",
        )
    return _status(asked)


def _restart(asked: _Asked) -> int:
    with held(asked.app, "service restart", asked.wait_s):
        for chain in asked.chains:
            if wanted := what_is_live(asked.app, chain):
                restart_services(asked.app, wanted, progress(), anew=True)
    return _status(asked)


def _uninstall(asked: _Asked) -> int:
    with held(asked.app, "service uninstall", asked.wait_s):
        names = uninstall_services(asked.app)
    if asked.as_json:
        show_json({"app": asked.app.name, "uninstalled": names})
    else:
        fields([("uninstalled", name) for name in names or ["nothing"]])
    return 0


def _status(asked: _Asked) -> int:
    states = service_states(asked.app)
    if asked.as_json:
        shapes = [_shape(state) for state in states]
        show_json({"app": asked.app.name, "services": shapes})
    elif states:
        columns = ["service", "chain", "listens at", "slot", "state", "release"]
        table(columns, [row for state in states for row in _rows(state)])
    else:
        show_line(f"what is live of {asked.app.name} describes no services")
    wrong = [state for state in states if state.trouble]
    if wrong and not asked.as_json:
        fields([(state.name, f"{state.chain}: {state.trouble}") for state in wrong])
        fields([("mend with", f"gitdeploy service install {asked.app.name}")])
    return 1 if wrong else 0


def _rows(state: ServiceState) -> list[list[str]]:
    start = [state.name, state.chain, state.listen]
    if not state.slots:
        return [[*start, "", "stopped" if state.installed else "not installed", ""]]
    return [
        [
            *(start if first else ["", "", ""]),
            str(slot.number),
            slot.state,
            slot.release,
        ]
        for first, slot in zip([True, False], state.slots, strict=False)
    ]


def _shape(state: ServiceState) -> dict[str, object]:
    return {
        "name": state.name,
        "chain": state.chain,
        "listen": state.listen,
        "installed": state.installed,
        "socket": state.socket,
        "live": state.live,
        "described": state.described,
        "slots": [
            {
                "slot": slot.number,
                "state": slot.state,
                "release": slot.release,
                "pid": slot.pid,
            }
            for slot in state.slots
        ],
        "trouble": state.trouble,
    }


_ACTIONS: Final[Mapping[str, Callable[[_Asked], int]]] = {
    "install": _install,
    "status": _status,
    "restart": _restart,
    "uninstall": _uninstall,
}
