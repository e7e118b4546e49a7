"""A server as people run it, and somebody on it who may only stage one app.

A machine of its own (`support.machine`), set up by `gitdeploy server install`: an
ordinary user, deploy, owns the apps shop and blog, commands have to be confined, and
people come over its sshd with a key each.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

from support import process
from support.git import Push, Work
from support.machine import Machine, machine
from support.sshd import HOST

HOME: Final = Path("/home/deploy")
ROOT: Final = HOME / "gitdeploy"
CANARY: Final = "canary-4711-of-the-blog"
OWN_CANARY: Final = "canary-0815-of-prod"
REQUIRE: Final = '[steps]\nconfine = "require"\n'
GRANTS: Final = {
    "mallory": (("stage", "shop"),),
    "rita": (("release", "shop"), ("rollback", "shop")),
    "otto": (("admin", "*"),),
}
"""What people may do, each with which apps."""

_OURS: Final = ("shop", "shop.git", "www")
"""What an attack on shop may change below ROOT."""
_LOOKED_AT: Final = ("/etc", "/home", "/srv", "/run/private")
_SSH: Final = HOME / ".ssh/authorized_keys"


class Scene:
    """The server, the people, and what they do."""

    def __init__(self, one: Machine, port: int, directory: Path) -> None:
        self.machine = one
        self._port = port
        self._directory = directory
        self._clones = 0

    # --- the server -----------------------------------------------------------------

    def path(self, path: str | Path) -> Path:
        """Return where a path of the server is for the test; absolute or below ROOT."""
        return self.machine.path(ROOT / path)

    def gitdeploy(
        self, *words: str | Path, check: bool = True, stdin: str | None = None
    ) -> CompletedProcess[str]:
        """Run a verb on the server, as the apps' owner."""
        done = self.machine.as_user("deploy", *words, check=False, stdin=stdin)
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def json(self, *words: str) -> Any:
        """Return what a verb says as JSON."""
        return json.loads(self.gitdeploy(*words, "--json").stdout)

    def findings(self, *words: str, app: str = "shop") -> list[dict[str, Any]]:
        """Return what the doctor finds, notes apart, and has not mended."""
        done = self.gitdeploy("doctor", app, "--json", *words, check=False)
        assert done.returncode in (0, 4), done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        return [f for f in found if not f["fixed"] and f["severity"] == "trouble"]

    def server_toml(self, text: str, app: str = "shop") -> None:
        """Write what the server decides, besides that commands have to be confined."""
        place = self.path(f"{app}/server.toml")
        place.write_text(text if "[steps]" in text else REQUIRE + text)
        place.chmod(0o600)
        self.machine.run("chown", "deploy:deploy", ROOT / f"{app}/server.toml")

    def reset(self) -> None:
        """Make both apps anew, and let everybody in."""
        self.machine.run("rm", "-rf", ROOT, _SSH)
        self.machine.run("install", "-d", "-o", "deploy", "-g", "deploy", ROOT)
        for app in ("shop", "blog"):
            self.gitdeploy("setup", app)
            self.server_toml("", app)
        self.gitdeploy("env", "blog", "set", f"SECRET={CANARY}")
        for person, grants in GRANTS.items():
            public = f"/run/public/{person}.pub"
            self.gitdeploy("key", "add", person, public)
            for right, app in grants:
                self.gitdeploy("access", "grant", person, right, "--app", app)

    # --- the people -----------------------------------------------------------------

    def client(self, person: str) -> list[str]:
        """Return the ssh client with a person's key."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": self._directory / person,
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": self._directory / "known_hosts",
        }
        return ["ssh", "-F", "none", *(f"-o{key}={v}" for key, v in options.items())]

    def url(self, app: str = "") -> str:
        """Return the ssh:// URL of an app, or of the server."""
        return f"ssh://deploy@{HOST}:{self._port}{f'/{app}' if app else ''}"

    def ssh(
        self, person: str, command: str, stdin: str | None = None
    ) -> CompletedProcess[str]:
        """Let a person run a verb over ssh."""
        words = [*self.client(person), self.url(), command]
        return process.run(*words, stdin=stdin, check=False)

    def clone(self, person: str, app: str = "shop") -> Work:
        """Return a new repository of a person's, connected to an app."""
        self._clones += 1
        work = Work.create(self._directory / f"clone-{self._clones}")
        work.connect(self.url(app), ssh_command=shlex.join(self.client(person)))
        return work

    def push(
        self,
        work: Work,
        toml: str = "",
        ref: str = "main",
        *,
        options: tuple[str, ...] = (),
        **files: str | bytes,
    ) -> Push:
        """Commit a deploy.toml and files in a clone, and push the branch."""
        names: Mapping[str, str | bytes] = {"deploy.toml": toml, "page": "1", **files}
        work.commit(f"change {len(names)}", **names)
        return work.push(ref, options=options)

    def release(self, work: Work, tag: str, person: str = "rita") -> Push:
        """Let a person tag what a clone has checked out, and push the tag."""
        work.git("config", "core.sshCommand", shlex.join(self.client(person)))
        work.tag(tag)
        return work.push(tag)

    # --- what came of it ------------------------------------------------------------

    def live(self, chain: str = "dev", app: str = "shop") -> Path:
        """Return where the test finds what a chain shows."""
        return self.path(f"www/{app}-{chain}-1")

    def served(self, chain: str = "prod", app: str = "shop") -> dict[str, bytes]:
        """Return what a chain shows, byte for byte; links as what they hold."""
        found, top = {}, os.path.join(self.live(chain, app), "")
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                path = os.path.join(folder, name)
                if os.path.islink(path):
                    found[os.path.relpath(path, top)] = os.readlink(path).encode()
                elif os.path.isfile(path):
                    found[os.path.relpath(path, top)] = Path(path).read_bytes()
        return found

    @contextmanager
    def nothing_else_changes(self) -> Iterator[None]:
        """Let nothing change in the body that shop's pushers have no business with."""
        before = self._outside()
        yield
        now = self._outside()
        changed = [p for p in {*before, *now} if before.get(p) != now.get(p)]
        assert not changed, sorted(changed)[:10]

    def _outside(self) -> dict[str, tuple[int, int, str]]:
        """Return kind, owner and content of all that is there besides the app."""
        ours = {str(ROOT / name) for name in _OURS}
        found: dict[str, tuple[int, int, str]] = {}
        pending = [*_LOOKED_AT]
        while pending:
            for entry in os.scandir(self.machine.path(folder := pending.pop())):
                path, status = (
                    f"{folder}/{entry.name}",
                    entry.stat(follow_symlinks=False),
                )
                if path in ours:
                    continue
                found[path] = (status.st_mode, status.st_uid, _content(entry))
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
        return found


def _content(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return os.readlink(entry.path)
    if not entry.is_file(follow_symlinks=False):
        return ""
    return hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()


@contextmanager
def scene(directory: Path) -> Iterator[Scene]:
    """A server whose apps are made by `Scene.reset`."""
    with machine(directory / "machine") as one:
        one.gitdeploy("server", "install", "--no-packages")
        one.run("mkdir", "-m", "755", "/run/public")
        for person in GRANTS:
            key = directory / person
            words = ["-q", "-t", "ed25519", "-N", "", "-C", f"{person}@home"]
            process.run("ssh-keygen", *words, "-f", key)
            one.path(f"/run/public/{person}.pub").write_bytes(
                key.with_suffix(".pub").read_bytes()
            )
        with one.sshd(directory / "log") as port:
            host = one.path("/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
            known = f"[{HOST}]:{port} {host[0]} {host[1]}\n"
            (directory / "known_hosts").write_text(known)
            yield Scene(one, port, directory)
