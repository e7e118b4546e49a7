"""What a push that deploys nothing new imports, so that it cannot grow unseen.

A hook is Python's start and its imports, and little else: see docs/performance.md.
"""

import pytest
from support.git import Push, Work
from support.imports import Imports, closure, tell_imports, told
from support.server import Server

TOML = """
[shared]
dirs = ["storage"]
[[build.steps]]
run = "true"
"""

GATE = {
    "": "access chain door errors ground layout links logs model retention running"
    " states",
    "config": "access addresses commands confining declared linking load notify paths"
    " patterns places probing reading refs rules schema server services shared sharing"
    " signed values windows",
    "decide": "rules together words",
    "deploy": "acceptance aftermath app attempt content facts finishing flip flow judge"
    " notified placed prune push ready recorded recover relocate report reserve"
    " showing still_wanted tidy trial trial_time watched wording",
    "hooks": "note pkt_line proc_receive surface",
    "ledger": "chains database deployments releases schema watches",
    "lock": "lending queue tickets",
    "repository": "configuration debris locks objects refs upkeep",
    "system": "bugs client clock copying disk files flock git lifeline owner process"
    " processes programs removal signals surroundings terminal",
}
"""Of gitdeploy: what proc-receive imports for a push that builds nothing."""

AFTER_THE_GATE = {"hooks": "note post_receive"}
"""And post-receive, which finds that all is done."""

OF_OTHERS = "contextlib ctypes json msgspec os pathlib pwd re signal sqlite3 subprocess"
OF_OTHERS += " textwrap tomli typing unicodedata"
"""Of Python and of others: these, and what they import themselves."""

NEVER = {"click", "git", "pygit2", "rich", "dataclasses", "inspect", "hashlib"}

WHAT_TO_DO = """
{hook} of a {push} imports what it did not: {new}
Every pusher waits for that. Import it inside the function that needs it; see who
imports it:  python -X importtime -c 'import gitdeploy.hooks.{module}'
If every such push does need it, add it to the list in {file}, and say in the
commit what it costs: median of 30 starts, before and after."""

TOO_MANY = """
{hook} of a {push} does not import {gone} any more: take it off the list in {file}"""


@pytest.fixture
def pushes(server: Server, work: Work) -> dict[str, tuple[Imports, ...]]:
    """What both hooks import for each kind of push that builds nothing."""
    work.commit("one", **{"page": "one", "deploy.toml": TOML})
    assert work.push("main").code == 0
    work.commit("two", page="two")
    assert work.push("main").code == 0
    tell_imports(server)
    work.revert()
    found = {"pushed revert": told(_pushed(work, "main"))}
    work.tag("v1")
    found["tag on what is staged"] = told(_pushed(work, "v1"))
    work.commit("nothing")
    found["push that changes nothing"] = told(_pushed(work, "main"))
    events = [event["verdict"] for event in server.history()]
    assert events == ["unchanged", "deployed", "rolled back", "deployed", "deployed"]
    return found


def _all(rooms: dict[str, str]) -> set[str]:
    """Return the modules of some rooms, and the rooms that are packages."""
    inside = {f"{room}.{name}" for room in rooms for name in rooms[room].split()}
    return {name.removeprefix(".") for name in inside} | {*filter(None, rooms)}


def _pushed(work: Work, ref: str) -> Push:
    push = work.push(ref)
    assert push.code == 0, push.output
    return push


def test_a_push_that_builds_nothing_imports_no_more_than_is_listed(
    pushes: dict[str, tuple[Imports, ...]],
) -> None:
    """Neither of ours nor of others; and what is listed is imported by one of them."""
    allowed = closure(OF_OTHERS.split())
    lists = {"proc-receive": _all(GATE), "post-receive": _all(AFTER_THE_GATE)}
    for place, (hook, listed) in enumerate(lists.items()):
        imported = set()
        for push, hooks in pushes.items():
            assert len(hooks) == len(lists), push
            ours, others = hooks[place].ours, hooks[place].others
            imported |= ours
            strange = {f"{x} (by {by})" for x, by in others.items() if x not in allowed}
            new = sorted({f"gitdeploy.{name}" for name in ours - listed} | strange)
            module = hook.replace("-", "_")
            assert not new, WHAT_TO_DO.format(
                hook=hook, push=push, new=", ".join(new), module=module, file=__file__
            )
        gone = ", ".join(sorted(listed - imported))
        assert not gone, TOO_MANY.format(hook=hook, push=push, gone=gone, file=__file__)


def test_none_imports_what_is_dear(pushes: dict[str, tuple[Imports, ...]]) -> None:
    """pygit2 costs 35 ms, rich and click more: they are for builds and for people.

    `dataclasses` imports half a compiler, and each such class is compiled anew.
    """
    for push, hooks in pushes.items():
        for imports in hooks:
            # msgspec imports typing_extensions where somebody else installed that.
            by_others = closure(["msgspec"])
            assert not (NEVER - by_others) & {*imports.others}, push


def test_post_receive_imports_os_and_nothing_else(
    pushes: dict[str, tuple[Imports, ...]],
) -> None:
    """Behind the gate it has to look at one file only."""
    allowed = closure(["os", "sys", "gc"])
    for push, (_, after) in pushes.items():
        assert {*after.others} <= allowed, push
