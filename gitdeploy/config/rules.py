"""Rules that concern more than one value of a table; each refuses or returns.

A refusal is a `BadValueError` whose `at` says which value.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from gitdeploy.config.values import BadValueError, shown

__all__ = [
    "is_url_path",
    "is_web_url",
    "placed",
    "refuse_bad_headers",
    "refuse_bad_names",
    "refuse_empty",
    "refuse_same_names",
    "refuse_too_many",
]

_MOST_COMMANDS: Final = 100
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS: Final = ("GITDEPLOY_", "GIT_")


class _Named(Protocol):
    @property
    def name(self) -> str | None: ...


def placed(key: str, paths: Sequence[str]) -> list[tuple[str, str]]:
    """Return each path with the key path it has below its table."""
    return [(f"{key}[{index}]", path) for index, path in enumerate(paths)]


def refuse_empty(command: str | tuple[str, ...] | None, at: str) -> None:
    """Refuse a command that starts no program, and one that no kernel takes.

    Source:
        execve(2): arguments end at their first NUL.
    """
    if command is None:
        return
    program = command if isinstance(command, str) else "".join(command[:1])
    if not program.strip():
        raise BadValueError("a command", "an empty one", at=at)
    if any("\0" in word for word in command):
        raise BadValueError("a command without NUL characters", "one with", at=at)


def refuse_bad_names(env: Mapping[str, str]) -> None:
    """Refuse variables that a shell cannot name, and those that are ours or git's."""
    for name, value in env.items():
        at = f".env.{name if name.isidentifier() else shown(name)}"
        if not (name.isascii() and name.isidentifier()):
            should = "a name of letters, digits and _, not beginning with a digit"
            raise BadValueError(should, shown(name), at=at)
        if name.startswith(_OURS):
            should = "a name that does not begin with GITDEPLOY_ or GIT_"
            raise BadValueError(should, shown(name), at=at)
        if "\0" in value:
            raise BadValueError("text without NUL characters", "text with one", at=at)


def refuse_bad_headers(headers: Mapping[str, str]) -> None:
    """Refuse what is no name or value of an HTTP header.

    Source:
        RFC 9110, sections 5.1 and 5.5.
    """
    for name, value in headers.items():
        at = f".headers.{shown(name)}"
        if not _TOKEN.fullmatch(name):
            raise BadValueError("the name of an HTTP header", shown(name), at=at)
        if not (value.isascii() and value.isprintable()):
            raise BadValueError("printable ASCII characters", shown(value), at=at)


def refuse_too_many(commands: Sequence[object], at: str) -> None:
    """Refuse more commands than anyone writes by hand."""
    if len(commands) > _MOST_COMMANDS:
        raise BadValueError(
            f"at most {_MOST_COMMANDS} tables", str(len(commands)), at=at
        )


def refuse_same_names(steps: Sequence[_Named]) -> None:
    """Refuse two steps that were given the same name."""
    seen = set[str]()
    for index, step in enumerate(steps):
        if step.name is None:
            continue
        if step.name in seen:
            at = f".steps[{index}].name"
            raise BadValueError("a name no other step has", shown(step.name), at=at)
        seen.add(step.name)


def is_url_path(text: str) -> bool:
    """Tell whether text is the path of a URL, from `/`."""
    return text.startswith("/") and _is_plain(text)


def is_web_url(text: str) -> bool:
    """Tell whether text is an http or https URL; the host is not looked up."""
    scheme, _, rest = text.partition("://")
    host = rest.partition("/")[0]
    return scheme in ("http", "https") and bool(host) and _is_plain(text)


def _is_plain(text: str) -> bool:
    return text.isprintable() and " " not in text
