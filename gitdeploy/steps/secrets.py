"""The forms in which a secret may stand in text; only computed."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from html.entities import codepoint2name
from itertools import product
from typing import Final
from urllib.parse import quote, quote_plus

from gitdeploy.system.terminal import printable

__all__ = ["SHORTEST", "forms", "runs"]

SHORTEST: Final = 6
"""Characters; a shorter value would hide ordinary words."""

_GROUP: Final = 3  # bytes that base64 turns into four characters
_LOWER_HEX: Final = re.compile(r"%[0-9A-F]{2}")
_UPPER_JSON: Final = re.compile(r"\\u[0-9a-f]{4}")
_BETWEEN_BYTES: Final = (":", "-", "%", r"\x", ", 0x", ",0x", " 0x")
_OF_URLS: Final = ("/", "", "!'()*", ";,/?:@&=+$!*'()#")
"""What quote(), encodeURIComponent() and encodeURI() leave as it is."""
_BASH_ESCAPES: Final = re.compile(r"([\t !\"#$&'()*,;<>?\[\\\]^`{|}~])")
# bash itself: no # but the first, and no ~ but the first or one behind : or =.
_BASH_WITHIN: Final = re.compile(r"([\t !\"$&'()*,;<>?\[\\\]^`{|}]|(?<=[:=])~)")
_BASH_AT_START: Final = re.compile(rf"(^[#~]|{_BASH_WITHIN.pattern[1:-1]})")
_DOUBLE_QUOTED: Final = re.compile(r"([\\\"$`])")
_NOT_A_WORD: Final = re.compile(r"([^A-Za-z0-9_])")
_ANSI_C: Final = {
    "\\": r"\\",
    "'": r"\'",
    "\a": r"\a",
    "\b": r"\b",
    "\t": r"\t",
    "\n": r"\n",
    "\v": r"\v",
    "\f": r"\f",
    "\r": r"\r",
    "\x1b": r"\E",
}
_HTML_QUOTES: Final[tuple[dict[str, str | int | None], ...]] = (
    {"'": "&#x27;", '"': "&quot;"},  # Python
    {"'": "&#39;", '"': "&quot;"},
    {"'": "&#039;", '"': "&quot;"},  # PHP
    {"'": "&apos;", '"': "&quot;"},
    {"'": "'", '"': "&quot;"},
    {"'": "'", '"': '"'},
    {"'": "&#39;", '"': "&#34;", "+": "&#43;"},  # Go's html/template
    {"'": "&#39;", '"': "&quot;", "/": "&#x2F;", "`": "&#x60;", "=": "&#x3D;"},
)


def forms(secret: str) -> set[str]:
    """Return how a secret may be written: as it is, and encoded.

    As it is means line by line, without what no terminal takes. Encoded: in a URL, in
    JSON, in HTML, quoted for a shell or a program, as figures; what may begin anywhere
    and be wrapped is `runs`. None is shorter than `SHORTEST`.
    """
    if len(secret) < SHORTEST:
        return set()
    found = set(runs(secret))
    for written in (secret, *_in_shells(secret), *_in_html(secret)):
        found |= {printable(line) for line in written.splitlines()}
    for one in (*_in_url(secret), *_in_json(secret), *_in_programs(secret)):
        found.add(printable(one))
    found |= {*_as_figures(_bytes(secret))}
    return {form for form in found if len(form) >= SHORTEST}


def runs(secret: str) -> set[str]:
    """Return how a secret stands in a longer text that is encoded as a whole.

    Such a text is wrapped anywhere, so that a line may hold no more than a part of one.
    """
    if len(secret) < SHORTEST:
        return set()
    raw = _bytes(secret)
    found = {*_in_base64(raw), raw.hex(), raw.hex().upper()}
    found |= {raw.hex(" "), raw.hex(" ").upper()}
    return {run for run in found if len(run) >= SHORTEST}


def _bytes(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")


def _in_url(secret: str) -> Iterator[str]:
    raw = _bytes(secret)
    for encoded in (*(quote(raw, safe=safe) for safe in _OF_URLS), quote_plus(raw)):
        for one in (encoded, encoded.replace("~", "%7E")):
            yield one
            yield _LOWER_HEX.sub(lambda found: found[0].lower(), one)


def _in_json(secret: str) -> Iterator[str]:
    """Yield what Python, JavaScript, PHP, Go and .NET write between the quotes."""
    for ascii_only in (True, False):
        text = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        for marks, base in product(("", "<>&", "<>&'", "<>&'+`"), ("04x", "04X")):
            hidden = text.replace(r"\"", r"\u0022") if "'" in marks else text
            for mark in marks:  # which PHP writes in upper case, and ä in lower case
                hidden = hidden.replace(mark, f"\\u{ord(mark):{base}}")
            for one in (hidden, hidden.replace("/", r"\/")):
                yield one
                yield _UPPER_JSON.sub(lambda found: rf"\u{found[0][2:].upper()}", one)


def _in_html(secret: str) -> Iterator[str]:
    marked = html.escape(secret, quote=False)
    for quotes in _HTML_QUOTES:
        text = marked.translate(str.maketrans(quotes))
        yield text
        if not text.isascii():
            yield text.encode("ascii", "xmlcharrefreplace").decode()
            yield "".join(map(_named, text))
            yield "".join(c if c.isascii() else f"&#x{ord(c):x};" for c in text)
            yield "".join(c if c.isascii() else f"&#x{ord(c):X};" for c in text)
    yield "".join(f"&#{ord(c)};" for c in secret)
    yield "".join(f"&#x{ord(c):x};" for c in secret)
    yield "".join(f"&#x{ord(c):X};" for c in secret)


def _named(character: str) -> str:
    name = None if character.isascii() else codepoint2name.get(ord(character))
    return f"&{name};" if name else character


def _in_shells(secret: str) -> Iterator[str]:
    yield secret.replace("'", r"'\''")
    yield secret.replace("'", "'\"'\"'")
    in_bash = (_BASH_ESCAPES, _BASH_AT_START, _BASH_WITHIN)
    for marks in (*in_bash, _DOUBLE_QUOTED, _NOT_A_WORD):
        yield marks.sub(r"\\\1", secret)


def _in_programs(secret: str) -> Iterator[str]:
    """Yield what stands in $'…' of a shell, and between the quotes of Python."""
    written = "".join(_ANSI_C.get(character, character) for character in secret)
    for start, base in ((r"\x", "02x"), ("\\", "03o")):
        yield "".join(
            c if c.isprintable() and c.isascii() else _escaped(c, start, base)
            for c in written
        )
        yield "".join(
            c if c.isprintable() else _escaped(c, start, base) for c in written
        )
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1], repr(_bytes(secret))[2:-1])


def _escaped(character: str, start: str, base: str) -> str:
    return "".join(f"{start}{byte:{base}}" for byte in _bytes(character))


def _as_figures(raw: bytes) -> Iterable[str]:
    """Yield the hexadecimal figures of each byte, with what may stand between them."""
    pairs = [f"{byte:02x}" for byte in raw]
    for between in _BETWEEN_BYTES:
        yield between.join(pairs)
        yield between.join(pair.upper() for pair in pairs)


def _in_base64(raw: bytes) -> Iterator[str]:
    """Yield the characters that are the same whatever stands before and behind.

    Source:
        RFC 4648, section 4: three bytes are four characters of six bits.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        for before in range(_GROUP):
            text = encode(bytes(before) + raw).decode().rstrip("=")
            mixed = (0, 2, 3)[before]  # characters with bits of what stands before
            ends_within = bool((before + len(raw)) % _GROUP)
            yield text[mixed : len(text) - ends_within]
