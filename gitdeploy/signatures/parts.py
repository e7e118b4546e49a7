"""An object with its signature taken apart, as git does it, and what came of asking."""

import re
from typing import Final, TypeAlias

from msgspec import Struct

__all__ = [
    "DOES_NOT_FIT",
    "SHOWN",
    "Found",
    "Parts",
    "Signed",
    "Unsigned",
    "kind_of",
    "name_of",
    "of_commit",
    "of_text",
]

SHOWN: Final = 60
"""Characters of what a program said that are passed on."""
DOES_NOT_FIT: Final = "has a signature that does not fit what it signs"

# As parse_signed_buffer of git's gpg-interface.c: the last of them begins it.
_BEGINS: Final = re.compile(
    rb"(?m)^-----BEGIN (SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----"
)
_ENDS: Final = re.compile(
    rb"(?m)^-----END (?:SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----"
)


class Signed(Struct, frozen=True):
    """A signature that holds, by a key that the server knows, and that is valid now."""

    who: str
    """The name that allowed_signers has; of a PGP key the e-mail address."""
    key: str
    """The key's fingerprint."""
    tag: str = ""
    """The name that a signed tag has within itself."""

    @property
    def words(self) -> str:
        """Who, and by which key."""
        return f"{self.who} {self.key}"


class Unsigned(Struct, frozen=True):
    """No signature that holds."""

    why: str
    """What is to be said of the object: "is not signed"."""
    for_want_of_keys: bool = False
    """Whether the server lacks what it verifies by; no other signature would help."""


Found: TypeAlias = Signed | Unsigned


class Parts(Struct, frozen=True):
    """An object taken apart as git does it."""

    payload: bytes
    signature: bytes


def of_text(content: bytes) -> Parts:
    """Take a tag or a certificate apart: the signature stands behind what it signs."""
    begins = [match.start() for match in _BEGINS.finditer(content)]
    at = begins[-1] if begins else len(content)
    return Parts(content[:at], content[at:])


def of_commit(content: bytes) -> Parts:
    """Take a commit apart: the signature is a header, and what it signs the rest.

    Source: parse_signed_commit of git's commit.c.
    """
    headers, gap, message = content.partition(b"\n\n")
    kept: list[bytes] = []
    signature: list[bytes] = []
    name = b""
    for line in headers.split(b"\n"):
        if not line.startswith(b" "):
            name = line.partition(b" ")[0]
        if name == b"gpgsig":
            signature.append(line.removeprefix(b"gpgsig").removeprefix(b" ") + b"\n")
        elif name != b"gpgsig-sha256":
            kept.append(line)
    return Parts(b"\n".join(kept) + gap + message, b"".join(signature))


def name_of(tag: bytes) -> str:
    """Return the name that a tag has within itself; empty where it has none."""
    for line in tag.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"tag "):
            return line.removeprefix(b"tag ").decode("utf-8", "surrogateescape")
    return ""


def kind_of(parts: Parts) -> str | Unsigned:
    """Return which kind a signature is of, SSH or PGP; or why it is none that counts.

    Programs read it up to its last line; git takes all behind it along, and shows it.
    """
    begins = _BEGINS.match(parts.signature)
    if begins is None:
        return Unsigned("is not signed")
    ends = _ENDS.search(parts.signature)
    if ends and parts.signature[ends.end() :].strip():
        return Unsigned("has text behind its signature, which nobody signed")
    kind = begins[1].decode().partition(" ")[0]
    if kind == "SIGNED":
        return Unsigned("is signed by X.509, which is not verified here")
    return kind
