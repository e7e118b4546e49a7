"""What is done to a world while it is killed: by real clients, or inside a process.

An activity begins in a world that was made once and is copied for every point.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from support import process

from crash.deeds import Deed, PushOf, UngatedPush, Verb
from crash.world import POSITIONS, World

_REPAIR = Verb(("repair", "shop"))
_NAMED = Verb(("repair", "shop", "--deploy", "main"))


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
    recovery: Deed = _REPAIR
    """What somebody does who knows of the crash."""
    fails: bool = False
    """Whether it comes to nothing by itself, and says so."""
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
_UNTAGGED = "refs/tags/v4"

ACTIVITIES = {
    activity.name: activity
    for activity in (
        Activity("stage", _STAGE, _AFTER_STAGE),
        Activity("alive", push(f"alive:{MAIN}"), (push(f"after-alive:{MAIN}"),)),
        Activity(
            "broken",
            push(f"broken:{MAIN}"),
            (_REPAIR, *_ALL_IS_WELL),  # what is pushed next begins where main is again
            fails=True,
        ),
        Activity("release", push("c6:refs/tags/v6"), _ALL_IS_WELL),
        Activity(
            "ungated",
            UngatedPush((f"stage:{MAIN}",)),
            # Without the gate git stumbles on its own locks before it asks us.
            # A ref that moved without a hook is deployed by whoever names it.
            (_NAMED, UngatedPush((f"after-stage:{MAIN}",))),
            begin=_really(verb("setup", "shop", "--no-gate")),
            stepwise=True,  # the ref moves first, and may have to wait for repair
        ),
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
