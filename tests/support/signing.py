"""Keys that people sign with, ssh and PGP, made for a test and known to nobody else."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from support import process
from support.git import Work
from support.server import Server
from support.tools import needs

LONG_AGO = "20200101T000000"
PEOPLE = ("ada", "ben", "eve", "old", "early", "filer")


class Keys:
    """One ssh key for each person, in a directory."""

    def __init__(self, directory: Path, *people: str) -> None:
        needs("ssh-keygen")
        directory.mkdir(parents=True)
        self.directory = directory
        for person in people:
            words = ("-q", "-t", "ed25519", "-N", "", "-C", f"{person}@home")
            process.run("ssh-keygen", *words, "-f", directory / person)

    def line(self, person: str, options: str = "", name: str = "") -> str:
        """Return a person's line of allowed_signers."""
        kind, key, *_ = (self.directory / f"{person}.pub").read_text().split()
        return " ".join(filter(None, [name or person, options, kind, key])) + "\n"

    def fingerprint(self, person: str) -> str:
        """Return a key's fingerprint, `SHA256:…`."""
        said = process.run("ssh-keygen", "-l", "-f", self.directory / f"{person}.pub")
        return said.stdout.split()[1]

    def signing(self, work: Work, person: str) -> None:
        """Let a clone sign by a person's key from now on."""
        work.git("config", "gpg.format", "ssh")
        work.git("config", "user.signingKey", str(self.directory / f"{person}.pub"))


@dataclass(frozen=True)
class Place:
    """A server whose prod takes what is signed, and a clone that pushes to it."""

    server: Server
    work: Work
    keys: Keys

    @classmethod
    def made(cls, server: Server, work: Work, keys: Keys) -> Self:
        """Stage a first commit, and let prod take signed tags of most people."""
        place = cls(server, work, keys)
        work.commit("one", **{"index.html": "one"})
        assert work.push("main").code == 0
        place.wants('prod = "tags"')
        place.allow_all()
        return place

    @property
    def allowed(self) -> Path:
        """Where it stands who may sign."""
        return self.server.root / "allowed_signers"

    @property
    def keyring(self) -> Path:
        """Where the PGP keys are."""
        return self.server.root / "gnupg"

    def wants(self, toml: str) -> None:
        """Let [signed] of server.toml be this."""
        (self.server.root / "shop" / "server.toml").write_text(f"[signed]\n{toml}\n")

    def allow_all(self) -> None:
        """Let everybody sign but eve, at their times."""
        line = self.keys.line
        self.allowed.write_text(
            "# who signs\n"
            + line("ada")
            + line("ben")
            + line("old", 'valid-before="20250601"')
            + line("early", 'valid-after="20990101"')
            + line("filer", 'namespaces="file"')
        )

    def tag(self, name: str, person: str, *words: str, date: str = "") -> None:
        """Sign a tag on what is checked out."""
        self.keys.signing(self.work, person)
        env = {"GIT_COMMITTER_DATE": date} if date else {}
        self.work.git("tag", "-s", "-m", name, name, *words, env=env)

    def reason(self, *refspecs: str, ref: str = "") -> str:
        """Return why a push is refused, in git's status line; empty: it is not."""
        refs = self.server.refs()
        push = self.work.push(*refspecs)
        if push.code:
            assert self.server.refs() == refs
        return push.status(ref or refspecs[-1]).reason


class Pgp(NamedTuple):
    """A developer's home of GnuPG, with a key for each name."""

    home: Path
    fingerprints: dict[str, str]

    def signing(self, work: Work, name: str, *, at: str = "", digest: str = "") -> None:
        """Let a clone sign by a key from now on; at a time, by a digest, if stated."""
        gpg = self.home / "gpg"
        faked = f"--faked-system-time {at}!" if at else ""
        by = f"--digest-algo {digest}" if digest else ""
        gpg.write_text(f'#!/bin/sh\nexec gpg --homedir {self.home} {faked} {by} "$@"\n')
        gpg.chmod(0o755)
        work.git("config", "gpg.format", "openpgp")
        work.git("config", "gpg.program", str(gpg))
        work.git("config", "user.signingKey", self.fingerprints[name])

    def export(self, keyring: Path, *names: str) -> None:
        """Put the public keys of some names into another home."""
        keyring.mkdir(mode=0o700, exist_ok=True)
        prints = [self.fingerprints[name] for name in names]
        keys = gpg(self.home, "--armor", "--export", *prints)
        gpg(keyring, "--no-autostart", "--import", stdin=keys)

    def revoke(self, keyring: Path, name: str) -> None:
        """Let another home know that a key is revoked."""
        place = self.home / "openpgp-revocs.d" / f"{self.fingerprints[name]}.rev"
        gpg(
            keyring,
            "--no-autostart",
            "--import",
            stdin=place.read_text().replace(":-----", "-----"),
        )


def gpg(home: Path, *words: str, stdin: str = "") -> str:
    """Run gpg with a home."""
    argv = (needs("gpg"), "--homedir", home, "--batch", "--quiet", *words)
    return process.run(*argv, stdin=stdin).stdout


@contextmanager
def pgp_keys(**expire: str) -> Iterator[Pgp]:
    """Make a key for each name, that lasts as long as stated from 2020 on.

    In a place whose name is short enough for the socket of gpg's agent.
    """
    needs("gpg")
    home = Path(tempfile.mkdtemp(prefix="pgp"))
    try:
        for name, lasts in expire.items():
            words = ("--passphrase", "", "--faked-system-time", LONG_AGO)
            user = f"{name} <{name}@example.org>"
            key = ("--quick-generate-key", user, "ed25519", "sign", lasts)
            gpg(home, *words, *key)
        yield Pgp(home, {name: _fingerprint(home, name) for name in expire})
    finally:
        process.run("gpgconf", "--homedir", home, "--kill", "all", check=False)
        shutil.rmtree(home, ignore_errors=True)


def _fingerprint(home: Path, name: str) -> str:
    listed = gpg(home, "--list-keys", "--with-colons", f"{name}@example.org")
    line = next(line for line in listed.splitlines() if line.startswith("fpr:"))
    return line.split(":")[9]
