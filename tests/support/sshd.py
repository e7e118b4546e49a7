"""A private sshd on loopback, so that pushes travel as they do in the world."""

import getpass
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from support import process
from support.tools import cannot, needs

HOST = "127.0.0.1"
START_ATTEMPTS = 5
START_TIMEOUT_S = 10.0
PENALTIES_SINCE = (9, 8)


@dataclass(frozen=True)
class Sshd:
    """A running sshd that lets the current user in, with one key."""

    port: int
    pid: int
    directory: Path
    home: Path
    """HOME of its sessions, instead of the user's own."""

    @property
    def ssh_command(self) -> str:
        """The value for GIT_SSH_COMMAND or core.sshCommand."""
        return shlex.join(self.ssh_argv)

    @property
    def ssh_argv(self) -> list[str]:
        """The ssh client, told to use nothing of the user's own."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "GlobalKnownHostsFile": os.devnull,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": _quoted(self.directory / "key"),
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _quoted(self.directory / "known_hosts"),
        }
        words = [f"-o{name}={value}" for name, value in options.items()]
        return ["ssh", "-F", os.devnull, *words]

    def url(self, path: Path | str) -> str:
        """Return the ssh:// URL of a path on this machine."""
        return f"ssh://{getpass.getuser()}@{HOST}:{self.port}{quote(str(path))}"

    def sessions(self) -> list[int]:
        """Return the pids of the sessions that are open, for tests that end one."""
        return [pid for pid in _pids() if _parent(pid) == self.pid]

    @property
    def log(self) -> str:
        """What sshd had to say."""
        return (self.directory / "log").read_text(errors="replace")


@contextmanager
def running_sshd(directory: Path) -> Iterator[Sshd]:
    """A running sshd with its keys in `directory`; stopped by its pid."""
    program = needs("sshd")
    needs("ssh")
    home = _prepare(directory)
    with _started(program, directory, home) as sshd:
        _prove(sshd)
        yield sshd


def _prepare(directory: Path) -> Path:
    home = directory / "home"
    home.mkdir(parents=True)
    if os.geteuid() == 0:  # sshd confines itself there before a login
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host_key", "key"):
        words = ["-q", "-t", "ed25519", "-N", "", "-C", f"gitdeploy test {name}"]
        process.run(needs("ssh-keygen"), *words, "-f", directory / name)
    shutil.copy(directory / "key.pub", directory / "authorized_keys")
    return home


@contextmanager
def _started(program: str, directory: Path, home: Path) -> Iterator[Sshd]:
    for _ in range(START_ATTEMPTS):  # another process may take the port first
        port = free_port()
        _configure(directory, port, home)
        # sshd starts itself anew for each connection: the path must be absolute.
        config, log = str(directory / "config"), str(directory / "log")
        words = [program, "-D", "-f", config, "-E", log]
        child = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, start_new_session=True
        )
        sshd = Sshd(port, child.pid, directory, home)
        with child:
            try:
                if _answers(child, port):
                    yield sshd
                    return
            finally:
                _stop(child, sshd)
    raise AssertionError(f"sshd does not start: {sshd.log}")


def _configure(directory: Path, port: int, home: Path) -> None:
    kind, key, *_ = (directory / "host_key.pub").read_text().split()
    (directory / "known_hosts").write_text(f"[{HOST}]:{port} {kind} {key}\n")
    session = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    settings = {
        "ListenAddress": f"{HOST}:{port}",
        "HostKey": _quoted(directory / "host_key"),
        "AuthorizedKeysFile": _quoted(directory / "authorized_keys"),
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "PermitUserRC": "no",
        "AcceptEnv": "GIT_PROTOCOL",
        "SetEnv": " ".join(_quoted(f"{k}={v}") for k, v in session.items()),
        "MaxStartups": "200",  # fifty pushes at once must not be turned away
        "UseDNS": "no",
    }
    if _version() >= PENALTIES_SINCE:
        settings["PerSourcePenalties"] = "no"  # tests disconnect on purpose
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (directory / "config").write_text("".join(lines))


def free_port() -> int:
    """Return a port that is free now; whoever binds it must be able to retry."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(child: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until sshd greets; False where it has ended instead."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while child.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            assert time.monotonic() < deadline, "sshd listens on no port"
            time.sleep(0.01)
    return False


def _prove(sshd: Sshd) -> None:
    """Log in once: a machine may refuse this very account (locked, no shell)."""
    tried = process.run(
        *sshd.ssh_argv, sshd.url("").removesuffix("/"), "git --version", check=False
    )
    if tried.returncode:
        cannot(f"sshd does not let this account in: {tried.stderr}{sshd.log}")


def _stop(child: subprocess.Popen[bytes], sshd: Sshd) -> None:
    open_sessions = sshd.sessions()
    child.terminate()
    child.wait(START_TIMEOUT_S)
    for pid in open_sessions:
        _end(pid)


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _version() -> tuple[int, int]:
    told = process.run("ssh", "-V").stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", told)
    assert found, f"ssh -V printed {told!r}"
    return int(found[1]), int(found[2])


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended
        return None
    return int(stat.rpartition(")")[2].split()[1])


def _quoted(value: Path | str) -> str:
    return f'"{value}"'
