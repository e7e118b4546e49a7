"""Lines of authorized_keys as sshd reads them: which are ours, and what they say.

A line is ours by the command that it forces, whatever options stand in front of it.
Touches nothing; hooks ask it, so that no key is hashed here.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

__all__ = ["FORCED", "Words", "lines", "roots", "standing", "taken_apart"]

FORCED: Final = "gitdeploy.forced_command"
"""The module that a line of ours starts."""

# As sshd reads a line (sshd(8)): within quotes, a backslash stands for a quote alone.
_QUOTED: Final = r'"(?>(?:\\"|[^"])*)"'
_LINE: Final = re.compile(
    rf'[ \t]*(?P<options>(?:{_QUOTED}|[^ \t"#])(?:{_QUOTED}|[^ \t"])*)'
    r"[ \t]+(?P<kind>\S+)[ \t]+(?P<encoded>\S+)(?:[ \t]+(?P<comment>.*))?"
)
_OPTION: Final = re.compile(rf'([^=,"]+)(?:=({_QUOTED}|[^,"]*))?(?:,|$)')
_TIME: Final = re.compile(r"(\d{8})(\d{4})?(\d{2})?(Z?)")
_LONG_AGO: Final = "0001-01-01T00:00:00Z"


class Words(Struct, frozen=True):
    """A line of ours, taken apart."""

    argv: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    kind: str
    encoded: str
    comment: str

    def argument(self, name: str) -> str:
        """Return the value of an argument of the command, `--root=`; else nothing."""
        found = [word.removeprefix(name) for word in self.argv if word.startswith(name)]
        return found[0] if found else ""

    @property
    def expires(self) -> str | None:
        """When sshd takes it no more; ISO 8601, UTC."""
        times = [value for name, value in self.options if name == "expiry-time"]
        return _as_people_have_it(times[0]) if times else None

    @property
    def more(self) -> str:
        """The options that are not ours, as sshd wants them written."""
        ours = ("restrict", "command", "expiry-time")
        texts = (
            name if not value else '{}="{}"'.format(name, value.replace('"', '\\"'))
            for name, value in self.options
            if name not in ours
        )
        return ",".join(texts)


def standing(text: str, *, fingerprint: str, person: str) -> list[Words]:
    """Return the lines of ours that let in a person with a key.

    Asked at every command of a person, so that no key is hashed.

    Args:
        text: All of authorized_keys.
        fingerprint: As the key's own line states it.
        person: Whose it has to be.
    """
    return [
        words
        for line in lines(text)
        if fingerprint in line
        and (words := taken_apart(line))
        and (words.argument("--key="), words.argv[-1]) == (fingerprint, person)
    ]


def roots(text: str) -> set[str]:
    """Return the roots that authorized_keys lets anybody in to."""
    found = (taken_apart(line) for line in lines(text))
    return {one.argument("--root=") for one in found if one is not None}


def lines(text: str) -> list[str]:
    """Return the lines with their ends, as sshd has them: a newline alone ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def taken_apart(line: str) -> Words | None:
    """Return a line taken apart, where it forces our command; else None."""
    found = _LINE.fullmatch(line.rstrip("\n"))
    if found is None or FORCED not in found["options"]:
        return None
    options = tuple(_options(found["options"]))
    commands = [value for name, value in options if name == "command"]
    try:
        argv = tuple(shlex.split(commands[0])) if commands else ()
    except ValueError:
        return None
    if FORCED not in argv:
        return None
    return Words(argv, options, found["kind"], found["encoded"], found["comment"] or "")


def _options(text: str) -> Iterator[tuple[str, str]]:
    """Yield the options of a line, their names in lower case, values unquoted."""
    for name, value in _OPTION.findall(text):
        yield (
            name.lower(),
            value.removeprefix('"').removesuffix('"').replace('\\"', '"'),
        )


def _as_people_have_it(text: str) -> str:
    """Return an expiry-time of sshd as ISO 8601, UTC; without a Z it is local time."""
    from datetime import UTC, datetime

    found = _TIME.fullmatch(text)
    if found is None:  # then sshd takes nothing of the line
        return _LONG_AGO
    date, clock_, seconds, zulu = found.groups()
    try:
        moment = datetime.strptime(  # noqa: DTZ007 - its zone follows
            f"{date}{clock_ or '0000'}{seconds or '00'}", "%Y%m%d%H%M%S"
        )
    except ValueError:
        return _LONG_AGO
    moment = moment.replace(tzinfo=UTC) if zulu else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
