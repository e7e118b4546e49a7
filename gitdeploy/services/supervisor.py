"""supervisord (from PyPI) as the keeper of one service: where there is no systemd.

Each service of each chain has a supervisord of its own: its configuration never has
to be changed under another service that runs, and one that dies takes one service
with it. A `[fcgi-program]` has its listening socket made by supervisord, and closed
with its last process: one process that does nothing but hold it belongs to it.

Source:
    supervisord.org, "[fcgi-program:x] Section Settings", "XML-RPC API".
"""

import http.client
import math
import os
import shlex
import signal
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gitdeploy.errors import SystemFailed
from gitdeploy.modes import PASSAGE
from gitdeploy.services.description import SLOTS, Description
from gitdeploy.services.found import end, processes_of, supervisors_of
from gitdeploy.services.generation import State
from gitdeploy.services.script import HOLD
from gitdeploy.system import files, process
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.surroundings import Environment

__all__ = ["Supervisor"]

_HOLDER: Final = 0
_ANSWERS_WITHIN_S: Final = 10.0
_LOOK_S: Final = 0.05
_LOG_BYTES: Final = "10MB"
_NOT_RUNNING: Final = 70  # supervisor.xmlrpc.Faults
_ALREADY_STARTED: Final = 60
_STATES: Final[Mapping[str, State]] = {
    "STARTING": "starting",
    "RUNNING": "running",
    "STOPPING": "stopping",
    "STOPPED": "stopped",
}
"""Any other is `failed`: BACKOFF, EXITED, FATAL."""


class Supervisor:
    """The supervisord of one service of one chain."""

    def __init__(self, description: Description, env: Environment) -> None:
        self.description = description
        self._env = env

    # --- what it is made of -------------------------------------------------------

    @property
    def installed(self) -> bool:
        """Whether somebody wanted the service to run."""
        return self._path("conf").exists()

    @property
    def as_described(self) -> bool:
        """Whether it is installed as the description has it now."""
        path = self._path("conf")
        return path.exists() and path.read_bytes() == self._configuration()

    @property
    def listens_as_described(self) -> bool:
        """Whether the socket it was installed with is the one described now."""
        path = self._path("conf")
        return path.exists() and self._socket_line() + b"\n" in path.read_bytes()

    @property
    def alive(self) -> bool:
        """Whether supervisord answers, and with it the socket is there."""
        try:
            return self._state(_HOLDER) in ("starting", "running")
        except (OSError, xmlrpc.client.Fault):
            return False

    def install(self) -> bool:
        """Make supervisord run as described, with the socket; return if it changed.

        What runs as described already is left alone.

        Raises:
            ConfigError: A socket's path is too long.
            SystemFailed: It cannot listen there, or is not installed itself.

        Changes: its files, then its process. Safe to repeat.
        """
        if self.as_described and self.alive:
            return False
        self._check_program()
        configuration = self._configuration()
        self.shut_down()
        files.make_directory(self.description.directory, PASSAGE)
        files.write_whole(self._script(_HOLDER), HOLD.encode(), 0o600)
        for slot in SLOTS:
            if not self._script(slot).exists():
                files.write_whole(self._script(slot), HOLD.encode(), 0o600)
        files.write_whole(self._path("conf"), configuration, 0o600)
        self._begin()
        return True

    def shut_down(self) -> None:
        """Stop the service and close its socket; returns when all has ended.

        One that cannot be talked to any more, as somebody removed its files, is ended
        as well, and so is what one that was killed left running.

        Raises:
            SystemFailed: Something goes on, whatever it is told.

        Changes: processes only. Safe to repeat.
        """
        with suppress(OSError, xmlrpc.client.Fault):
            self._call("supervisor.shutdown")
        self._see_ended(self._supervisors)
        self._see_ended(self._left)

    def _see_ended(self, left: Callable[[], list[int]]) -> None:
        """Wait until processes have ended; tell them to, where nobody else does."""
        watch, told = Stopwatch(), False
        limit_s = self.description.service.stop_timeout_s
        while pids := left():
            if not told and not self._answers():
                end(pids, signal.SIGTERM)
                told = True
            if watch.seconds > limit_s + _ANSWERS_WITHIN_S:
                raise SystemFailed(f"processes of {self.description.name} go on")
            if watch.seconds > limit_s + _ANSWERS_WITHIN_S / 2:
                end(pids, signal.SIGKILL)
            time.sleep(_LOOK_S)

    def _supervisors(self) -> list[int]:
        ours = supervisors_of(self.description.directory)
        return ours.get(str(self._path("conf")), [])

    def _left(self) -> list[int]:
        slots = (_HOLDER, *SLOTS)
        return processes_of({slot: self._script(slot) for slot in slots})

    def uninstall(self) -> None:
        """Stop the service and forget it; its socket and what it printed stay.

        Changes: its process, then its files. Safe to repeat.
        """
        self.shut_down()
        for ending in ("conf", "ctl", "pid"):
            files.remove_file(self._path(ending))
        for slot in (_HOLDER, *SLOTS):
            files.remove_file(self._script(slot))

    # --- what a keeper does ---------------------------------------------------------

    def state(self, slot: int) -> State:
        """Return what a slot does.

        Raises:
            SystemFailed: supervisord does not answer.
        """
        try:
            return self._state(slot)
        except OSError as error:
            raise self._lost() from error

    def start(self, slot: int) -> None:
        """Start what the slot's script says; does not wait."""
        self._order("startProcess", slot, _ALREADY_STARTED)

    def stop(self, slot: int) -> None:
        """Tell a slot to stop; does not wait."""
        self._order("stopProcess", slot, _NOT_RUNNING)

    def pid(self, slot: int) -> int:
        """Return the process that runs in a slot; 0 for none."""
        return int(self._known(slot)["pid"])

    def _state(self, slot: int) -> State:
        return _STATES.get(self._known(slot)["statename"], "failed")

    def _known(self, slot: int) -> dict[str, Any]:
        known = self._call("supervisor.getProcessInfo", self._process(slot))
        assert isinstance(known, dict)
        return known

    def _order(self, what: str, slot: int, done_already: int) -> None:
        try:
            self._call(f"supervisor.{what}", self._process(slot), False)  # noqa: FBT003 - XML-RPC has no names
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != done_already:
                raise SystemFailed(
                    f"service {self.description.service.name}: {fault.faultString}"
                ) from fault
        except OSError as error:
            raise self._lost() from error

    # --- how it is talked to ----------------------------------------------------------

    def _begin(self) -> None:
        """Start supervisord and wait until it holds the socket."""
        argv = [sys.executable, "-P", "-m", "supervisor.supervisord"]
        argv += ["-c", str(self._path("conf"))]
        try:
            process.run(argv, env=self._env, timeout_s=_ANSWERS_WITHIN_S)
        except process.CommandFailed as error:
            raise self._no_start(error.stderr) from error
        watch = Stopwatch()
        while not self._answers():
            if watch.seconds > _ANSWERS_WITHIN_S:
                raise self._no_start("")
            time.sleep(_LOOK_S)
        self.start(_HOLDER)

    def _no_start(self, said: str) -> SystemFailed:
        lines = said.splitlines() or ["it does not answer"]
        why = next((line for line in lines if line.startswith("Error: ")), lines[-1])
        return SystemFailed(
            f"service {self.description.service.name}: supervisord did not start:"
            f" {why.partition('Error: ')[2] or why}",
            hint=f"tail {self._path('log')}",
        )

    def _answers(self) -> bool:
        try:
            self._call("supervisor.getPID")
        except OSError:
            return False
        except xmlrpc.client.Fault:  # it is about to end
            return True
        return True

    def _call(self, method: str, *words: object) -> object:
        transport = _OverUnixSocket(str(self._path("ctl")))
        with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
            return getattr(proxy, method)(*words)

    def _lost(self) -> SystemFailed:
        description = self.description
        return SystemFailed(
            f"service {description.service.name} on {description.chain}: its"
            " supervisord does not answer, and its socket is closed",
            hint=f"gitdeploy service install {description.app}",
        )

    def _check_program(self) -> None:
        from importlib.util import find_spec

        if find_spec("supervisor") is None:
            raise SystemFailed(
                "services: there is no systemd here, and supervisor is not installed",
                hint=f"{sys.executable} -m pip install 'gitdeploy[services]'",
            )
        if self.description.service.listen.startswith("["):
            raise SystemFailed(
                f"service {self.description.service.name}: supervisor listens on"
                f" IPv4 and unix sockets, got {self.description.listen}",
                hint='listen = "web.sock"',
            )

    def _process(self, slot: int) -> str:
        return f"{self.description.service.name}:{slot}"

    def _script(self, slot: int) -> Path:
        return self.description.script(slot)

    def _path(self, ending: str) -> Path:
        return self.description.directory / f"{self.description.name}.{ending}"

    def _configuration(self) -> bytes:
        description, service = self.description, self.description.service
        control = self._path("ctl")
        description.fitting(control.with_name(f"{control.name}.{2**22}"))
        startsecs = 1 if service.notify else math.ceil(service.ready_after_s)
        script = f"{shlex.quote(str(description.directory / description.name))}"
        text = _TEMPLATE.format(
            control=_plain(str(control)),
            log=_plain(str(self._path("log"))),
            pid=_plain(str(self._path("pid"))),
            name=service.name,
            socket=os.fsdecode(self._socket_line()),
            script=_plain(script),
            output=_plain(str(description.directory / description.name)),
            startsecs=startsecs,
            stopwaitsecs=math.ceil(service.stop_timeout_s),
            numprocs=1 + len(SLOTS),
            directory=_plain(str(description.directory)),
            bytes=_LOG_BYTES,
            user=_plain(self._env["USER"]),
        )
        return os.fsencode(text)

    def _socket_line(self) -> bytes:
        """Return what stands of the socket; whoever may connect by TCP may so here."""
        listen = _plain(self.description.listen)
        if not self.description.service.listen.is_unix:
            return os.fsencode(f"socket=tcp://{listen}")
        return os.fsencode(f"socket_mode=0666\nsocket=unix://{listen}")


_TEMPLATE: Final = """\
; Written by gitdeploy service install; read by supervisord.
[unix_http_server]
file={control}
chmod=0700
[supervisord]
logfile={log}
logfile_maxbytes={bytes}
logfile_backups=1
pidfile={pid}
umask=077
directory={directory}
user={user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{control}
[fcgi-program:{name}]
{socket}
socket_backlog=2048
process_name=%(process_num)d
numprocs={numprocs}
numprocs_start=0
command=/bin/sh {script}.%(process_num)d
directory=/
umask=022
autostart=false
autorestart=true
startsecs={startsecs}
startretries=1000
stopsignal=TERM
stopwaitsecs={stopwaitsecs}
killasgroup=true
redirect_stderr=true
stdout_logfile={output}.%(process_num)d.log
stdout_logfile_maxbytes={bytes}
stdout_logfile_backups=2
"""


def _plain(text: str) -> str:
    """Return a text that supervisord reads as it is: it expands `%(here)s`."""
    return text.replace("%", "%%")


class _OverUnixSocket(xmlrpc.client.Transport):
    """Calls a server that listens on a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: object) -> http.client.HTTPConnection:  # noqa: ARG002 - xmlrpc's signature
        connection = _UnixConnection(self._path)
        self._connection = ("localhost", connection)  # what close() closes
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWERS_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWERS_WITHIN_S)
        self.sock.connect(self._path)
