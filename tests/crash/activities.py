"""What is done to a world while it is killed: by real clients, or inside a process.

An activity begins in a world that was made once and is copied for every point.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from support import process

from crash.inside import Ended, inside
from crash.world import POSITIONS, World

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
                os.lseek(0, 0, os.SEEK_SET)
                os.ftruncate(0, 0)
                os.write(0, "".join(f"{update}\n" for update in updates).encode())
                os.lseek(0, 0, os.SEEK_SET)
                sys.stdin = open(0, closefd=False)  # noqa: SIM115
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


@dataclass(frozen=True)
class Activity:
    """Something that is done, from where, and what is done next."""

    name: str
    deed: Deed
    next: tuple[Deed, ...]
    """The ordinary action that follows; its last is a push of main."""
    begin: Callable[[World], None] = lambda _world: None
    """Brings a copy of the base world to where the activity begins."""
    base: bool = True
    """Whether it begins with the base world; else with an empty root."""
    recovery: Deed = Verb(("repair", "shop"))
    """What somebody does who knows of the crash."""
    stepwise: bool = False
    """Whether an error may leave a part of it done: it is safe to repeat."""

    @property
    def pushed_next(self) -> str:
        """The branch of the clone that is pushed to main in the end."""
        last = self.next[-1]
        assert isinstance(last, PushOf)
        return last.refspecs[0].partition(":")[0]


def push(*refspecs: str) -> PushOf:
    """Return a push of branches to main, of tags, or of whole refspecs."""
    return PushOf(tuple(refspecs))


def verb(*words: str) -> Verb:
    """Return a verb."""
    return Verb(words)


def _really(*deeds: Deed) -> Callable[[World], None]:
    def begin(world: World) -> None:
        for deed in deeds:
            ended = deed.really(world)
            assert ended.code == 0, ended

    return begin


def _bent(world: World) -> None:
    """Bend a link, remove one, and take a published ref away."""
    six = os.readlink(world.target / "shop-dev-1")
    (world.target / "shop-prod-2").unlink()
    (world.target / "shop-prod-2").symlink_to(six)
    (world.target / "shop-dev-3").unlink()
    process.run(
        "git", f"--git-dir={world.repository}", "update-ref", "-d", "refs/deploy/dev/2"
    )


def _worn(world: World) -> None:
    """Take away parts of the app that setup makes whole."""
    (world.repository / "hooks" / "post-receive").unlink()
    process.run(
        "git", f"--git-dir={world.repository}", "config", "--unset", "core.fsync"
    )
    shutil.rmtree(world.home / "empty")
    (world.home / "empty").mkdir()


def _killed(world: World) -> None:
    """Stage, and die between two links."""
    from crash.failpoints import killing, points_of

    points = points_of(_STAGE, world.copied(world.root.with_name("rehearsal")))
    (at, *_) = (
        p.label for p in points if p.name == "os.rename" and "shop-dev-2" in p.path
    )
    ended = _STAGE.inside(world, before=killing(at, world.root))
    assert ended.code != 0, ended
    shutil.rmtree(world.root.with_name("rehearsal"))


MAIN = "refs/heads/main"
_STAGE = push(f"stage:{MAIN}")
_ALL_IS_WELL = (push(f"after-main:{MAIN}"),)
_AFTER_STAGE = (push(f"after-stage:{MAIN}"),)
_MORE_LINKS = verb("setup", "shop", "--links", str(POSITIONS + 1))
_REPAIR = verb("repair", "shop")
_UNTAGGED = "refs/tags/v4"

ACTIVITIES = {
    activity.name: activity
    for activity in (
        Activity("stage", _STAGE, _AFTER_STAGE),
        Activity("release", push("c6:refs/tags/v6"), _ALL_IS_WELL),
        Activity("revert", push(f"revert:{MAIN}"), (push(f"after-revert:{MAIN}"),)),
        Activity("untag", push(f":{_UNTAGGED}"), _ALL_IS_WELL),
        Activity("rollback", verb("rollback", "shop"), _ALL_IS_WELL),
        Activity(
            "rollforward",
            verb("rollforward", "shop"),
            _ALL_IS_WELL,
            begin=_really(verb("rollback", "shop")),
        ),
        Activity("prune", verb("prune", "shop", "--keep", "0"), _ALL_IS_WELL),
        Activity(
            "setup",
            verb("setup", "shop"),
            (verb("setup", "shop"), push(f"c1:{MAIN}")),
            base=False,
            recovery=verb("setup", "shop"),
            stepwise=True,
        ),
        Activity(
            "setup again",
            _MORE_LINKS,
            (_MORE_LINKS, *_ALL_IS_WELL),
            begin=_worn,
            stepwise=True,
        ),
        Activity(
            "fewer links",
            verb("setup", "shop", "--links", "2"),
            _ALL_IS_WELL,
            stepwise=True,
        ),
        Activity(
            "first",
            push(f"c1:{MAIN}"),
            (push(f"c2:{MAIN}"),),
            begin=_really(verb("setup", "shop")),
            base=False,
        ),
        Activity(
            "first of master",
            push("c1:refs/heads/master"),
            (push(f"c2:{MAIN}"),),
            begin=_really(verb("setup", "shop")),
            base=False,
        ),
        Activity("relink", _REPAIR, _ALL_IS_WELL, begin=_bent, stepwise=True),
        Activity("recovery", _REPAIR, _AFTER_STAGE, begin=_killed, stepwise=True),
    )
}
