"""Several pushes at once: one works, the others wait and are told."""

import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen
from typing import Self

import pytest
from support import process
from support.git import Push, Work, told
from support.held import Held, at_work, events, opened, until
from support.server import Server
from support.shop import busy

from gitdeploy.deploy import look
from gitdeploy.lock import holder, waiting

LONG = os.environ.get("GITDEPLOY_LONG") == "1"


def test_a_second_push_waits_and_is_told_for_whom(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """Then it goes on from what the first one left."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    ada.tag("v1")
    assert ada.push("main").code == 0
    started, gate = tmp_path / "started", tmp_path / "gate"
    os.mkfifo(started)
    os.mkfifo(gate)
    toml = f"[[build.steps]]\nrun = 'echo > {started}; cat {gate}'\n"
    ada.commit("slow", **{"deploy.toml": toml})
    with ada.pushing("main") as slow, ExitStack() as stack:
        started.read_text()
        running = server.status()["running"]
        assert running["what"] == "push of main"
        waiting = stack.enter_context(ada.pushing("v1"))
        assert waiting.stderr is not None
        told = next(line for line in waiting.stderr if b"waiting" in line)
        assert f"(push of main, process {running['pid']}".encode() in told
        gate.write_text("go on\n")
        assert slow.wait(30) == 0
        waiting.communicate(timeout=30)
        slow.communicate(timeout=30)
        assert waiting.returncode == 0
    assert _name(server, "shop-staging").startswith("2-")
    assert _name(server, "shop").startswith("1-")
    assert server.status()["running"] is None


def test_of_many_pushes_to_one_branch_exactly_one_wins(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """What is live is what the branch holds, and the others are refused."""
    server.setup("shop")
    works = [make_work(f"dev{n}", server.url()) for n in range(50 if LONG else 6)]
    commits = [work.commit(f"c{n}", a=str(n)) for n, work in enumerate(works)]
    codes = _push_at_once([(work, "main") for work in works])
    assert sorted(codes) == [0, *[1] * (len(works) - 1)]
    winner = codes.index(0)
    assert server.refs()["refs/heads/main"] == commits[winner]
    live = server.link("shop-staging")
    assert live is not None
    assert (live / "a").read_text() == str(winner)
    ready = [r for r in server.releases() if r["state"] == "ready"]
    assert len(ready) == 1


def test_many_tags_pushed_at_once_are_all_released_one_after_the_other(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """Each is a release of its own; the links show the latest of them."""
    server.setup("shop", "--links", "6")
    ada = make_work("ada", server.url())
    for n in range(6):
        ada.commit(f"c{n}", a=str(n))
        ada.tag(f"v{n}")
    assert _push_at_once([(ada, f"v{n}") for n in range(6)]) == [0] * 6
    shown = [server.link(f"shop-prod-{n}") for n in range(1, 7)]
    assert len(set(shown)) == 6
    events = [e for e in server.history() if e["verdict"] == "deployed"]
    assert [path.name for path in shown if path] == [e["release"] for e in events]


# --- bursts ------------------------------------------------------------------


class Burst:
    """Pushes of one developer to main: the first is held in its build, others wait."""

    def __init__(self, server: Server, work: Work, directory: Path) -> None:
        self.server = server
        self.work = work
        self._held = Held(directory)
        self._builds = directory / "builds"
        self._builds.touch()
        self._stack = ExitStack()
        self._pushes: list[Popen[bytes]] = []
        self.first = work.commit("zero", **{"index.html": "zero"})
        assert work.push("main").code == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(None, None, None)

    def running(self, *, ends: str = "true") -> str:
        """Push a commit whose build is held, and `ends` somehow; return its id."""
        note = f"echo $GITDEPLOY_COMMIT >> '{self._builds}'"
        toml = self._held.toml(f"{note}; {ends}")
        commit = self.work.commit("held", **{"deploy.toml": toml, "c": "running"})
        self._push(f"{commit}:refs/heads/main")
        self._held.wait()
        self.work.write("deploy.toml", f'[[build.steps]]\nrun = """{note}"""\n')
        return commit

    def commit(self, name: str, *, fails: bool = False) -> str:
        """Return a new commit, child of the one before."""
        if fails:
            self.work.write("deploy.toml", '[[build.steps]]\nrun = "exit 1"\n')
        return self.work.commit(name, c=name)

    def waits(self, *refspecs: str, options: tuple[str, ...] = ()) -> None:
        """Push, and see that it waits."""
        place = self.server.root / "shop" / "lock"
        before = len(waiting(place))
        self._push(*refspecs, options=options)
        until(lambda: len(waiting(place)) == before + 1, "it waits")

    def go_on(self) -> list[Push]:
        """Let the first one go on, and return what every pusher was told."""
        self._held.go_on()
        return self.told()

    def told(self) -> list[Push]:
        """Return what every pusher was told in the end."""
        return [told(child) for child in self._pushes]

    @property
    def built(self) -> list[str]:
        """The commits that were built, in order."""
        return self._builds.read_text().split()

    def _push(self, *refspecs: str, options: tuple[str, ...] = ()) -> None:
        pushing = self.work.pushing(*refspecs, options=options)
        self._pushes.append(self._stack.enter_context(pushing))


@pytest.fixture
def burst(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> Iterator[Callable[..., Burst]]:
    """Make a burst: `burst(gate=False)`."""
    with ExitStack() as stack:

        def make(*, gate: bool = True) -> Burst:
            server.setup("shop", *([] if gate else ["--no-gate"]))
            work = make_work("ada", server.url())
            return stack.enter_context(Burst(server, work, tmp_path))

        yield make


@pytest.mark.parametrize("gate", [True, False])
def test_of_a_burst_the_running_one_and_the_newest_are_built(
    burst: Callable[..., Burst], *, gate: bool
) -> None:
    """Those between are told which one replaced them; refs and flips agree in order."""
    ours = burst(gate=gate)
    server = ours.server
    commits = [ours.running()]
    for n in range(2, 5):
        commits.append(ours.commit(f"c{n}"))
        ours.waits(f"{commits[-1]}:refs/heads/main")
    pushes = ours.go_on()
    assert ours.built == [commits[0], commits[3]]
    by = server.history()[0]["by"]
    why = f"superseded by {commits[3][:7]}, pushed by {by}"
    events = [e for e in server.history() if e["new"] in commits]
    assert [e["new"] for e in reversed(events)] == commits
    verdicts = ["deployed", "superseded", "superseded", "deployed"]
    assert [e["verdict"] for e in reversed(events)] == verdicts
    assert [e["reason"] for e in reversed(events)] == [None, why, why, None]
    assert server.refs()["refs/heads/main"] == commits[3]
    assert shown(server, "c") == "c4"
    assert server.status()["pending"] is False
    for push in pushes[1:3]:
        assert any(why.removeprefix("superseded ") in x for x in push.remote_lines)
    if gate:
        assert [push.code for push in pushes] == [0, 1, 1, 0]
        assert [push.status("main").reason for push in pushes[1:3]] == [why, why]
        assert pushes[3].status("main").summary == f"{commits[0][:7]}..{commits[3][:7]}"
    else:
        assert [push.code for push in pushes] == [0, 0, 0, 0]  # git asks nobody


def test_a_tag_that_comes_with_a_superseded_branch_is_released_all_the_same(
    burst: Callable[..., Burst],
) -> None:
    ours = burst()
    ours.running()
    second = ours.commit("c2")
    ours.work.tag("v2")
    ours.waits(f"{second}:refs/heads/main", "v2")
    third = ours.commit("c3")
    ours.waits(f"{third}:refs/heads/main")
    _, both, newest = ours.go_on()
    assert both.status("main").reason.startswith("superseded by ")
    assert both.status("v2").flag == "*"
    assert newest.code == 0
    assert shown(ours.server, "c", "shop") == "c2"
    assert shown(ours.server, "c") == "c3"


def test_a_plan_that_waits_supersedes_nobody(burst: Callable[..., Burst]) -> None:
    """It is refused in the end, whatever it would do."""
    ours = burst()
    first = ours.running()
    second = ours.commit("c2")
    ours.waits(f"{second}:refs/heads/main")
    third = ours.commit("c3")
    ours.waits(f"{third}:refs/heads/main", options=("plan",))
    pushes = ours.go_on()
    assert ours.built == [first, second]
    assert ours.server.refs()["refs/heads/main"] == second
    assert shown(ours.server, "c") == "c2"
    assert ours.server.status()["pending"] is False
    assert [push.code for push in pushes] == [0, 0, 1]
    assert "plan" in pushes[2].status("main").reason


def test_an_unrelated_commit_that_waits_supersedes_nobody(
    burst: Callable[..., Burst],
) -> None:
    """It is refused as git would: the branch is somewhere else, and that would go."""
    ours = burst()
    first = ours.running()
    second = ours.commit("c2")
    ours.waits(f"{second}:refs/heads/main")
    ours.work.git("reset", "--quiet", "--hard", ours.first)
    other = ours.commit("other")
    ours.waits("--force", f"{other}:refs/heads/main")
    pushes = ours.go_on()
    assert [push.code for push in pushes] == [0, 0, 1]
    reason = pushes[2].status("main").reason
    assert reason == f"main has moved on: it is at {second[:7]} by now"
    assert ours.built == [first, second]
    assert ours.server.refs()["refs/heads/main"] == second


def test_an_atomic_push_is_not_superseded(burst: Callable[..., Burst]) -> None:
    """All of it or nothing, as it was asked for."""
    ours = burst()
    first = ours.running()
    second = ours.commit("c2")
    ours.work.tag("v2")
    ours.waits("--atomic", f"{second}:refs/heads/main", "v2")
    third = ours.commit("c3")
    ours.waits(f"{third}:refs/heads/main")
    assert [push.code for push in ours.go_on()] == [0, 0, 0]
    assert ours.built == [first, second, third]


def test_without_the_gate_refs_that_came_one_upon_the_other_go_back_all_the_way(
    burst: Callable[..., Burst],
) -> None:
    """What was declined is not what a branch goes back to."""
    ours = burst(gate=False)
    server, commits = ours.server, [ours.running(ends="exit 3")]
    for n in range(2, 5):
        commits.append(ours.commit(f"c{n}", fails=True))
        ours.waits(f"{commits[-1]}:refs/heads/main")
    *_, last = ours.go_on()
    verdicts = [e["verdict"] for e in server.history()[:4]]
    assert verdicts == ["failed", "superseded", "superseded", "failed"]
    assert any(
        x.split() == f"put back main is at {ours.first[:7]} again".split()
        for x in last.remote_lines
    )
    assert server.refs()["refs/heads/main"] == ours.first
    assert shown(server, "index.html") == "zero"
    assert server.status()["pending"] is False
    assert ours.work.push("--force", f"{ours.first}:main").code == 0


def test_a_waiter_whose_hook_is_killed_hinders_nobody(
    burst: Callable[..., Burst],
) -> None:
    """Nobody is told that it replaced them; its pusher is told that it failed."""
    ours = burst()
    first = ours.running()
    second = ours.commit("c2")
    ours.waits(f"{second}:refs/heads/main")
    third = ours.commit("c3")
    ours.waits(f"{third}:refs/heads/main")
    os.kill(waiting(ours.server.root / "shop" / "lock")[1].pid, signal.SIGKILL)
    assert [push.code for push in ours.go_on()] == [0, 0, 1]
    assert ours.built == [first, second]
    assert ours.server.refs()["refs/heads/main"] == second


def test_a_holder_whose_hook_is_killed_makes_room_for_the_next(
    burst: Callable[..., Burst],
) -> None:
    """Nothing it ran is left, and what it did not finish is abandoned."""
    ours = burst()
    first = ours.running()
    second = ours.commit("c2")
    ours.waits(f"{second}:refs/heads/main")
    running = holder(ours.server.root / "shop" / "lock")
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    assert [push.code for push in ours.told()] == [1, 0]
    assert ours.server.refs()["refs/heads/main"] == second
    events = {e["new"]: e["verdict"] for e in ours.server.history()}
    assert (events[first], events[second]) == ("abandoned", "deployed")
    until(lambda: not at_work(ours.server), "nothing is left running")


# --- the queue ---------------------------------------------------------------


def test_those_that_wait_are_shown_and_served_in_the_order_of_arrival(
    burst: Callable[..., Burst],
) -> None:
    """Each knows how many are before it."""
    ours = burst()
    server = ours.server
    ours.running()
    tags = [f"v{n}" for n in range(1, 6)]
    for tag in tags:
        ours.commit(tag)
        ours.work.tag(tag)
        ours.waits(tag)
    queue = server.status()["queue"]
    assert [one["what"] for one in queue] == [f"push of {tag}" for tag in tags]
    text = server.gitdeploy("status", "shop").stdout
    lines = [line for line in text.splitlines() if "push of v" in line]
    assert lines[0].startswith("waiting       push of v1 by ")
    assert len(lines) == len(tags)
    *_, last = ours.go_on()
    waited = " ".join(" ".join(last.remote_lines).split())
    assert "waiting for " in waited
    assert "(push of " in waited
    assert "4 others before you" in waited
    events = [e["ref"] for e in server.history() if e["ref"] != "refs/heads/main"]
    assert list(reversed(events)) == [f"refs/tags/{tag}" for tag in tags]
    assert server.status()["queue"] == []


def test_who_does_not_want_to_wait_is_told_who_works_since_when_doing_what(
    burst: Callable[..., Burst],
) -> None:
    """A stuck holder can be looked for and ended by that."""
    ours = burst()
    ours.running()
    pid = ours.server.status()["running"]["pid"]
    done = ours.server.gitdeploy(
        "redeploy", "shop", "dev", "--wait", "0.3", check=False
    )
    assert done.returncode == 75
    said = rf"\(push of main, process {pid}, since [0-9.]+ m?s\) holds the lock"
    assert re.search(said, " ".join(done.stderr.split()))
    ours.go_on()


# --- two operators -----------------------------------------------------------


def test_a_roll_back_and_a_push_at_once_come_one_after_the_other(
    server: Server, work: Work
) -> None:
    """The roll back goes first, and the push sees what that left; all agree."""
    for n in range(2):
        work.commit(f"c{n}", a=str(n))
        assert work.push("main").code == 0
    words = [sys.executable, "-m", "gitdeploy", "rollback", "shop", "dev"]
    here = {"GITDEPLOY_ROOT": str(server.root)}
    orders = []
    for n in range(200 if LONG else 6):
        work.commit(f"more {n}", a=f"more {n}")
        before = head(server)
        # Both are ready to begin when the lock becomes free; each came first half of
        # the time.
        with ExitStack() as stack:
            with busy(server):
                both = [work.pushing("main"), process.started(*words, env=here)]
                children = []
                for one in both if n % 2 else reversed(both):
                    children.append(stack.enter_context(one))
                    queue_is(server, len(children))
            for child in children:
                child.communicate(timeout=60)
                assert child.returncode == 0
        later, earlier = events(server)[:2]
        assert (earlier.from_release, later.from_release) == (before, earlier.release)
        if later.verdict == "rolled back":
            assert later.release == before
        assert head(server) == later.release
        agree(server)
        orders.append((earlier.verdict, later.verdict))
    assert orders == [("rolled back", "deployed")] * len(orders)


def test_roll_backs_and_pushes_in_a_heap_leave_everything_agreeing(
    server: Server, work: Work
) -> None:
    """Nobody knows their order; the ledger does."""
    for n in range(8):
        work.commit(f"c{n}", a=str(n))
        assert work.push("main").code == 0
    words = [sys.executable, "-m", "gitdeploy", "rollback", "shop", "dev"]
    here = {"GITDEPLOY_ROOT": str(server.root)}
    with ExitStack() as stack:
        children = []
        for n in range(5):
            work.commit(f"more {n}", a=f"more {n}")
            children.append(stack.enter_context(work.pushing(f"{work.head}:main")))
            children.append(stack.enter_context(process.started(*words, env=here)))
        for child in children:
            child.communicate(timeout=60)
    chain = events(server)
    moves = [e for e in reversed(chain) if e.verdict in ("deployed", "rolled back")]
    pairs = list(itertools.pairwise(moves))
    assert all(then.release == now.from_release for then, now in pairs)
    assert head(server) == moves[-1].release
    assert server.refs()["refs/heads/main"] == [e for e in moves if e.new][-1].new
    agree(server)


def queue_is(server: Server, number: int) -> None:
    place = server.root / "shop" / "lock"
    until(lambda: len(waiting(place)) == number, f"{number} wait")


def head(server: Server) -> int:
    """Return the number of the release that is live on dev."""
    with opened(server) as app:
        found = app.ledger.chains.read("dev").head
    assert found is not None
    return found.release


# --- many at once ------------------------------------------------------------


@pytest.mark.parametrize("gate", [True, False])
def test_many_pushes_to_many_apps_all_end_in_a_true_verdict(
    server: Server, make_work: Callable[..., Work], *, gate: bool
) -> None:
    """Whoever reads 0 is deployed, whoever reads 1 is not, and all agrees."""
    apps = ["one", "two", "three"]
    clients = 20 if LONG else 4
    works, pushes = [], []
    for app in apps:
        server.setup(app, *([] if gate else ["--no-gate"]))
        works += [
            (app, n, make_work(f"{app}{n}", server.url(app))) for n in range(clients)
        ]
    for app, n, work in works:
        work.commit(f"{app} {n}", a=f"{app} {n}")
        work.tag(f"v{n}")
        pushes += [(app, work, "main"), (app, work, f"v{n}")]
    with ExitStack() as stack:
        children = [stack.enter_context(w.pushing(ref)) for _, w, ref in pushes]
        ends = [told(child, 500) for child in children]
    for app in apps:
        refs = server.refs(app)
        verdicts = {(e.ref, e.new): e.verdict for e in events(server, app)}
        winners = 0
        for (of, work, name), push in zip(pushes, ends, strict=True):
            if of != app:
                continue
            ref = f"refs/heads/{name}" if name == "main" else f"refs/tags/{name}"
            holds = refs[ref] == work.head
            assert (push.code == 0) == holds, push.output
            assert (push.status(ref).flag == "!") != holds
            # Without the gate git itself turns away who comes too late.
            no = "refused" if gate else None
            assert verdicts.get((ref, work.head)) == ("deployed" if holds else no)
            winners += holds
        assert winners == 1 + clients  # all tags, and one of those to main
        agree(server, app)


def agree(server: Server, app: str = "shop") -> None:
    """Links, ledger, refs and status say the same, and nothing is left over."""
    with opened(server, app) as one:
        status = look.status(one)
    assert status["pending"] is False
    assert (status["running"], status["queue"]) == (None, [])
    for places in status["chains"].values():
        for place in places:
            path = place["path"] or server.root / app / "empty"
            assert server.link(place["link"]) == Path(path)
    live = {
        f"refs/deploy/{chain}/{place['position']}": place["commit"]
        for chain, places in status["chains"].items()
        for place in places
        if place["commit"]
    }
    refs = server.refs(app)
    assert live == {
        ref: id_ for ref, id_ in refs.items() if ref.startswith("refs/deploy")
    }
    assert all(e.state == "ended" for e in events(server, app))


def shown(server: Server, name: str, link: str = "shop-staging") -> str:
    path = server.link(link)
    assert path is not None
    return (path / name).read_text()


def _push_at_once(pushes: list[tuple[Work, str]]) -> list[int]:
    """Start all pushes, then wait for each; return their exit statuses."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(work.pushing(refspec)) for work, refspec in pushes
        ]
        for child in children:
            child.communicate(timeout=60)
        return [child.returncode for child in children]


def _name(server: Server, link: str) -> str:
    path = server.link(link)
    assert path is not None
    return path.name
