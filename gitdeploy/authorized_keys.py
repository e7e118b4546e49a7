"""The file by which sshd knows keys: the lines of it that are ours.

A line is ours by the command that it forces, whatever options stand in front of it.
Lines that others wrote stay as they are, byte for byte. What a key is, ssh-keygen says.
"""

import base64
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.errors import SystemFailed, UsageError
from gitdeploy.key_lines import FORCED, lines, taken_apart
from gitdeploy.system import files, flock, process
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import BARE
from gitdeploy.system.terminal import printable

__all__ = [
    "MOST_BYTES",
    "Key",
    "changing",
    "is_weak",
    "key_of",
    "keys_in",
    "opens",
    "text_of",
    "with_key",
    "without",
    "write",
]

_PRIVATE: Final = 0o600
_PRIVATE_DIRECTORY: Final = 0o700
_FEWEST_BITS: Final = {"RSA": 2048}
_KINDS: Final = ("ED25519", "ED25519-SK", "ECDSA", "ECDSA-SK", "RSA")
_TOLD: Final = re.compile(r"(\d+) (SHA256:\S+) .*\(([A-Z0-9-]+)\)")
_KEYGEN_S: Final = 10.0
MOST_BYTES: Final = 64 * 1024
"""Of a .pub file; a key is far shorter."""


class Key(Struct, frozen=True):
    """A public key of a person."""

    person: str
    text: str
    """Type and base64, as in a .pub file."""
    fingerprint: str
    """`SHA256:…`, as ssh-keygen shows it."""
    comment: str = ""
    expires: str | None = None
    """ISO 8601, UTC; None: it does not."""
    python: str = ""
    """What its line starts; empty before it has one."""
    root: str = ""
    """Whose apps it lets in to; empty where its line does not say."""
    more: str = ""
    """Options that people put into its line, as they stand: `from="10.0.0.0/8"`."""
    restricted: bool = True
    """Whether its line forbids forwarding and terminals, by `restrict`."""

    @property
    def kind(self) -> str:
        """Its type, as sshd names it: `ssh-ed25519`."""
        return self.text.partition(" ")[0]

    def until(self, expires: str | None) -> Self:
        """Return the same key, until another time."""
        return replace(self, expires=expires)


def opens(key: Key, root: Path) -> bool:
    """Return whether a key lets in to the apps of a root; one that names none, does."""
    return not key.root or os.path.realpath(key.root) == os.path.realpath(root)


def key_of(person: str, data: bytes, *, where: str, path: str) -> Key:
    """Return the one public key that a .pub file holds.

    Args:
        person: Whose it is.
        data: The whole file.
        where: What the file is called in errors.
        path: PATH, to find ssh-keygen.

    Raises:
        UsageError: It holds none, several, a private one, or one that is too weak.
    """
    if b"PRIVATE KEY" in data:
        raise UsageError(f"{where}: is a private key", hint=f"give {where}.pub")
    text = data.decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    words = lines[0].split(None, 2) if len(lines) == 1 else []
    if len(words) < 2 or not _is_key(words[0], words[1]):  # noqa: PLR2004 - type and key
        found = f"{len(lines)} lines" if len(lines) != 1 else "something else"
        raise UsageError(f"{where}: should hold one public ssh key, got {found}")
    weakness = is_weak(" ".join(words[:2]), path=path)
    if weakness:
        raise UsageError(f"{where}: {weakness}", hint="ssh-keygen -t ed25519")
    comment = printable(words[2].strip()) if len(words) > 2 else ""  # noqa: PLR2004 - and a comment
    text = " ".join(words[:2])
    fingerprint = _fingerprint(words[1])
    return Key(person=person, text=text, fingerprint=fingerprint, comment=comment)


def is_weak(text: str, *, path: str) -> str:
    """Return why a key is not good enough, as ssh-keygen sees it; empty: it is."""
    argv = [program("ssh-keygen", path), "-l", "-E", "sha256", "-f", "/dev/stdin"]
    try:
        told = process.run(
            argv, env=BARE, stdin=f"{text}\n".encode(), timeout_s=_KEYGEN_S
        )
    except process.CommandFailed:
        return "ssh-keygen knows no such key"
    found = _TOLD.match(told.decode("utf-8", "replace"))
    if found is None or found[3] not in _KINDS:
        return f"should be one of {', '.join(_KINDS)}"
    if int(found[1]) < _FEWEST_BITS.get(found[3], 0):
        return f"should have at least {_FEWEST_BITS[found[3]]} bits, got {found[1]}"
    return ""


def keys_in(text: str) -> list[Key]:
    """Return the keys of authorized_keys that are ours, in their order."""
    return [key for line in lines(text) if (key := _read(line))]


def with_key(
    text: str, key: Key, *, python: str, root: Path, path: Path | None = None
) -> str:
    """Return authorized_keys with a key, in place of a line that has the same one.

    Options that people put into that line stay.

    Args:
        text: All of the file.
        key: What is let in.
        python: What starts us.
        root: Where the apps are.
        path: The file itself, so that each command of the key is looked up in it.

    Raises:
        UsageError: The key is somebody else's, lets in to another root, or stands in a
            line that is not ours: sshd takes the first that fits.
    """
    for line in lines(text):
        if key.text.partition(" ")[2] in line.split():
            mine = _read(line)
            _refuse_another(mine, key, root)
            key = replace(key, more=mine.more if mine else "")
    kept = without(text, {key.fingerprint})
    end = "" if not kept or kept.endswith("\n") else "\n"
    return f"{kept}{end}{_line(key, python, root, path)}\n"


def _refuse_another(mine: Key | None, key: Key, root: Path) -> None:
    """Refuse to take a line over that lets somebody else in, or to something else."""
    if mine is None:
        raise UsageError(
            "this key stands in a line that gitdeploy did not write: it opens a shell",
            hint="take that line out of authorized_keys first",
        )
    if not opens(mine, root):
        words = ("gitdeploy", "key", "remove", mine.person, mine.fingerprint)
        raise UsageError(
            f"this key lets {mine.person} in to {mine.root}; one key opens one root",
            hint=shlex.join([*words, "--root", mine.root]),
        )
    if mine.person != key.person:
        raise UsageError(f"this key is {mine.person}'s already")


def without(text: str, fingerprints: set[str], root: Path | None = None) -> str:
    """Return authorized_keys without some of our keys; None: of whatever root."""
    return "".join(
        line
        for line in lines(text)
        if not (
            (key := _read(line))
            and key.fingerprint in fingerprints
            and (root is None or opens(key, root))
        )
    )


@contextmanager
def changing(path: Path) -> Iterator[str]:
    """Hold authorized_keys for the body, which may `write` it; yields its text.

    Changes: the directory and a lock file beside it, where they are missing.
    """
    if files.make_directory(path.parent, _PRIVATE_DIRECTORY):
        files.change_mode(path.parent, _PRIVATE_DIRECTORY)
    fd = files.open_to_hold(path.with_name(f".{path.name}.gitdeploy-lock"))
    try:
        flock.hold(fd)
        yield text_of(path)
    finally:
        os.close(fd)


def text_of(path: Path) -> str:
    """Return authorized_keys; empty where there is none.

    Raises:
        SystemFailed: It is a link: what it points to is somebody else's to change.
    """
    if path.is_symlink():
        raise SystemFailed(f"{path}: is a link", hint="give --authorized-keys FILE")
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""


def write(path: Path, text: str) -> None:
    """Replace authorized_keys, whole.

    Changes: the file, 0600; sshd sees the old one or the new one.
    """
    files.write_whole(path, text.encode("utf-8", "surrogateescape"), _PRIVATE)


def _line(key: Key, python: str, root: Path, path: Path | None) -> str:
    argv: Sequence[str] = (
        python,
        "-I",
        "-m",
        FORCED,
        f"--root={root}",
        *([f"--authorized-keys={path}"] if path else []),
        f"--key={key.fingerprint}",
        key.person,
    )
    # Within the quotes of an option only the quote is escaped (sshd(8)).
    command = shlex.join(argv).replace('"', '\\"')
    more = f",{key.more}" if key.more else ""
    options = f'restrict{_as_sshd_has_it(key.expires)}{more},command="{command}"'
    return f"{options} {key.text} {key.comment}".rstrip()


def _read(line: str) -> Key | None:
    """Return the key of a line that forces our command; None for any other line."""
    words = taken_apart(line)
    if words is None or not _is_key(words.kind, words.encoded):
        return None
    names = [name for name, _ in words.options]
    return Key(
        person=words.argv[-1],
        text=f"{words.kind} {words.encoded}",
        fingerprint=_fingerprint(words.encoded),
        comment=words.comment,
        expires=words.expires,
        python=words.argv[0],
        root=words.argument("--root="),
        more=words.more,
        restricted="restrict" in names,
    )


def _is_key(kind: str, encoded: str) -> bool:
    """Return whether base64 holds what its type says (RFC 4253, section 6.6)."""
    try:
        data, name = base64.b64decode(encoded, validate=True), kind.encode()
    except ValueError:  # not base64, not ASCII, or not even text
        return False
    return data.startswith(len(name).to_bytes(4, "big") + name)


def _fingerprint(encoded: str) -> str:
    import hashlib  # not for a look into the file: OpenSSL is dear

    digest = hashlib.sha256(base64.b64decode(encoded)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _as_sshd_has_it(expires: str | None) -> str:
    return f',expiry-time="{re.sub("[-:T]", "", expires)}"' if expires else ""
