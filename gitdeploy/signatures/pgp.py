"""What gpg says of a signature, as a status line each (GnuPG, doc/DETAILS)."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gitdeploy.signatures.parts import DOES_NOT_FIT, SHOWN, Found, Signed, Unsigned
from gitdeploy.system.process import Ended
from gitdeploy.system.terminal import fit, printable

__all__ = ["heard"]

_NO: Final = {
    "BADSIG": DOES_NOT_FIT,
    "EXPSIG": "is signed with the PGP key {}, by a signature that has expired",
    "EXPKEYSIG": "is signed with the PGP key {}, which has expired",
    "REVKEYSIG": "is signed with the PGP key {}, which was revoked",
    "ERRSIG": "is signed with the PGP key {}, which is not in {keyring}",
}
"""By the word of gpg's status (GnuPG, doc/DETAILS)."""
_FINGERPRINT: Final = re.compile(r"[0-9A-F]{40,64}")
_STATUS: Final = "[GNUPG:] "
_DIGESTS: Final = {
    "1": "MD5",
    "2": "SHA-1",
    "3": "RIPEMD-160",
    "8": "",
    "9": "",
    "10": "",
    "11": "",
    "12": "",
    "14": "",
}
"""By their number in OpenPGP (RFC 9580, 9.5); empty: nobody can forge one."""
_OF_VALID: Final = 6
_OF_ERROR: Final = 1
"""Where the digest's number stands, behind the key, in VALIDSIG and ERRSIG."""


def heard(done: Ended, keyring: Path) -> Found:
    """Return what gpg said, by itself or through git.

    Args:
        done: All that came of it.
        keyring: Where the keys are.
    """
    said = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    status = [
        line.removeprefix(_STATUS).split(" ", 2)
        for line in said
        if line.startswith(_STATUS)
    ]
    if forgeable := _by_a_weak_digest(status):
        return Unsigned(forgeable)
    for word, *rest in status:
        if word in _NO:
            key = printable(rest[0]) if rest else "of nobody"
            return Unsigned(_NO[word].format(key, keyring=keyring))
    signed = _signed(status)
    if signed and not done.code:
        return signed
    last = said[-1] if said else "nothing was said"
    return Unsigned(f"cannot be verified: {fit(printable(last), SHOWN)}")


def _by_a_weak_digest(status: Sequence[Sequence[str]]) -> str:
    """Return that somebody else could have made the same one; empty: nobody could."""
    for word, *rest in status:
        at = {"VALIDSIG": _OF_VALID, "ERRSIG": _OF_ERROR}.get(word)
        if at is None or len(rest) < 2:  # noqa: PLR2004 - a key, and what follows
            continue
        number = [*rest[1].split(" "), *[""] * at][at]
        digest = _DIGESTS.get(number, f"digest {printable(number)}")
        if digest:
            key = printable(rest[0])
            return f"is signed with the PGP key {key} by {digest}, which can be forged"
    return ""


def _signed(status: Sequence[Sequence[str]]) -> Signed | None:
    """Return who signed, where gpg says it once and without a but."""
    good = [words for words in status if words[0] == "GOODSIG"]
    valid = [words for words in status if words[0] == "VALIDSIG"]
    if not len(good) == len(valid) == 1:
        return None
    key = " ".join(valid[0][1:]).split(" ")[-1]  # the primary key's
    if not _FINGERPRINT.fullmatch(key):
        return None
    from urllib.parse import unquote

    name = unquote(" ".join(good[0][2:]))
    address = re.search(r"<([^<>]+)>\s*\Z", name)
    return Signed(printable(address[1] if address else name) or key, key)
