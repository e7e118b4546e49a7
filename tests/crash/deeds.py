"""What somebody does to a world: by a real client, or inside a forked process."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from support import process

from crash.inside import Ended, inside
from crash.world import World

__all__ = ["Deed", "PushOf", "UngatedPush", "Verb"]

NOTHING = "0" * 40


class Deed(Protocol):
    """Something that somebody does to a world."""

    def really(self, world: World) -> Ended:
        """Do it as people do: with a client of its own."""

    def inside(
        self, world: World, *, before: Callable[[], None] | None = None
    ) -> Ended:
        """Do it in a process forked from this one, which calls `before` first."""

    def said_done(self, ended: Ended) -> bool:
        """Return whether whoever asked for it was told that it is done."""


@dataclass(frozen=True)
class Verb:
    """A verb of the command line."""

    words: tuple[str, ...]

    def really(self, world: World) -> Ended:
        """See `Deed`."""
        done = world.gitdeploy(*self.words)
        return Ended(done.returncode, done.stdout, done.stderr)

    def inside(
        self, world: World, *, before: Callable[[], None] | None = None
    ) -> Ended:
        """See `Deed`."""

        def main() -> int:
            from gitdeploy.cli.main import main

            sys.argv = ["gitdeploy", *self.words]
            return main()

        return inside(main, world, before=before)

    def said_done(self, ended: Ended) -> bool:
        """See `Deed`."""
        return ended.code == 0


@dataclass(frozen=True)
class PushOf:
    """A push; each refspec is `SOURCE:REF` with full ref names, or `:REF`."""

    refspecs: tuple[str, ...]
    hook: ClassVar[str] = "proc-receive"
    """The hook that deploys."""

    def really(self, world: World) -> Ended:
        """See `Deed`."""
        push = world.push(*self.refspecs)
        return Ended(push.code, "", push.output)

    def inside(
        self, world: World, *, before: Callable[[], None] | None = None
    ) -> Ended:
        """See `Deed`: both hooks, one after the other, as git would call them.

        The objects are brought before: that they come is git's part, not ours.
        """
        bring_objects(world, self.refspecs)
        updates = self._updates(world)

        def main() -> int:
            from gitdeploy.hooks import post_receive, proc_receive

            if (code := proc_receive.main()) == 0:
                _say(updates)
                post_receive.main()
            return code

        ended = inside(main, world, stdin=_commands(updates), before=before)
        if ended.code == 0 and not self.said_done(ended):
            return Ended(1, ended.stdout, ended.stderr)
        return ended

    def said_done(self, ended: Ended) -> bool:
        """See `Deed`: the client says so, or the hook told git so."""
        return (
            ended.code == 0
            if not ended.stdout
            else ended.stdout.count("ok refs/") == len(self.refspecs)
        )

    def _updates(self, world: World) -> list[str]:
        there = world.refs()
        found = []
        for refspec in self.refspecs:
            source, _, ref = refspec.partition(":")
            new = world.work.oid(source) if source else NOTHING
            found.append(f"{there.get(ref, NOTHING)} {new} {ref}")
        return found


@dataclass(frozen=True)
class UngatedPush(PushOf):
    """A push to an app without the gate: git moves the ref, then tells the hook.

    git's exit status says nothing about the deployment; the hook's words do.
    """

    hook: ClassVar[str] = "post-receive"

    def inside(
        self, world: World, *, before: Callable[[], None] | None = None
    ) -> Ended:
        """See `Deed`."""
        bring_objects(world, self.refspecs)
        updates = self._updates(world)
        git = ("git", f"--git-dir={world.repository}", "update-ref")
        for old, new, ref in (update.split(" ") for update in updates):
            process.run(*git, ref, new, old)

        def main() -> int:
            from gitdeploy.hooks import post_receive

            _say(updates)
            return post_receive.main()

        return inside(main, world, before=before)

    def said_done(self, ended: Ended) -> bool:
        """See `Deed`."""
        return " is shop-staging" in ended.stderr


def _say(updates: list[str]) -> None:
    """Let this process read what git tells post-receive."""
    os.lseek(0, 0, os.SEEK_SET)
    os.ftruncate(0, 0)
    os.write(0, "".join(f"{update}\n" for update in updates).encode())
    os.lseek(0, 0, os.SEEK_SET)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lives as long as we do


def bring_objects(world: World, refspecs: tuple[str, ...]) -> None:
    """Have the objects of a push in the repository, as git has when it calls hooks."""
    sources = [
        source for source, _, _ in (r.partition(":") for r in refspecs) if source
    ]
    wanted = "".join(f"{world.work.oid(source)}\n" for source in sources)
    git = ("git", f"--git-dir={world.repository}")
    said = process.run(*git, "cat-file", "--batch-check", stdin=wanted).stdout
    if "missing" in said:
        words = ("fetch", "--quiet", "--no-write-fetch-head", "--no-tags")
        process.run(*git, *words, world.clone, *sources)


def _commands(updates: list[str]) -> bytes:
    """Return what git sends to proc-receive (githooks(5)), in pkt-lines."""
    hello = "version=1\0atomic"
    packets = [hello, None, *updates, None]
    return b"".join(
        b"0000" if text is None else f"{len(text) + 4:04x}{text}".encode()
        for text in packets
    )
