"""Where secrets stand in a line of text, fast enough for megabytes; only computed."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from gitdeploy.steps.secrets import SHORTEST, forms, runs

__all__ = ["Hidden"]

Span: TypeAlias = tuple[int, int]

_AROUND: Final = " \t\"'\\,;|"
"""What may stand around a line of a text that was encoded and wrapped."""
_OFFSET: Final = re.compile(r"[0-9a-fA-F]{6,16}:? +")
"""Before a line of od(1) or xxd(1)."""


class Hidden:
    """Finds secrets in text, in each of their forms, also wrapped ones.

    A regular expression of all forms takes a second to compile for fifty secrets, and
    tries hundreds of branches at each character. What begins at a place is looked up.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        all_of_them = list(secrets)
        self._forms: dict[str, list[str]] = defaultdict(list)
        for form in {form for secret in all_of_them for form in forms(secret)}:
            self._forms[form[:SHORTEST]].append(form)
        for found in self._forms.values():
            found.sort(key=len, reverse=True)
        self._parts = _parts({run for secret in all_of_them for run in runs(secret)})

    @property
    def longest(self) -> int:
        """The characters of the longest form; 0 where there is no secret."""
        return max((len(found[0]) for found in self._forms.values()), default=0)

    def spans(self, text: str) -> Iterator[Span]:
        """Yield from where to where secrets stand, in order, none within another."""
        if not self._forms:
            return
        start, end = 0, self._at_start(text)
        for place, form_end in (*self._found(text), (self._at_end(text), len(text))):
            if place >= end:  # two that overlap are one
                if end > start:
                    yield start, end
                start = place
            end = max(end, form_end)
        if end > start:
            yield start, end

    def _found(self, text: str) -> Iterator[Span]:
        """Yield from where to where whole forms stand; they may overlap."""
        for place in self._places(text):
            words = self._forms[text[place : place + SHORTEST]]
            form = next((word for word in words if text.startswith(word, place)), "")
            if form:
                yield place, place + len(form)

    def _places(self, text: str) -> list[int]:
        """Return where a form may begin."""
        known = self._forms
        places = range(len(text) - SHORTEST + 1)
        return [at for at in places if text[at : at + SHORTEST] in known]

    def _at_start(self, text: str) -> int:
        """Return the end of a part of a secret with which a line begins; else 0."""
        offset, best = _OFFSET.match(text), 0
        for bare in {text, text[offset.end() :] if offset else text}:
            line = bare.lstrip(_AROUND)
            whole = line.rstrip(_AROUND)
            for run, at in self._parts.get(line[:SHORTEST], ()):
                rest = run[at:]
                if line.startswith(rest) or rest.startswith(whole):
                    end = min(len(rest), len(whole))
                    best = max(best, len(text) - len(line) + end)
        return best

    def _at_end(self, text: str) -> int:
        """Return the start of a part of a secret with which a line ends."""
        line = text.rstrip(_AROUND)
        begun = (
            run[: at + SHORTEST] for run, at in self._parts.get(line[-SHORTEST:], ())
        )
        longest = max((len(part) for part in begun if line.endswith(part)), default=0)
        return len(line) - longest if longest else len(text)


def _parts(all_runs: set[str]) -> dict[str, list[tuple[str, int]]]:
    """Return the runs that hold some characters, and where they do."""
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for run in all_runs:
        for at in range(len(run) - SHORTEST + 1):
            found[run[at : at + SHORTEST]].append((run, at))
    return dict(found)
