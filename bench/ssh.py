"""A throw-away sshd on loopback whose every process is counted."""

import getpass
import os
import shlex
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from measure import BenchError, Unavailable, run, settle

HOST = "127.0.0.1"
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
DETACH = '"$@" <&3 >&3 3<&- &'
"""The shell exits at once, so that sshd becomes an orphan that the bench adopts.

Started by the bench itself, sshd would be said to have had the bench's own peak
memory: the kernel keeps the largest size that a process had before exec(2) too.
"""


@dataclass(frozen=True)
class Loopback:
    """A server that listens, lets the current user in with one key, no one else."""

    port: int
    directory: Path

    @property
    def command(self) -> str:
        """The value for GIT_SSH_COMMAND: ssh that reads nothing of the user's."""
        options = {
            "BatchMode": "yes",
            "GlobalKnownHostsFile": os.devnull,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": f'"{self.key}"',
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f'"{self.known_hosts}"',
        }
        words = [f"-o{name}={value}" for name, value in options.items()]
        return shlex.join(["ssh", "-F", os.devnull, *words])

    @property
    def key(self) -> Path:
        """The key that is let in."""
        return self.directory / "key"

    @property
    def known_hosts(self) -> Path:
        """The file that knows this server."""
        return self.directory / "known_hosts"

    def url(self, path: Path) -> str:
        """Return the URL of a path on this machine."""
        return f"ssh://{getpass.getuser()}@{HOST}:{self.port}{quote(str(path))}"


@contextmanager
def loopback(directory: Path, env: Mapping[str, str]) -> Iterator[Loopback]:
    """Listen on a free port of loopback and start one `sshd -i` a connection.

    As descendants of the bench, not of a daemon, what they use is counted.

    Raises:
        Unavailable: this machine has no sshd, or it lets nobody in.
    """
    program = _program("sshd")
    directory.mkdir()
    with socket.create_server((HOST, 0)) as listening:
        server = Loopback(listening.getsockname()[1], directory)
        _prepare(server, env)
        config, log = str(directory / "config"), str(directory / "log")
        argv = [program, "-i", "-f", config, "-E", log]
        thread = threading.Thread(target=_serve, args=(listening, argv), daemon=True)
        thread.start()
        try:
            _log_in(server, env)
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, argv: list[str]) -> None:
    with suppress(OSError):  # the listening socket is shut down: the end
        while True:
            connection, _ = listening.accept()
            with connection:
                _start(connection.fileno(), argv)


def _start(connection: int, argv: list[str]) -> None:
    shell = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", DETACH, "sh", *argv],
        {"PATH": os.defpath},
        file_actions=[(os.POSIX_SPAWN_DUP2, connection, 3)],
    )
    with suppress(ChildProcessError):
        os.waitpid(shell, 0)


def _prepare(server: Loopback, env: Mapping[str, str]) -> None:
    if os.geteuid() == 0:  # sshd confines itself there before a login
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host_key", "key"):  # in the form that Debian's ruby can read
        words = ["-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-C", "gitdeploy bench"]
        argv = [_program("ssh-keygen"), *words, "-f", str(server.directory / name)]
        run(argv, env)
    shutil.copy(server.directory / "key.pub", server.directory / "authorized_keys")
    kind, key, *_ = (server.directory / "host_key.pub").read_text().split()
    server.known_hosts.write_text(f"[{HOST}]:{server.port} {kind} {key}\n")
    lines = [f"{name} {value}\n" for name, value in _settings(server, env).items()]
    (server.directory / "config").write_text("".join(lines))


def _settings(server: Loopback, env: Mapping[str, str]) -> dict[str, str]:
    passed = ("HOME", "PATH", "LC_ALL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL")
    return {
        "HostKey": f'"{server.directory / "host_key"}"',
        "AuthorizedKeysFile": f'"{server.directory / "authorized_keys"}"',
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "PermitUserRC": "no",
        "AcceptEnv": "GIT_PROTOCOL",
        "SetEnv": " ".join(f'"{name}={env[name]}"' for name in passed),
        "UseDNS": "no",
    }


def _log_in(server: Loopback, env: Mapping[str, str]) -> None:
    """Try it once: a machine may refuse this very account (locked, no shell)."""
    there = server.url(Path("/")).removesuffix("/")
    try:
        run([*shlex.split(server.command), there, "git --version"], env)
    except BenchError as error:
        print(error, file=sys.stderr)
        raise Unavailable("sshd lets nobody in") from error
    finally:
        settle(10)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:{SYSTEM_PATH}")
    if not found:
        raise Unavailable(f"no {name} on this machine")
    return found
