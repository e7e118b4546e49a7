"""systemd as the keeper of one service: a socket unit, its holder, and two slots.

The socket unit has the listening socket, and both slots inherit it (`Sockets=`), one
after another or at the same time. The unit that it triggers does nothing but stay
active: else a connection that comes while the one slot runs would start the other.

Source:
    systemd.socket(5), "Service="; systemd.service(5), "Sockets=", "RemainAfterExit=".
"""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.modes import PASSAGE
from gitdeploy.services.description import SLOTS, Description
from gitdeploy.services.generation import State
from gitdeploy.services.script import HOLD
from gitdeploy.system import files, process
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import Environment

__all__ = ["Systemd", "systemd_runs", "units_of"]

BOOTED: Final = Path("/run/systemd/system")
"""There where systemd started the machine (sd_booted(3))."""

_ANSWERS_WITHIN_S: Final = 20.0
_OUTPUT_MODE: Final = 0o640
_MICROSECONDS: Final = 1e6
_STATES: Final[Mapping[str, State]] = {
    "activating": "starting",
    "reloading": "running",
    "deactivating": "stopping",
    "inactive": "stopped",
}
"""By ActiveState; `active` depends on since when, any other is `failed`."""


def systemd_runs(env: Environment, booted: Path = BOOTED) -> bool:
    """Return whether there is a systemd that we may tell something.

    Args:
        env: The environment that systemctl gets.
        booted: There, where systemd started the machine.
    """
    if not booted.is_dir():
        return False
    try:
        _systemctl(env, "show-environment")
    except SystemFailed:
        return False
    return True


def units_of(env: Environment) -> Path:
    """Return where our units lie."""
    if os.geteuid() == 0:
        return Path("/etc/systemd/system")
    return Path(env["HOME"]) / ".config/systemd/user"


class Systemd:
    """The units of one service of one chain: of the user's own manager, or root's."""

    def __init__(self, description: Description, env: Environment) -> None:
        self.description = description
        self._env = env

    # --- what it is made of -------------------------------------------------------

    @property
    def installed(self) -> bool:
        """Whether somebody wanted the service to run."""
        return self._path(".socket").exists() and self._is_ours

    @property
    def _is_ours(self) -> bool:
        """Whether the units run our scripts, and not those of another app or root.

        Service `dev-web` of prod of the app `a` has the name of `web` of dev of the
        app `a-prod`.
        """
        slot = self._path("-1.service")
        ours = _quoted(self.description.script(1))
        return slot.exists() and ours in slot.read_text()

    @property
    def as_described(self) -> bool:
        """Whether it is installed as the description has it now."""
        return all(
            self._path(ending).exists() and self._path(ending).read_text() == text
            for ending, text in self._units().items()
        )

    @property
    def listens_as_described(self) -> bool:
        """Whether the socket it was installed with is the one described now."""
        path = self._path(".socket")
        return path.exists() and self._listen() in path.read_text().splitlines()

    @property
    def alive(self) -> bool:
        """Whether systemd has the socket."""
        return self._shown(".socket", "ActiveState") == ["active"]

    def install(self) -> bool:
        """Make systemd hold the socket as described; return if anything changed.

        What runs as described already is left alone.

        Raises:
            ConfigError: A socket's path is too long.
            SystemFailed: systemd says no.

        Changes: the units, then what systemd runs. Safe to repeat.
        """
        if self.as_described and self.alive:
            return False
        if self._path("-1.service").exists() and not self._is_ours:
            raise SystemFailed(
                f"service {self.description.service.name}: {self._unit('.socket')}"
                " belongs to another app, or to an app below another root",
                hint="another name  in [[services]] of deploy.toml",
            )
        if self.installed and not self.listens_as_described:
            self.shut_down()
        files.make_directory(self.description.directory, PASSAGE)
        for slot in SLOTS:  # systemd would make it for everybody to read
            os.close(files.open_to_append(self.description.output(slot), _OUTPUT_MODE))
            if not self.description.script(slot).exists():
                files.write_whole(self.description.script(slot), HOLD.encode(), 0o600)
        files.make_directory(self._directory, files.FOR_ALL_TO_VISIT)
        for ending, text in self._units().items():
            files.write_whole(self._path(ending), text.encode(), files.FOR_ALL_TO_READ)
        self._order("daemon-reload")
        self._order("enable", "--now", self._unit(".socket"), self._unit(".service"))
        return True

    def shut_down(self) -> None:
        """Stop the service and close its socket; returns when all has ended.

        Changes: what systemd runs. Safe to repeat.
        """
        endings = [*(f"-{slot}.service" for slot in SLOTS), ".service", ".socket"]
        limit_s = self.description.service.stop_timeout_s + _ANSWERS_WITHIN_S
        self._order("stop", *map(self._unit, endings), timeout_s=limit_s)

    def uninstall(self) -> None:
        """Stop the service and forget it; its socket and what it printed stay.

        Changes: what systemd runs, then the units. Safe to repeat.
        """
        if self._path("-1.service").exists() and not self._is_ours:
            return
        if self.installed:
            self.shut_down()
            self._order("disable", *map(self._unit, self._units()))
        for ending in self._units():
            files.remove_file(self._path(ending))
        for slot in SLOTS:
            files.remove_file(self.description.script(slot))
        self._order("daemon-reload")

    # --- what a keeper does ---------------------------------------------------------

    def state(self, slot: int) -> State:
        """Return what a slot does; `running` where it stayed up for long enough."""
        active, sub, since = self._shown(
            f"-{slot}.service",
            "ActiveState",
            "SubState",
            "ActiveEnterTimestampMonotonic",
        )
        if sub == "auto-restart":
            return "failed"
        if active == "active":
            up_s = time.monotonic() - int(since) / _MICROSECONDS
            is_ready = up_s >= self.description.service.ready_after_s
            return "running" if is_ready else "starting"
        return _STATES.get(active, "failed")

    def start(self, slot: int) -> None:
        """Start what the slot's script says, at boots too; does not wait."""
        unit = self._unit(f"-{slot}.service")
        self._order("reset-failed", self._unit("-*.service"))
        self._order("enable", unit)
        self._order("start", "--no-block", unit)

    def stop(self, slot: int) -> None:
        """Tell a slot to stop, and not to start at boots; does not wait."""
        unit = self._unit(f"-{slot}.service")
        self._order("disable", unit)
        self._order("stop", "--no-block", unit)

    def pid(self, slot: int) -> int:
        """Return the process that runs in a slot; 0 for none."""
        (pid,) = self._shown(f"-{slot}.service", "MainPID")
        return int(pid or 0)

    # --- how it is talked to ----------------------------------------------------------

    def _shown(self, ending: str, *names: str) -> list[str]:
        words = [f"--property={','.join(names)}", self._unit(ending)]
        said = _systemctl(self._env, "show", *words)
        found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return [found.get(name, "") for name in names]

    def _order(self, *words: str, timeout_s: float = _ANSWERS_WITHIN_S) -> None:
        _systemctl(self._env, *words, timeout_s=timeout_s)

    @property
    def _directory(self) -> Path:
        return units_of(self._env)

    def _path(self, ending: str) -> Path:
        return self._directory / self._unit(ending)

    def _unit(self, ending: str) -> str:
        return f"gitdeploy-{self.description.app}-{self.description.name}{ending}"

    # --- the units --------------------------------------------------------------------

    def _units(self) -> dict[str, str]:
        """Return the text of each unit, by the end of its name."""
        what = f"{self.description.app}: {self.description.name}"
        socket, holder = self._unit(".socket"), self._unit(".service")
        boot = "default.target" if os.geteuid() else "multi-user.target"
        is_unix = self.description.service.listen.is_unix
        return {
            ".socket": _SOCKET.format(
                what=what,
                listen=self._listen(),
                mode="SocketMode=0666\n" if is_unix else "",
                holder=holder,
            ),
            ".service": _HOLDER.format(what=what, socket=socket, boot=boot),
            **{f"-{slot}.service": self._slot(slot, what, boot) for slot in SLOTS},
        }

    def _slot(self, slot: int, what: str, boot: str) -> str:
        return _SLOT.format(
            what=f"{what}, slot {slot}",
            socket=self._unit(".socket"),
            holder=self._unit(".service"),
            script=_quoted(self.description.script(slot)),
            output=str(self.description.output(slot)).replace("%", "%%"),
            stop_s=math.ceil(self.description.service.stop_timeout_s),
            boot=boot,
        )

    def _listen(self) -> str:
        return f"ListenStream={self.description.listen}".replace("%", "%%")


def _systemctl(
    env: Environment, *words: str, timeout_s: float = _ANSWERS_WITHIN_S
) -> str:
    """Run systemctl for our own manager; return what it printed.

    Raises:
        SystemFailed: It said no, did not answer, or is not there.
    """
    uid = os.geteuid()
    place = f"/run/user/{uid}"
    own = ["--user"] if uid else []
    bus = {
        "XDG_RUNTIME_DIR": place,
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={place}/bus",
    }
    argv = [program("systemctl", env["PATH"]), *own, "--no-pager", *words]
    said = process.run(argv, env=env.also(bus), timeout_s=timeout_s)
    return said.decode("utf-8", "replace")


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"'


_SOCKET: Final = """\
# Written by gitdeploy service install.
[Unit]
Description={what}, its socket

[Socket]
{listen}
{mode}Backlog=2048
Service={holder}

[Install]
WantedBy=sockets.target
"""

_HOLDER: Final = """\
# Written by gitdeploy service install. Holds the socket, and does nothing else.
[Unit]
Description={what}, holder of its socket
Requires={socket}
After={socket}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true

[Install]
WantedBy={boot}
"""

_SLOT: Final = """\
# Written by gitdeploy service install.
[Unit]
Description={what}
Requires={socket}
Wants={holder}
After={socket} {holder}

[Service]
Type=exec
Sockets={socket}
ExecStart=/bin/sh {script}
StandardOutput=append:{output}
StandardError=inherit
KillMode=mixed
TimeoutStopSec={stop_s}
Restart=on-failure
RestartSec=1

[Install]
WantedBy={boot}
"""
