"""What a crash leaves is finished or abandoned by whoever comes next."""

import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import process
from support.git import Work
from support.server import Server
from support.shop import ref_locked, staged

from gitdeploy.deploy.app import App
from gitdeploy.door import surroundings
from gitdeploy.ledger import dumps
from gitdeploy.lock import holder
from gitdeploy.model import Entry, RefUpdate


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """Release 1 on both chains, release 2 staged."""
    return staged(server, work)


@pytest.fixture
def app(shop: Server) -> App:
    """The same app, from inside, to leave it as a crash would."""
    return App.open(shop.root, "shop", surroundings(os.environ), "ada")


def test_a_push_that_died_after_its_ref_moved_is_finished(
    shop: Server, work: Work, app: App
) -> None:
    """The ref is what the pusher was told, so the links follow it."""
    first, second = work.oid("HEAD~1"), work.head
    before = app.ledger.chains.read("dev")
    back = before.roll_back(1, "2026-01-01T00:00:00Z")
    update = RefUpdate("refs/heads/main", second, first)
    event = _intended(app, "rollback", update, dumps(before, back), release=1, was=2)
    app.repository.move([update], why="test")
    app.ledger.close()
    assert shop.status()["pending"] is True
    shop.gitdeploy("repair", "shop")
    assert _name(shop, "shop-staging").startswith("1-")
    ended = next(e for e in shop.history() if e["id"] == event)
    assert ended["verdict"] == "rolled back"
    assert shop.status()["pending"] is False


def test_a_push_that_died_before_its_ref_moved_is_abandoned(
    shop: Server, work: Work, app: App
) -> None:
    """Nothing public happens, and the next push just works."""
    before = app.ledger.chains.read("dev")
    plan = dumps(before, before.roll_back(1, "2026-01-01T00:00:00Z"))
    update = RefUpdate("refs/heads/main", work.head, work.oid("HEAD~1"))
    event = _intended(app, "rollback", update, plan, release=1, was=2)
    app.ledger.close()
    links = shop.links()
    work.commit("three", **{"index.html": "three"})
    assert work.push("main").code == 0
    ended = next(e for e in shop.history() if e["id"] == event)
    assert ended["verdict"] == "abandoned"
    assert shop.link("shop-dev-2") == links["shop-staging"]


def test_a_chain_that_was_changed_and_not_shown_is_shown(
    shop: Server, app: App
) -> None:
    """The ledger is the truth; links are made to show it."""
    chain = app.ledger.chains.read("prod")
    pushed = chain.push(Entry(2, None, None, "2026-01-01T00:00:00Z"))
    event = app.ledger.deployments.begin(
        "release", by="ada", started="2026-01-01T00:00:00Z", chain="prod"
    )
    app.ledger.deployments.intend(
        event.id, release=2, from_release=1, plan=dumps(chain, pushed)
    )
    app.ledger.change(event.id, pushed, at="2026-01-01T00:00:00Z", why="test")
    app.ledger.close()
    assert _name(shop, "shop").startswith("1-")
    shop.gitdeploy("rollback", "shop", "dev")
    assert _name(shop, "shop").startswith("2-")
    assert _name(shop, "shop-prod-2").startswith("1-")


def test_a_release_that_died_while_it_was_prepared_is_marked_failed(
    shop: Server, app: App
) -> None:
    """It is never shown, and pruned like any other failure."""
    begun = app.ledger.releases.begin(
        content="x", created="2026-01-01T00:00:00Z", suffix="20260101T000000Z-dead"
    )
    app.ledger.close()
    shop.gitdeploy("repair", "shop")
    dead = next(r for r in shop.releases() if r["number"] == begun.number)
    assert (dead["state"], dead["failed_why"]) == ("failed", "interrupted")


def test_a_ref_that_moved_unseen_is_named_and_deployed_by_whoever_names_it(
    shop: Server, work: Work
) -> None:
    """By hand in the repository, say, or while the hooks were switched off."""
    unseen = work.commit("three", **{"index.html": "three"})
    shop.git("fetch", "-q", str(work.path), "HEAD")
    shop.git("update-ref", "refs/heads/main", unseen)
    assert shop.status()["pending"] is True
    said = shop.gitdeploy("repair", "--no-deploy").stdout
    assert "main had moved unseen: left as it is" in said
    assert _name(shop, "shop-staging").startswith("2-")
    said = shop.gitdeploy("repair", "shop").stdout
    assert "main had moved unseen, and nobody judged it" in said
    assert "gitdeploy repair shop --deploy main" in said
    assert shop.status()["pending"] is True
    assert _name(shop, "shop-staging").startswith("2-")
    said = shop.gitdeploy("repair", "shop", "--deploy", "main").stdout
    assert "main had moved unseen: deployed" in said
    assert shop.status()["pending"] is False
    assert _name(shop, "shop-staging").startswith("3-")
    said = shop.gitdeploy("repair", "shop", "--deploy", "main").stdout
    assert "main did not move unseen" in said
    done = shop.gitdeploy("repair", "shop", "--deploy", "mian", check=False)
    assert (done.returncode, "no branch or tag 'mian'" in done.stderr) == (2, True)


def test_a_ref_that_moved_unseen_and_deploys_nothing_is_left_as_it_is(
    shop: Server,
) -> None:
    """Told once, then known."""
    main = shop.refs()["refs/heads/main"]
    shop.git("update-ref", "refs/heads/topic", main)
    assert shop.status()["pending"] is True
    said = shop.gitdeploy("repair", "shop").stdout
    assert "topic had moved unseen: refused" in said
    assert shop.refs()["refs/heads/topic"] == main
    assert shop.status()["pending"] is False


def test_links_removed_or_bent_by_hand_are_put_right(shop: Server) -> None:
    """A second repair finds nothing to do."""
    links = shop.links()
    (shop.target / "shop-dev-2").unlink()
    (shop.target / "shop-prod-1").unlink()
    (shop.target / "shop-prod-1").symlink_to("/nowhere")
    shop.gitdeploy("repair", "shop")
    assert shop.links() == links
    assert "nothing to repair" in shop.gitdeploy("repair", "shop").stdout


def test_a_lost_ledger_is_told_with_the_way_out_and_rebuilt_from_the_links(
    shop: Server, work: Work
) -> None:
    """Links, releases and refs are as before, and numbers go on where they were."""
    links, refs = shop.links(), shop.refs()
    for path in (shop.root / "shop").glob("ledger.db*"):
        path.unlink()
    lost = shop.gitdeploy("status", "shop", check=False)
    assert lost.returncode == 4
    assert "gitdeploy repair --from-links shop" in lost.stderr
    refused = work.push("main:master")
    assert refused.code == 1
    assert "ledger is missing" in refused.output

    shop.gitdeploy("repair", "--from-links", "shop")
    assert shop.gitdeploy("repair", "shop").returncode == 0
    assert (shop.links(), shop.refs()) == (links, refs)
    work.revert()
    assert work.push("main").code == 0
    assert shop.link("shop-staging") == links["shop-dev-2"]
    work.commit("three", **{"index.html": "three"})
    assert work.push("main").code == 0
    assert _name(shop, "shop-staging").startswith("3-")


@pytest.mark.parametrize("verb", ["repair", "setup", "rollback", "push"])
def test_a_ledger_that_was_emptied_never_empties_the_links(
    shop: Server, work: Work, verb: str
) -> None:
    """A file without tables is no ledger of an app without releases."""
    links = shop.links()
    ledger = shop.root / "shop" / "ledger.db"
    ledger.write_bytes(b"")
    if verb == "push":
        work.commit("three", **{"index.html": "three"})
        assert work.push("main").code == 1
    else:
        told = shop.gitdeploy(verb, "shop", check=False)
        assert told.returncode == 4
        assert "the ledger is empty" in told.stderr
        assert f"hint: mv {ledger} {ledger}.damaged && gitdeploy repair" in told.stderr
    assert shop.links() == links
    assert ledger.read_bytes() == b""


def test_a_rebuilt_ledger_takes_nothing_over_from_the_old_one_s_journal(
    shop: Server, app: App
) -> None:
    """SQLite plays a journal into whatever file has the name; the old one's goes."""
    ledger = shop.root / "shop" / "ledger.db"
    assert app.ledger.setting("links") == "3"
    app.ledger.set_setting("links", "2")
    journal = ledger.with_name("ledger.db-wal").read_bytes()
    app.ledger.close()
    ledger.unlink()
    assert journal
    ledger.with_name("ledger.db-wal").write_bytes(journal)
    links = shop.links()
    shop.gitdeploy("repair", "--from-links", "shop")
    assert len(shop.status()["chains"]["prod"]) == 3
    assert shop.links() == links


def test_a_stranger_at_a_link_s_place_is_told_before_anything_moves(
    shop: Server, work: Work
) -> None:
    """The ref stays, the chain stays, and so does what is not ours."""
    place = shop.target / "shop-dev-3"
    place.unlink()
    place.write_text("precious")
    refs, status = shop.refs(), shop.status()
    work.commit("three", **{"index.html": "three"})
    said = work.push("main")
    assert said.code == 1
    assert f"{place} is not a link" in said.status("main").reason
    assert len(shop.releases()) == 2
    back = shop.gitdeploy("rollback", "shop", "dev", check=False)
    assert back.returncode == 4
    assert (shop.refs(), shop.status()["chains"]) == (refs, status["chains"])
    assert place.read_text() == "precious"
    place.unlink()
    assert work.push("main").code == 0


def test_a_change_that_was_put_back_before_its_ref_was_has_not_happened(
    shop: Server, work: Work, app: App
) -> None:
    """Going back may be interrupted too: then the ref is put back as well."""
    first, second = work.oid("HEAD~1"), work.head
    before = app.ledger.chains.read("dev")
    back = before.roll_back(1, "2026-01-01T00:00:00Z")
    update = RefUpdate("refs/heads/main", second, first)
    event = _intended(app, "rollback", update, dumps(before, back), release=1, was=2)
    app.repository.move([update], why="test")
    app.ledger.change(event, back, at="2026-01-01T00:00:00Z", why="test")
    app.ledger.rewrite(before, at="2026-01-01T00:00:00Z", why="test")
    app.ledger.close()
    shop.gitdeploy("repair", "shop")
    assert shop.refs()["refs/heads/main"] == second
    assert _name(shop, "shop-staging").startswith("2-")
    ended = next(e for e in shop.history() if e["id"] == event)
    assert ended["verdict"] == "abandoned"
    assert shop.status()["pending"] is False


def test_a_live_release_that_is_gone_from_the_disk_is_not_passed_over(
    shop: Server,
) -> None:
    """Its link resolves to the empty directory, and everybody who looks is told."""
    live = shop.link("shop")
    assert live is not None
    shutil.rmtree(live)
    mended = shop.gitdeploy("repair", "shop", check=False)
    assert mended.returncode == 4
    assert f"{live} is missing" in mended.stderr
    assert _name(shop, "shop") == "empty"
    assert "shop-prod-1 shows nothing" in shop.gitdeploy("status", "shop").stdout


def test_a_lock_on_a_published_ref_keeps_nobody_from_being_live(
    shop: Server, work: Work
) -> None:
    """Neither a push nor what finishes after a crash; repair names the lock."""
    first = shop.refs()["refs/deploy/dev/2"]
    with ref_locked(shop, "refs/deploy/dev/1"):
        work.commit("three", **{"index.html": "three"})
        assert work.push("main").code == 0
        assert _name(shop, "shop-staging").startswith("3-")
        told = shop.gitdeploy("repair", "shop", check=False)
        assert told.returncode == 1
        assert "refs/deploy/dev/1.lock" in told.stderr
        assert shop.refs()["refs/deploy/dev/2"] == first
    shop.gitdeploy("repair", "shop")
    assert shop.refs()["refs/deploy/dev/1"] == work.head


def test_a_redeployment_that_fails_stands_in_history(
    shop: Server, work: Work, tmp_path: Path
) -> None:
    """What was live stays live."""
    broken = tmp_path / "broken"
    toml = f"[[build.steps]]\nrun = 'test ! -e {broken}'\n"
    work.commit("three", **{"deploy.toml": toml})
    assert work.push("main").code == 0
    links = shop.links()
    broken.touch()
    assert shop.gitdeploy("redeploy", "shop", "dev", check=False).returncode == 1
    event = shop.history()[0]
    assert (event["action"], event["verdict"]) == ("redeploy", "failed")
    assert shop.links() == links


def test_a_push_says_which_other_refs_moved_unseen(shop: Server, work: Work) -> None:
    """And what mends it."""
    shop.git("update-ref", "refs/tags/by-hand", shop.refs()["refs/heads/main"])
    work.commit("three", **{"index.html": "three"})
    said = work.push("main")
    assert said.code == 0
    assert any("moved unseen" in line for line in said.remote_lines)
    assert any("gitdeploy repair shop" in line for line in said.remote_lines)


def test_a_ledger_half_rebuilt_is_not_taken_for_one(shop: Server) -> None:
    """It would empty every link; the next attempt begins anew."""
    links = shop.links()
    for path in (shop.root / "shop").glob("ledger.db*"):
        path.unlink()
    half = shop.root / "shop" / "ledger.db.new"
    half.write_bytes(b"half")
    assert shop.gitdeploy("status", "shop", check=False).returncode == 4
    shop.gitdeploy("repair", "--from-links", "shop")
    shop.gitdeploy("repair", "shop")
    assert shop.links() == links
    assert not half.exists()


@pytest.mark.parametrize(
    ("number", "why"),
    [(signal.SIGTERM, "cancelled by a signal"), (signal.SIGKILL, "interrupted")],
)
def test_a_killed_hook_leaves_nothing_running_and_the_ref_where_it_was(
    server: Server,
    make_work: Callable[..., Work],
    tmp_path: Path,
    number: int,
    why: str,
) -> None:
    """At once where it can; else by whoever comes next, who just works."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    started, pid = tmp_path / "started", tmp_path / "pid"
    os.mkfifo(started)
    toml = f"[[build.steps]]\nrun = 'echo $$ > {pid}; echo > {started}; sleep 300'\n"
    ada.commit("slow", **{"deploy.toml": toml})
    with ada.pushing("main") as child:
        started.read_text()
        step = os.pidfd_open(int(pid.read_text()))
        os.kill(server.status()["running"]["pid"], number)
        child.communicate(timeout=30)
        assert child.returncode == 1
    assert "refs/heads/main" not in server.refs()
    ada.commit("quick", **{"deploy.toml": ""})
    assert ada.push("main").code == 0
    assert select.select([step], [], [], 30)[0], "the step is still running"
    os.close(step)
    assert server.releases()[-1]["failed_why"] == why


def _name(server: Server, link: str) -> str:
    path = server.link(link)
    assert path is not None
    return path.name


def _intended(
    app: App, action: str, update: RefUpdate, plan: str, *, release: int, was: int
) -> int:
    event = app.ledger.deployments.begin(
        action,
        by="ada",
        started="2026-01-01T00:00:00Z",
        chain="dev",
        ref=update.ref,
        old=update.old,
        new=update.new,
    )
    app.ledger.deployments.intend(
        event.id, release=release, from_release=was, plan=plan
    )
    return event.id


@pytest.mark.parametrize(("busy", "told"), [(False, ["v1"]), (True, [])])
def test_without_the_gate_the_next_push_tells_what_moved_unseen(
    server: Server, make_work: Callable[..., Work], *, busy: bool, told: list[str]
) -> None:
    """But not while git takes another push: its hook may be just about to begin."""
    server.setup("shop", "--no-gate")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    assert ada.push("main").code == 0
    hook = server.repo() / "hooks" / "post-receive"
    hook.chmod(0o644)
    assert ada.push("main:refs/tags/v1").code == 0
    hook.chmod(0o755)
    with ExitStack() as stack:
        if busy:
            words = ("git", "receive-pack", server.repo())
            other = stack.enter_context(process.started(*words))
            assert other.stdout is not None
            assert other.stdout.readline()  # it is there, and waits for its pusher
        ada.commit("two", a="two")
        said = ada.push("main").remote_lines
    assert [x.split()[-1] for x in said if x.startswith("  moved unseen")] == told
    assert server.status()["pending"] is True
    server.gitdeploy("repair", "shop", "--deploy", "v1")
    assert server.status()["pending"] is False
    assert server.link("shop") is not None


# Works on an app until a git of its own has read all of a pipe.
READ = """
import os, sys
from pathlib import Path
from gitdeploy.deploy.app import App
from gitdeploy.deploy.recover import locked
from gitdeploy.door import surroundings

root, pipe = sys.argv[1:]
app = App.open(Path(root), "shop", surroundings(os.environ), "ada")
with locked(app, "read", wait_s=0, tell=print):
    app.repository.git("hash-object", pipe)
"""


def test_nobody_is_let_in_before_the_git_of_a_killed_holder_has_ended(
    server: Server, work: Work, tmp_path: Path
) -> None:
    """It may be just about to move a ref, behind the back of whoever comes next."""
    work.commit("one", a="one")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with process.started(sys.executable, "-c", READ, server.root, pipe) as holds:
        with pipe.open("w") as writer:  # opened when git has it open to read
            holds.kill()
            holds.wait(30)
            assert holder(server.root / "shop" / "lock") is not None
            writer.write("all")
        assert work.push("main").code == 0
    assert server.link("shop-staging") is not None
