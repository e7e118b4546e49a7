"""Who signed an object: git, ssh-keygen and gpg say it; whose word counts is not ours.

An exit status alone is not believed, nor are words without it: a signature by a key
that nobody knows is "good" too. git asks what was valid at the date that the object
itself has; anybody can write any date, so ssh-keygen is asked once more what is valid
now. gpg always tells what is valid now.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gitdeploy.signatures import pgp
from gitdeploy.signatures.parts import (
    DOES_NOT_FIT,
    SHOWN,
    Found,
    Parts,
    Signed,
    Unsigned,
    kind_of,
    name_of,
    of_commit,
    of_text,
)
from gitdeploy.system import process
from gitdeploy.system.git import Git
from gitdeploy.system.surroundings import Surroundings
from gitdeploy.system.terminal import fit, printable

__all__ = ["Signatures", "Signed", "Unsigned"]

_MOST_BYTES: Final = 2**20
_TIMEOUT_S: Final = 60.0

_GOOD: Final = re.compile(
    r'Good "git" signature for (.*\S) with (\S+) key (SHA256:[A-Za-z0-9+/]{43})'
)
_BY_A_STRANGER: Final = re.compile(
    r'Good "git" signature with \S+ key (SHA256:[A-Za-z0-9+/]{43})'
)
_OF_NO_USE: Final = {
    "key has expired": "which has expired",
    "key is not yet valid": "which is not valid yet",
    "key is not permitted for use in signature namespace": "which is not for git",
}


class Signatures:
    """The signatures in one repository, by keys that the server knows."""

    def __init__(
        self, git: Git, surroundings: Surroundings, allowed: Path, keyring: Path
    ) -> None:
        """Ask by these keys.

        Args:
            git: Runs git in the repository.
            surroundings: What ssh-keygen needs of the environment.
            allowed: The ssh keys, as ssh-keygen(1) has it under ALLOWED SIGNERS.
            keyring: A home of GnuPG; all keys in it are known.
        """
        self._git = git
        self._surroundings = surroundings
        self._allowed = allowed
        self._keyring = keyring
        self._found: dict[str, Found] = {}

    def of(self, id_: str) -> Found:
        """Return who signed a tag or commit; asked once for each.

        Args:
            id_: Full id of an object that the repository has.
        """
        if id_ not in self._found:
            self._found[id_] = self._ask(id_)
        return self._found[id_]

    def expired(self, signed: Signed, content: bytes) -> str:
        """Return why a push certificate is not valid now, that once was; empty: it is.

        Args:
            signed: Whom git says it is by.
            content: The certificate, with its signature behind it.
        """
        parts = of_text(content)
        kind = kind_of(parts)
        if isinstance(kind, Unsigned):
            return kind.why
        if kind == "PGP":
            found = self._by_pgp_now(parts)
            return found.why if isinstance(found, Unsigned) else ""
        found = self._by_ssh_now(signed, parts)
        if isinstance(found, Unsigned):
            return found.why
        return "" if found == signed else DOES_NOT_FIT

    def _ask(self, id_: str) -> Found:
        if not self._allowed.exists() and not self._keyring.is_dir():
            return self._missing()
        head = self._git("cat-file", "--batch-check", stdin=f"{id_}\n".encode())
        _, kind, size_bytes = head.decode().split()
        if int(size_bytes) > _MOST_BYTES:
            return Unsigned(f"has more than {_MOST_BYTES // 1024} KiB")
        content = self._git("cat-file", kind, id_)
        parts = of_text(content) if kind == "tag" else of_commit(content)
        found = self._by_kind(kind, id_, parts)
        if isinstance(found, Signed) and kind == "tag":
            return Signed(found.who, found.key, name_of(content))
        return found

    def _by_kind(self, kind: str, id_: str, parts: Parts) -> Found:
        by = kind_of(parts)
        if isinstance(by, Unsigned):
            return by
        return (
            self._by_pgp(kind, id_) if by == "PGP" else self._by_ssh(kind, id_, parts)
        )

    def _missing(self) -> Unsigned:
        why = f"cannot be verified: {self._allowed} is missing"
        return Unsigned(why, for_want_of_keys=True)

    # --- ssh ----------------------------------------------------------------------

    def _by_ssh(self, kind: str, id_: str, parts: Parts) -> Found:
        if not self._allowed.exists():
            return self._missing()
        done = self._git.ended(
            f"verify-{kind}",
            "--raw",
            id_,
            config=[f"gpg.ssh.allowedSignersFile={self._allowed}"],
            timeout_s=_TIMEOUT_S,
        )
        then = self._heard(done)
        if isinstance(then, Unsigned):
            return then
        now = self._by_ssh_now(then, parts)
        if now == then or isinstance(now, Unsigned):
            return now
        return Unsigned(DOES_NOT_FIT)

    def _by_ssh_now(self, signed: Signed, parts: Parts) -> Found:
        """Return whether the same signature holds now, whatever the object's date."""
        with _as_file(parts.signature) as (descriptor, path):
            options = (
                "-f",
                str(self._allowed),
                "-I",
                signed.who,
                "-n",
                "git",
                "-s",
                path,
            )
            done = process.ended(
                [self._surroundings.program("ssh-keygen"), "-Y", "verify", *options],
                env=self._surroundings.environment().also({"LC_ALL": "C"}),
                stdin=parts.payload,
                keeps=[descriptor],
                timeout_s=_TIMEOUT_S,
            )
        return self._heard(done, signed.key)

    def _heard(self, done: process.Ended, key: str = "") -> Found:
        """Return what ssh-keygen said, by itself or through git."""
        said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
        good = [line for line in said if line.startswith("Good ")]
        match = _GOOD.fullmatch(good[0]) if len(good) == 1 else None
        if match and not done.code:
            return Signed(printable(match[1]), match[3])
        stranger = _BY_A_STRANGER.fullmatch(good[0]) if good else None
        if unread := self._unread(said):
            return Unsigned(f"cannot be verified: {unread}", for_want_of_keys=True)
        return Unsigned(self._why_not(said, stranger[1] if stranger else key))

    def _unread(self, said: Sequence[str]) -> str:
        """Return what is wrong with allowed_signers itself; empty: nothing is."""
        for line in said:
            words = line.partition(f"{self._allowed}:")[2].partition(": ")[2]
            if str(self._allowed) in line and not words.startswith((*_OF_NO_USE,)):
                return printable(re.sub(r'Unable to .* file "(.*)": ', r"\1: ", line))
        return ""

    def _why_not(self, said: Sequence[str], key: str) -> str:
        start = f"{self._allowed}:"
        told = [line.removeprefix(start) for line in said if line.startswith(start)]
        for _, _, words in (line.partition(": ") for line in told):
            for beginning, means in _OF_NO_USE.items():
                if words.startswith(beginning):
                    return f"is signed with {key or 'a key'}, {means}"
        if any("incorrect signature" in line for line in said):
            return DOES_NOT_FIT
        if key:
            return f"is signed with {key}, which {self._allowed.name} does not have"
        last = said[-1] if said else "nothing was said"
        return f"has a signature that does not hold: {fit(printable(last), SHOWN)}"

    # --- PGP ----------------------------------------------------------------------

    def _by_pgp(self, kind: str, id_: str) -> Found:
        if not self._keyring.is_dir():
            return Unsigned(f"is signed by PGP, and there is no {self._keyring}")
        done = self._git.ended(
            f"verify-{kind}",
            "--raw",
            id_,
            environment={"GNUPGHOME": str(self._keyring)},
            timeout_s=_TIMEOUT_S,
        )
        return pgp.heard(done, self._keyring)

    def _by_pgp_now(self, parts: Parts) -> Found:
        """Return what gpg says of a certificate, of which git tells too little."""
        if not self._keyring.is_dir():
            return Unsigned(f"is signed by PGP, and there is no {self._keyring}")
        home = {"GNUPGHOME": str(self._keyring), "LC_ALL": "C"}
        with _as_file(parts.signature) as (descriptor, path):
            words = ["--batch", "--status-fd=1", "--keyid-format=long", "--verify"]
            done = process.ended(
                [self._surroundings.program("gpg"), *words, path, "-"],
                env=self._surroundings.environment().also(home),
                stdin=parts.payload,
                keeps=[descriptor],
                timeout_s=_TIMEOUT_S,
            )
        return pgp.heard(done, self._keyring)


@contextmanager
def _as_file(data: bytes) -> Iterator[tuple[int, str]]:
    """Give data a path for one child, which must have the descriptor; on no disk."""
    descriptor = os.memfd_create("signature")
    try:
        os.write(descriptor, data)  # memory takes it whole
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
