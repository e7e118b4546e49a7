"""Dying or failing at a real system call, by strace's injection; no hook in our code.

A call is known by its name and by how often its process had called that name before
(`rename:3`). A first run lists those that change something below the root. One that
only reads needs no point of its own: a kill there leaves what a kill at the next
changing call leaves. strace kills at the entry of a call, which is then not executed.

Whose calls they are is the actor: `self` is the process of gitdeploy alone, the hook or
the verb; `parent` is git receive-pack alone; `tree` is every process that git starts on
the server, each of which meets its own end at its own call.
"""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from support import process

from crash.deeds import Deed, PushOf, Verb
from crash.inside import Ended, end_all
from crash.world import World, python

__all__ = ["Actor", "Call", "calls_of", "injected"]

Actor = Literal["self", "parent", "tree"]

SOURCE = Path(__file__).resolve().parent.parent.parent

_BY_PATH = (
    *("open", "openat", "creat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("chmod", "fchmodat", "chown", "fchownat", "truncate", "utimensat"),
)
_BY_DESCRIPTOR = (
    *("write", "pwrite64", "writev", "fsync", "fdatasync", "syncfs", "ftruncate"),
    *("fallocate", "fchmod", "fchown", "copy_file_range", "sendfile"),
)
CHANGING = (*_BY_PATH, *_BY_DESCRIPTOR)
_TALK = ("read", "write")
"""What git receive-pack does while the hook is at work."""

_WRITES = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC)")
_LINE = re.compile(r"(?:(?P<pid>\d+) +)?(?P<name>\w+)\((?P<rest>.*)", re.DOTALL)
_NAMED = re.compile(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"\d+<([^>]*)>")


class Call(NamedTuple):
    """A system call that changes the disk below a root."""

    name: str
    k: int
    """The how many-th of that name in its process, from 1."""
    path: str
    pid: str
    """Empty where only one process was looked at."""

    @property
    def label(self) -> str:
        """How this call is asked for by name."""
        return f"{self.name}:{self.k}"


# --- the calls --------------------------------------------------------------------


def calls_of(deed: Deed, world: World, actor: Actor) -> list[Call]:
    """Return the calls of a deed, which is done to `world`, that change its root."""
    wanted = (*CHANGING, *_TALK) if actor == "parent" else CHANGING
    trace = _trace(world)
    ended = _straced(deed, world, actor, ["-e", f"trace={','.join(wanted)},execve"])
    assert ended.code in (0, 1), ended
    end_all(world)
    found = list(_calls(trace, world, talk=actor == "parent"))
    return (
        [c for c in found if c.pid not in _python(trace)] if actor == "tree" else found
    )


def _calls(trace: Path, world: World, *, talk: bool) -> Iterator[Call]:
    counts: Counter[tuple[str, str]] = Counter()
    for line in trace.read_text(errors="replace").splitlines():
        if not (match := _LINE.match(line)):
            continue
        pid, name, rest = match["pid"] or "", match["name"], match["rest"]
        counts[pid, name] += 1
        path = _changed(name, rest, str(world.root))
        if path or (talk and name in _TALK):
            yield Call(name, counts[pid, name], path, pid)


def _changed(name: str, rest: str, root: str) -> str:
    """Return what a call changes below `root`; empty where it changes nothing."""
    reads = name.startswith("open") and not _WRITES.search(rest)
    if name not in CHANGING or reads or " = -1 " in rest:
        return ""
    if name in _BY_DESCRIPTOR:
        found = _DESCRIPTOR.match(rest)
        return found[1] if found and found[1].startswith(f"{root}/") else ""
    named = _NAMED.findall(rest)
    if not named:  # of an open file, as futimens(3) asks
        named = [_DESCRIPTOR.findall(rest)[:1]]
    path = [os.path.join(*pair) for pair in named][-1]
    # A relative name is git's, whose directory is the repository.
    return path if path.startswith(f"{root}/") or path[:1] != "/" else ""


def _python(trace: Path) -> set[str]:
    """Return the processes that became a Python: they are looked at by themselves."""
    found = re.findall(r'^(\d+) +execve\("[^"]*python', trace.read_text(), re.MULTILINE)
    return set(found)


# --- the run ----------------------------------------------------------------------


def injected(
    deed: Deed, world: World, actor: Actor, label: str, what: str
) -> tuple[Ended, bool]:
    """Do a deed with a fault at a call; return how it ended and whether it met it.

    Args:
        deed: What is done.
        world: Where.
        actor: Whose calls are counted.
        label: The call; with `+` at its end all from there on.
        what: As strace has it: `signal=SIGKILL`, `error=ENOSPC`.
    """
    name, when = label.split(":")
    inject = ["-e", f"trace={name}", "-e", f"inject={name}:{what}:when={when}"]
    ended = _straced(deed, world, actor, inject)
    lines = _trace(world).read_text(errors="replace").splitlines()
    if what == "signal=SIGKILL":
        return ended, any("killed by SIGKILL" in line for line in lines)
    if what.startswith("signal"):  # which may be blocked just then, and wait
        calls = [line for line in lines if _LINE.match(line)]
        return ended, len(calls) >= int(when.removesuffix("+"))
    return ended, any("(INJECTED)" in line for line in lines)


def _trace(world: World) -> Path:
    return world.root.with_name(f"{world.root.name}.trace")


def _straced(deed: Deed, world: World, actor: Actor, options: list[str]) -> Ended:
    words = ["strace", "-q", "-y", "-o", str(_trace(world)), *options]
    if actor == "tree":
        words.append("-f")
    if isinstance(deed, Verb):
        env = world.environment()
        done = process.run(*words, *python(), *deed.words, env=env, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)
    assert isinstance(deed, PushOf)
    if actor == "self":
        with_hook = _wrapped(world, deed.hook, words)
        ended = deed.really(world)
        with_hook.unwrap()
        return ended
    receive_pack = shlex.join([*words, "git-receive-pack"])
    push = world.push(*deed.refspecs, receive_pack=receive_pack)
    return Ended(push.code, "", push.output)


class _wrapped:  # noqa: N801 - reads as a statement
    """A hook, its Python under strace: repeatable, and leaving no caches."""

    def __init__(self, world: World, hook: str, words: list[str]) -> None:
        self._hook = world.repository / "hooks" / hook
        self._original = self._hook.read_bytes()
        stub = str(SOURCE / "hooks" / hook)
        command = shlex.join([*words, *python()[:-2], stub])
        self._hook.write_text(f"#!/bin/sh\nPYTHONHASHSEED=0 exec {command}\n")
        os.utime(self._hook)

    def unwrap(self) -> None:
        """Put the hook back."""
        self._hook.write_bytes(self._original)
