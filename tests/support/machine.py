"""A machine of one's own: /etc, /home, /run and more are this test's, nobody else's.

A mount namespace, held by one process: what is mounted in it is gone with it. The
kernel, the network and the programs are the real ones.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

from support import process
from support.sshd import HOST, START_ATTEMPTS, free_port
from support.tools import cannot, needs

SOURCE = Path(__file__).resolve().parent.parent.parent

_HIDDEN = ("/home", "/run", "/srv", "/root", "/var/log", "/var/mail", "/var/backups")
# $1 is a copy of /etc, $2 an empty directory, $3 the directories that are hidden, one a
# line: homes, systemd's and the machine's own logs. All other words are what is shown
# again where it was.
_BEGIN = """
set -eu
mount --bind "$1" /etc
aside=$2 hidden=$3
shift 3
number=0
for path; do
    number=$((number + 1))
    mkdir "$aside/$number"
    mount --rbind "$path" "$aside/$number"
done
echo "$hidden" | while read -r path; do
    [ ! -d "$path" ] || mount -t tmpfs -o mode=755 tmpfs "$path"
done
number=0
for path; do
    number=$((number + 1))
    [ -e "$path" ] || mkdir -p "$path"
    mount --move "$aside/$number" "$path"
done
mkdir -m 755 /run/sshd
mkdir -m 700 /run/private
ssh-keygen -A >/dev/null
echo ready
exec sleep infinity
"""


class Machine:
    """A machine on which commands run as root, or as whom one says."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def path(self, path: str | Path) -> Path:
        """Return where a path of this machine is for the test; no link is followed."""
        return Path(f"/proc/{self._pid}/root{path}")

    def argv(self, *words: str | Path) -> list[str]:
        """Return what runs a command as root, in a directory that is root's alone."""
        enter = [needs("nsenter"), f"--mount=/proc/{self._pid}/ns/mnt", "--"]
        there = ["sh", "-c", 'cd /run/private && exec "$@"', "sh"]
        return [*enter, *there, *map(str, words)]

    def run(
        self,
        *words: str | Path,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> CompletedProcess[str]:
        """Run a command as root."""
        return process.run(*self.argv(*words), check=check, env=env, stdin=stdin)

    def gitdeploy(
        self, *words: str | Path, check: bool = True, stdin: str | None = None
    ) -> CompletedProcess[str]:
        """Run a verb as root."""
        return self.run(program(), *words, check=check, stdin=stdin)

    def as_user(
        self,
        user: str,
        *words: str | Path,
        check: bool = True,
        stdin: str | None = None,
    ) -> CompletedProcess[str]:
        """Run a verb as somebody else, from a directory that they cannot read."""
        who = [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        home = {"HOME": f"/home/{user}"}
        argv = ("setpriv", *who, program(), *words)
        return self.run(*argv, check=check, env=home, stdin=stdin)

    def files(self, *places: str) -> dict[str, tuple[int, int, int, bytes]]:
        """Return all below some places: mode, owner, time of change, content."""
        found: dict[str, tuple[int, int, int, bytes]] = {}
        for top in places:
            for place, directories, names in os.walk(self.path(top)):
                for name in (*directories, *names):
                    path = Path(place, name)
                    status = path.lstat()
                    data = path.read_bytes() if path.is_file() else b""
                    what = (status.st_mode, status.st_uid, status.st_mtime_ns, data)
                    found[str(path)] = what
        return found

    @contextmanager
    def sshd(self, log: Path) -> Iterator[int]:
        """This machine's sshd by its own configuration; yields its port."""
        for _ in range(START_ATTEMPTS):
            port = free_port()
            options = [f"ListenAddress={HOST}:{port}", "UsePAM=no", "PidFile=none"]
            words = [needs("sshd"), "-D", "-E", log, *(f"-o{x}" for x in options)]
            child = subprocess.Popen(self.argv(*words), stdin=subprocess.DEVNULL)
            try:
                if _listens(child, log):
                    yield port
                    return
            finally:
                child.terminate()
                child.wait()
        raise AssertionError(f"sshd does not start: {log.read_text()}")


def program() -> Path:
    """Return what starts this gitdeploy."""
    return Path(sys.prefix, "bin", "gitdeploy")


@contextmanager
def machine(directory: Path) -> Iterator[Machine]:
    """A machine whose /etc begins as a copy of the real one, with empty homes."""
    if os.geteuid() != 0:
        cannot("only root sets a server up")
    etc, aside = directory / "etc", directory / "aside"
    aside.mkdir(parents=True)
    process.run("cp", "--archive", "/etc", etc)
    _forget_ours(etc)
    ours = _ours()
    hidden = "\n".join([*_HIDDEN, *filter(None, map(_wall, ours))])
    begin = ["sh", "-c", _BEGIN, "sh", etc, aside, hidden, *map(str, ours)]
    unshare = [needs("unshare"), "--mount", "--propagation=private"]
    with process.started(*unshare, *begin) as child:
        assert child.stdout is not None
        if child.stdout.readline() != b"ready\n":
            _, said = child.communicate()
            cannot(f"there are no mount namespaces here: {said.decode().strip()}")
        try:
            yield Machine(child.pid)
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            shutil.rmtree(etc)  # password hashes and host keys are not left lying


def _forget_ours(etc: Path) -> None:
    """Take away what makes this machine another than a fresh one."""
    for path in etc.rglob("*gitdeploy*"):
        path.unlink()


def _ours() -> list[Path]:
    """Return where this gitdeploy lies, none below another, if others cannot see it."""
    paths = {Path(p).resolve() for p in (sys.prefix, sys.base_prefix, SOURCE)}
    tops = [path for path in sorted(paths) if not {*path.parents} & paths]
    return [
        path
        for path in tops
        if _wall(path) or any(path.is_relative_to(place) for place in _HIDDEN)
    ]


def _wall(path: Path) -> str:
    """Return the first directory on the way that others cannot pass; empty: none."""
    for place in reversed(path.parents):
        if not place.stat().st_mode & stat.S_IXOTH:
            return str(place)
    return ""


def _listens(child: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait until sshd has said that it listens; False where it has ended instead."""
    deadline = time.monotonic() + 10
    while child.poll() is None:
        if log.exists() and "Server listening" in log.read_text():
            return True
        assert time.monotonic() < deadline, "sshd listens on no port"
        time.sleep(0.01)
    return False
