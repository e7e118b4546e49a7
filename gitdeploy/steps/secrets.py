"""The forms in which a secret may stand in text; only computed."""

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from gitdeploy.system.terminal import printable

__all__ = ["SHORTEST", "forms", "pattern"]

SHORTEST: Final = 6
"""Characters; a shorter value would hide ordinary words."""

_WRAPPED: Final = 76  # columns of a line of base64(1)
_GROUP: Final = 3  # bytes that base64 turns into four characters
_DISPATCHED: Final = 2
_LOWER_HEX: Final = re.compile(r"%[0-9A-F]{2}")


def forms(secret: str) -> set[str]:
    """Return how a secret may be written: as it is, and encoded.

    As it is means line by line, without what no terminal takes. Encoded: as base64 (in
    both alphabets, beginning anywhere in what was encoded), in a URL, in JSON. None is
    shorter than `SHORTEST`.
    """
    if len(secret) < SHORTEST:
        return set()
    found = {printable(line) for line in secret.splitlines()}
    found |= {_lower(found) for found in _in_url(secret)} | {*_in_url(secret)}
    found |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    found |= {*_in_base64(secret.encode("utf-8", "surrogateescape"))}
    return {form for form in found if len(form) >= SHORTEST}


def pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds any of the words, a longer one first; None: there are none.

    They are sorted by their beginnings: trying hundreds, one after the other, at each
    character of a long output takes minutes.
    """
    sorted_words = sorted(set(words), key=lambda word: (-len(word), word))
    if not sorted_words:
        return None
    return re.compile(_one_of(sorted_words, _DISPATCHED))


def _one_of(words: list[str], levels: int) -> str:
    if not levels or len(words) == 1:
        return f"(?:{'|'.join(map(re.escape, words))})"
    by_first: dict[str, list[str]] = defaultdict(list)
    for word in words:
        by_first[word[0]].append(word[1:])
    branches = (
        re.escape(first) + _one_of(rest, levels - 1) for first, rest in by_first.items()
    )
    return f"(?:{'|'.join(branches)})"


def _in_url(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    yield quote(raw)
    yield quote(raw, safe="")
    yield quote_plus(raw)


def _lower(url: str) -> str:
    return _LOWER_HEX.sub(lambda found: found[0].lower(), url)


def _in_base64(raw: bytes) -> Iterator[str]:
    """Yield the characters that are the same whatever stands before and behind.

    Source:
        RFC 4648, section 4: three bytes are four characters of six bits.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode().rstrip("=")
        yield whole
        yield from (whole[at : at + _WRAPPED] for at in range(0, len(whole), _WRAPPED))
        for before in range(_GROUP):
            text = encode(bytes(before) + raw).decode().rstrip("=")
            mixed = (0, 2, 3)[before]  # characters with bits of what stands before
            ends_within = bool((before + len(raw)) % _GROUP)
            yield text[mixed : len(text) - ends_within]
