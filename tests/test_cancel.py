"""`gitdeploy cancel` and signals: what is not shown yet is stopped, the rest is not.

And `gitdeploy logs -f`, which tells from elsewhere how it ends.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import process
from support.git import Work, told
from support.held import Held, at_work, blocked_after, ended, events, until
from support.server import Server

from gitdeploy.cli import redeploy
from gitdeploy.deploy import activate
from gitdeploy.deploy.app import App
from gitdeploy.lock import cancel, holder, waiting
from gitdeploy.system.process import run
from gitdeploy.system.processes import Process
from gitdeploy.system.surroundings import BARE


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """Release 1 is staged."""
    work.commit("one", **{"index.html": "one"})
    assert work.push("main").code == 0
    return server


@pytest.fixture
def held(tmp_path: Path) -> Held:
    return Held(tmp_path)


def lock(server: Server) -> Path:
    return server.root / "shop" / "lock"


def queue_is(server: Server, number: int) -> None:
    until(lambda: len(waiting(lock(server))) == number, f"{number} wait")


def all_is_as_before(server: Server, work: Work) -> None:
    """Nothing runs, the ref is where it was, and the next push just works."""
    until(lambda: not at_work(server), "nothing is left running")
    assert holder(lock(server)) is None
    assert server.status()["pending"] is False
    work.commit("next", **{"deploy.toml": "", "index.html": "next"})
    assert work.push("main").code == 0


def test_cancel_stops_what_is_not_shown_yet(
    shop: Server, work: Work, held: Held
) -> None:
    """The pusher reads by whom, and everything is as it was."""
    before, refs = shop.links(), shop.refs()
    commit = work.commit("two", **{"deploy.toml": held.toml()})
    with work.pushing("main") as child:
        held.wait()
        done = shop.gitdeploy("cancel", "shop", env={"GITDEPLOY_USER": "bob"})
        push = told(child)
    assert done.stdout.split()[:4] == ["cancelled", "stage", "of", "main,"]
    assert push.code == 1
    assert push.status("main").reason == "cancelled by bob"
    assert any("still live    release 1 on dev" in x for x in push.remote_lines)
    event = ended(shop, commit)
    assert (event.verdict, event.reason) == ("cancelled", "cancelled by bob")
    assert (shop.links(), shop.refs()) == (before, refs)
    assert shop.releases()[0]["state"] == "failed"
    all_is_as_before(shop, work)


def test_cancel_says_so_where_nothing_runs(shop: Server) -> None:
    """That is no failure."""
    done = shop.gitdeploy("cancel", "shop")
    assert done.stdout.split(maxsplit=1)[1].strip() == "nothing runs on shop"
    assert shop.json("cancel", "shop") == {"app": "shop", "asked": [], "ended": []}


def test_cancel_leaves_those_that_wait_alone(
    shop: Server, work: Work, held: Held
) -> None:
    """The next one is deployed, and that is not said to be too late for the first."""
    work.commit("two", **{"deploy.toml": held.toml()})
    with work.pushing("main") as first, ExitStack() as stack:
        held.wait()
        work.tag("v1", oid="HEAD~1")
        second = stack.enter_context(work.pushing("v1"))
        queue_is(shop, 1)
        assert shop.json("cancel", "shop")["ended"][0]["verdict"] == "cancelled"
        assert told(first).code == 1
        assert told(second).code == 0
    assert [e.verdict for e in events(shop)[:2]] == ["deployed", "cancelled"]


def test_cancel_all_stops_those_that_wait_too(
    shop: Server, work: Work, held: Held
) -> None:
    """Also those that would have had nothing to build, and verbs."""
    before = shop.links()
    work.commit("two", **{"deploy.toml": held.toml()})
    with work.pushing("main") as first, ExitStack() as stack:
        held.wait()
        work.tag("v1", oid="HEAD~1")
        second = stack.enter_context(work.pushing("v1"))
        queue_is(shop, 1)
        words = [sys.executable, "-m", "gitdeploy", "release", "shop"]
        here = {"GITDEPLOY_ROOT": str(shop.root)}
        third = stack.enter_context(process.started(*words, env=here))
        queue_is(shop, 2)
        shown = shop.json("cancel", "shop", "--all")
        assert {e["verdict"] for e in shown["ended"]} == {"cancelled"}
        assert len(shown["ended"]) == 3
        assert told(first).status("main").reason.startswith("cancelled by ")
        assert told(second).status("v1").reason.startswith("cancelled by ")
        _, said = third.communicate(timeout=30)
        assert third.returncode == 1
        assert b"cancelled by" in said
    assert shop.links() == before
    all_is_as_before(shop, work)


def test_cancel_comes_too_late_for_what_has_happened(
    shop: Server, work: Work, held: Held
) -> None:
    """From the moment at which the ref has moved it is finished, and that is told."""
    commit = work.commit("two", **{"index.html": "two"})
    with blocked_after(shop, "refs/heads/main", held), work.pushing("main") as child:
        held.wait()
        here = {"GITDEPLOY_ROOT": str(shop.root)}
        words = [sys.executable, "-m", "gitdeploy", "cancel", "shop"]
        with process.started(*words, env=here) as cancelling:
            place = shop.root / "shop" / "queue"
            until(lambda: list(place.glob("cancel-*")), "it is asked")
            held.go_on()
            _, said = cancelling.communicate(timeout=30)
        push = told(child)
    assert cancelling.returncode == 1
    assert b"too late for main: deployed" in said
    assert b"gitdeploy rollback shop dev" in said
    assert push.code == 0
    assert ended(shop, commit).verdict == "deployed"
    all_is_as_before(shop, work)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_hook_comes_too_late_for_what_has_happened(
    shop: Server, work: Work, held: Held, number: int
) -> None:
    """The pusher is told the truth; a server that shuts down may do this."""
    commit = work.commit("two", **{"index.html": "two"})
    with blocked_after(shop, "refs/heads/main", held), work.pushing("main") as child:
        held.wait()
        running = holder(lock(shop))
        assert running is not None
        os.kill(running.pid, number)
        held.go_on()
        push = told(child)
    assert push.code == 0, push.output
    assert ended(shop, commit).verdict == "deployed"
    all_is_as_before(shop, work)


def test_a_signal_to_a_hook_that_builds_stops_all_of_its_push(
    shop: Server, work: Work, held: Held
) -> None:
    """Not only the ref it is at."""
    refs = shop.refs()
    work.commit("two", **{"deploy.toml": held.toml()})
    work.tag("v1", oid="HEAD~1")
    with work.pushing("main", "v1") as child:
        held.wait()
        running = holder(lock(shop))
        assert running is not None
        os.kill(running.pid, signal.SIGTERM)
        push = told(child)
    assert push.code == 1
    assert push.status("main").reason == "cancelled by a signal"
    assert push.status("v1").reason == "cancelled by a signal"
    assert [e.verdict for e in events(shop)[:2]] == ["cancelled", "cancelled"]
    assert shop.refs() == refs
    all_is_as_before(shop, work)


def test_a_signal_to_a_hook_that_waits_is_answered(
    shop: Server, work: Work, held: Held
) -> None:
    """It leaves the queue, and its pusher reads why."""
    first = work.commit("two", **{"deploy.toml": held.toml()})
    with work.pushing("main") as building, ExitStack() as stack:
        held.wait()
        work.tag("v1", oid="HEAD~1")
        second = stack.enter_context(work.pushing("v1"))
        queue_is(shop, 1)
        os.kill(waiting(lock(shop))[0].pid, signal.SIGTERM)
        push = told(second)
        assert push.code == 1
        assert push.status("v1").reason == "cancelled by a signal"
        queue_is(shop, 0)
        held.go_on()
        assert told(building).code == 0
    assert shop.refs()["refs/heads/main"] == first
    assert "refs/tags/v1" not in shop.refs()


# Works on an app until a git of its own has read all of a pipe, and reads no note.
READS = """
import os, sys
from pathlib import Path
from gitdeploy.deploy.app import App
from gitdeploy.deploy.recover import locked
from gitdeploy.door import guarded, surroundings

def main():
    root, pipe = sys.argv[1:]
    app = App.open(Path(root), "shop", surroundings(os.environ), "ada")
    with locked(app, "read", wait_s=0, tell=print):
        print("reads", flush=True)
        app.repository.git("hash-object", pipe)
sys.exit(guarded(main))
"""


def test_one_that_waits_for_the_kernel_reads_no_note_and_gets_a_signal(
    shop: Server, tmp_path: Path
) -> None:
    """The git that it waits for goes with it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = (sys.executable, "-c", READS, shop.root, pipe)
    with process.started(*words) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"reads\n"
        done = shop.gitdeploy("cancel", "shop")
        assert done.stdout.split()[:2] == ["ended", "read"]
        assert child.wait(30) == 130
    until(lambda: not at_work(shop), "nothing is left running")


def test_a_program_that_works_for_one_who_is_stopped_is_stopped_too(
    tmp_path: Path,
) -> None:
    """A checkout, say, which would go on writing into a release that has failed."""
    words = f"read go; echo $$ > {tmp_path}/pid; kill -INT $PPID; exec sleep 60"
    with pytest.raises(KeyboardInterrupt):
        run(["/bin/sh", "-c", words], env=BARE, stdin=b"go\n")
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not Process(pid).name, "it has ended")


def test_a_program_of_ours_that_hangs_after_the_flip_can_be_cancelled(
    shop: Server, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that reads a slow disk, say; what was live is live."""
    work.commit("two", **{"deploy.toml": '[[activate]]\nrun = "true"\n'})
    assert work.push("main").code == 0
    before = shop.links()

    def hangs(app: App, *_words: object, **_more: object) -> None:
        me = holder(app.layout.lock)
        assert me
        cancel(app.layout.lock, me, by="bob")
        run(["/bin/sleep", "30"], env=BARE)

    monkeypatch.setattr(activate, "workplace", hangs)
    words = ["shop", "dev", "--root", str(shop.root)]
    result = CliRunner().invoke(redeploy.command, words)
    assert "cancelled by bob" in str(result.exception)
    assert events(shop)[0].verdict == "cancelled"
    assert shop.links() == before


def test_logs_follow_a_deployment_to_its_verdict_after_its_pusher_has_gone(
    shop: Server, work: Work, held: Held
) -> None:
    """From another terminal, to the last line."""
    work.commit("two", **{"deploy.toml": held.toml("echo the last words")})
    with work.pushing("main") as child:
        held.wait()
        os.kill(child.pid, signal.SIGKILL)
        with following(shop) as follower:
            assert follower.stdout is not None
            assert b"== " in follower.stdout.readline()
            held.go_on()
            shown, _ = follower.communicate(timeout=30)
    lines = shown.decode().splitlines()
    assert "the last words" in lines
    assert lines[-1] == "== deployed  dev"
    assert follower.returncode == 0


def test_logs_follow_a_deployment_to_its_being_cancelled(
    shop: Server, work: Work, held: Held
) -> None:
    """And a failed one ends the same way."""
    work.commit("two", **{"deploy.toml": held.toml()})
    with work.pushing("main"):
        held.wait()
        with following(shop) as follower:
            shop.gitdeploy("cancel", "shop", env={"GITDEPLOY_USER": "bob"})
            shown, _ = follower.communicate(timeout=30)
    assert shown.decode().splitlines()[-1] == "== cancelled  dev: cancelled by bob"


@contextmanager
def following(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "gitdeploy", "logs", "-f", "shop"]
    here = {"GITDEPLOY_ROOT": str(server.root)}
    with process.started(*words, env=here) as child:
        yield child
