"""What must be true after an activity was killed, or met an error.

Three promises: every link resolves (I), what stands afterwards is exactly BEFORE or
AFTER (S), and what somebody was told is true (T).
"""

import os
from collections.abc import Iterator
from itertools import chain

from crash.activities import Activity
from crash.beginnings import Beginning
from crash.checks import State, check_links, check_settled, pushed, shown, state
from crash.inside import Ended, end_all
from crash.world import World

__all__ = ["judge_error", "judge_killed", "settle"]

_BUGS = ("Traceback", "a bug: ")


def judge_killed(
    activity: Activity, begin: Beginning, world: World, ended: Ended
) -> list[str]:
    """Return what is wrong with a world in which an activity was just killed."""
    found = check_links(world, begin.lasting)
    done = activity.deed.said_done(ended)
    if done and not _is_at(world, begin.after):
        found.append(f"done was said, and {_where(begin, world)}")
    return found + settle(activity, begin, world, done=done)


def judge_error(
    activity: Activity, begin: Beginning, world: World, ended: Ended, cause: str
) -> list[str]:
    """Return what is wrong with a world in which one call failed with an error.

    What ends well has done all; what does not has done nothing, and says why.

    Args:
        activity: What was done.
        begin: Where it began.
        world: Where it is now.
        ended: How it ended.
        cause: The error's name, `ENOSPC`.
    """
    found = check_links(world, begin.lasting)
    done = activity.deed.said_done(ended)
    if not (done or activity.fails):
        found += _wrong_words(ended, cause)
    if done and not _is_at(world, begin.after):
        found.append(f"done was said, and {_where(begin, world)}: {_said(ended)}")
    elif not (done or activity.stepwise or _is_at(world, begin.before)) and not (
        activity.fails and "STILL LIVE" in _text(ended)
    ):
        found.append(f"failed was said, and {_where(begin, world)}: {_said(ended)}")
    return found + settle(activity, begin, world, done=done)


def _wrong_words(ended: Ended, cause: str) -> Iterator[str]:
    text = _text(ended)
    if any(word in text for word in _BUGS):
        yield f"a bug was met: {_said(ended)}"
    if not any(words in text for words in _CAUSES[cause]):
        yield f"its cause, {cause}, is not told: {_said(ended)}"


def _is_at(world: World, there: State) -> bool:
    return shown(world) == there.links and pushed(world) == there.refs


def _where(begin: Beginning, world: World) -> str:
    """Return how far a world is, in words."""
    if _is_at(world, begin.after):
        return "all is done"
    if _is_at(world, begin.before):
        return "nothing is done"
    return f"links are {shown(world)}, refs are {pushed(world)}"


def _said(ended: Ended) -> str:
    return f"exit {ended.code}, {_text(ended)[-400:]!r}"


def _text(ended: Ended) -> str:
    """Return what somebody was told, as one line: git breaks ours up."""
    return " ".join(f"{ended.stdout} {ended.stderr}".replace("remote:", " ").split())


_SQLITE = (
    "disk I/O error",
    "database or disk is full",
    "readonly database",
    "unable to open database file",
)
_CAUSES = {
    name: (os.strerror(number), *_SQLITE)
    for name, number in (
        ("ENOSPC", 28),
        ("EIO", 5),
        ("EACCES", 13),
        ("EMFILE", 24),
        ("EINTR", 4),
    )
}


def settle(
    activity: Activity, begin: Beginning, world: World, *, done: bool = False
) -> list[str]:
    """Do the next ordinary action; return what is wrong afterwards.

    What somebody was told is done may not be undone by it.

    Processes that were left running are waited for before: what they still do is
    theirs, and makes no two runs alike.
    """
    found = [f"process {pid} stays" for pid in end_all(world)]
    for deed in activity.next:
        ended = deed.inside(world)
        if not deed.said_done(ended):
            return [*found, f"the next action failed: {ended}"]
    may_be = [begin.after.chains] if done else [begin.before.chains, begin.after.chains]
    wrong = _wrong_state(activity, may_be, world)
    return [*found, *chain(wrong, check_settled(world))]


def _wrong_state(
    activity: Activity, may_be: list[dict[str, tuple[str, ...]]], world: World
) -> Iterator[str]:
    """Yield what is not as it was before or as it is afterwards."""
    chains = state(world).chains
    new = world.work.oid(activity.pushed_next)[:7]
    if chains["dev"][:1] != (new,):
        yield f"the next push put {new} on dev, which is {chains['dev']}"
    found = {**chains, "dev": chains["dev"][1:]}
    if found not in may_be:
        yield f"chains are {found}, not {' or '.join(map(str, may_be))}"
    if world.refs().get("refs/heads/main") != world.work.oid(activity.pushed_next):
        yield "main is not where it was pushed"
