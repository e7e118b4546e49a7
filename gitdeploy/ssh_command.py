"""What somebody asks for over ssh, told from their command line; touches nothing.

Only what stands in the tables here can be asked for. An app is named, never a path.
"""

import re
import shlex
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from gitdeploy.config.access import Action
from gitdeploy.model import CHAINS, ChainName

__all__ = [
    "MOST_BYTES",
    "VERBS",
    "Asked",
    "GitAsked",
    "No",
    "Verb",
    "VerbAsked",
    "needs_on",
    "not_seen",
    "read",
]

MOST_BYTES: Final = 32 * 1024
"""A longer command is refused unread."""

_GIT: Final[Mapping[str, str]] = {
    "git-receive-pack": "receive-pack",
    "git-upload-pack": "upload-pack",
}
_REPOSITORY: Final = re.compile(r"/?([a-z0-9][a-z0-9._-]*?)(?:\.git)?/?")
_SHOWN: Final = 60


class Verb(Struct, frozen=True):
    """One of gitdeploy's verbs that can be asked for over ssh."""

    needs: tuple[Action, ...]
    """One of these rights is enough."""
    options: frozenset[str] = frozenset()
    """Options without a value, beside --json."""
    valued: frozenset[str] = frozenset()
    """Options whose value is the next word, or stands behind `=`."""
    words: int = 0
    """How many words may follow the app."""
    on_chain: bool = False
    """Whether the one word that may follow the app is a chain."""


_WAIT: Final = frozenset({"--wait"})

VERBS: Final[Mapping[str, Verb]] = {
    "status": Verb(("read",)),
    "history": Verb(("read",), valued=frozenset({"--limit"})),
    "logs": Verb(("read",), options=frozenset({"-f", "--follow"}), words=1),
    "releases": Verb(("read",), options=frozenset({"--all"})),
    "plan": Verb(("read",), words=1),
    "release": Verb(("release",), valued=_WAIT),
    "rollback": Verb(
        ("rollback",),
        options=frozenset({"--force"}),
        valued=frozenset({"--to", "--steps", "--wait"}),
        words=1,
        on_chain=True,
    ),
    "rollforward": Verb(("rollback",), valued=_WAIT, words=1, on_chain=True),
    "redeploy": Verb(("release",), valued=_WAIT, words=1, on_chain=True),
    "lock": Verb(("admin",), valued=frozenset({"--reason", "--chain", "--until"})),
    "unlock": Verb(("admin",)),
    "cancel": Verb(
        ("stage", "release", "rollback"), options=frozenset({"--all"}), valued=_WAIT
    ),
    "env": Verb(("env",), valued=frozenset({"--chain", "--wait"}), words=100),
}
"""What can be asked for, with the rights it takes and the words it may have."""

_ENV_ACTIONS: Final = ("set", "unset", "list")
_ON_DEV: Final[Mapping[str, tuple[Action, ...]]] = {"redeploy": ("stage",)}


def needs_on(verb: str, chain: ChainName) -> tuple[Action, ...]:
    """Return the rights of which a verb takes one on a chain; `admin`, not over ssh."""
    if chain == "dev" and verb in _ON_DEV:
        return _ON_DEV[verb]
    return VERBS[verb].needs if verb in VERBS else ("admin",)


class GitAsked(Struct, frozen=True):
    """A push or a fetch."""

    program: str
    """receive-pack or upload-pack."""
    app: str


class VerbAsked(Struct, frozen=True):
    """One of gitdeploy's verbs."""

    verb: str
    app: str
    words: tuple[str, ...]
    """What follows the verb; the app is the first that is no option."""
    needs: tuple[Action, ...]
    """One of these rights is enough."""
    chain: ChainName
    """The one it is about, for verbs that are about one."""


class No(Struct, frozen=True):
    """Nothing that can be asked for, and why."""

    reason: str
    hint: str = ""


Asked: TypeAlias = GitAsked | VerbAsked | No


def read(command: str, apps: Collection[str]) -> Asked:
    """Return what a command line asks for.

    Args:
        command: SSH_ORIGINAL_COMMAND as sshd hands it over; empty for a shell.
        apps: The names of the apps there are; nothing else is ever named.
    """
    words = _words(command)
    if isinstance(words, No):
        return words
    if words[0] in _GIT:
        return _git(words, apps)
    if words[0] in VERBS:
        return _verb(words[0], words[1:], apps)
    return No(f"{_short(words[0])} cannot be run here", _what_there_is())


def _words(command: str) -> list[str] | No:
    """Return the words of a command, at least one; no shell looks at them."""
    if not command.strip():
        return No("there is no shell here", _what_there_is())
    if len(command.encode("utf-8", "surrogateescape")) > MOST_BYTES:
        return No(f"the command has more than {MOST_BYTES // 1024} KiB")
    if not command.isprintable():
        return No("the command has control characters")
    try:
        return shlex.split(command)
    except ValueError:
        return No("the command has a quote that does not end")


def _git(words: list[str], apps: Collection[str]) -> Asked:
    expected = 2
    if len(words) != expected:
        return No(f"{words[0]} takes the name of an app and nothing else")
    named = _REPOSITORY.fullmatch(words[1])
    if named is None:
        return No(
            f"{_short(words[1])} is no app's name; a path is not taken",
            "git remote set-url server USER@HOST:APP",
        )
    if named[1] not in apps:
        return _unknown(named[1])
    return GitAsked(_GIT[words[0]], named[1])


def _verb(name: str, words: list[str], apps: Collection[str]) -> Asked:
    verb = VERBS[name]
    sorted_out = _plain_words(verb, words)
    if isinstance(sorted_out, No):
        return No(f"{name}: {sorted_out.reason}", sorted_out.hint)
    if not sorted_out:
        return No(f"{name}: which app is missing", f"ssh HOST {name} APP")
    app, *rest = sorted_out
    if app not in apps:
        return _unknown(app)
    if no := _objection(name, verb, rest):
        return no
    on_dev = verb.on_chain and rest[:1] == ["dev"]
    chain: ChainName = "dev" if on_dev else "prod"
    return VerbAsked(name, app, tuple(words), needs_on(name, chain), chain)


def _objection(name: str, verb: Verb, rest: list[str]) -> No | None:
    """Return what is wrong with the words behind the app."""
    if len(rest) > verb.words:
        return No(f"{name}: {_short(rest[verb.words])} is a word too many")
    if verb.on_chain and rest and rest[0] not in CHAINS:
        return No(f"{name}: should be dev or prod, got {_short(rest[0])}")
    if name == "env" and (not rest or rest[0] not in _ENV_ACTIONS):
        return No(f"env: should be {', '.join(_ENV_ACTIONS)} behind the app")
    return None


def _plain_words(verb: Verb, words: list[str]) -> list[str] | No:
    """Return the words that are neither options nor their values."""
    plain: list[str] = []
    coming = iter(words)
    for word in coming:
        option, assigned, _ = word.partition("=")
        if not word.startswith("-"):
            plain.append(word)
        elif option in verb.valued:
            if not assigned and next(coming, None) is None:
                return No(f"{option} wants a value")
        elif word not in verb.options | {"--json"}:
            known = ", ".join(sorted(verb.options | verb.valued | {"--json"}))
            return No(f"{_short(word)} cannot be said over ssh", f"there are: {known}")
    return plain


def not_seen(app: str) -> str:
    """Return what is said of an app that is not there, or not theirs to see.

    The same words: a stranger is not told which apps there are.
    """
    return f"no app {_short(app)} that you may see"


def _unknown(app: str) -> No:
    return No(not_seen(app))


def _what_there_is() -> str:
    return f"git push and fetch, and: {', '.join(VERBS)}"


def _short(word: str) -> str:
    return repr(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…")
