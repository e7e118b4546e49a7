"""Lock files that a killed git leaves, and those that a living one holds."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Work
from support.process import started
from support.server import Server
from support.shop import ref_locked, staged

from gitdeploy.deploy.app import App
from gitdeploy.door import surroundings
from gitdeploy.repository import locks
from gitdeploy.system import clock, processes
from gitdeploy.system.processes import Process, ancestors, running


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """Release 1 on both chains, release 2 staged."""
    return staged(server, work)


@pytest.fixture
def app(shop: Server) -> App:
    """The same app, from inside."""
    return App.open(shop.root, "shop", surroundings(os.environ), "ada")


LOCKS = [
    "refs/heads/main.lock",
    "refs/deploy/dev/1.lock",
    "packed-refs.lock",
    "HEAD.lock",
    "config.lock",
]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_that_a_killed_git_left_hinders_no_push(
    shop: Server, work: Work, lock: str
) -> None:
    """Nobody who could have made it is alive, so it goes, and the push goes on."""
    _plant(shop, lock)
    work.commit("three", **{"index.html": "three"})
    push = work.push("main")
    assert push.code == 0, push.output
    assert shop.refs()["refs/heads/main"] == work.head
    assert shop.refs()["refs/deploy/dev/1"] == work.head


def test_several_locks_are_removed_one_after_the_other(
    shop: Server, work: Work
) -> None:
    """A git that was killed in a transaction leaves one for each of its refs."""
    for ref in ("dev/1", "dev/2", "dev/3"):
        _plant(shop, f"refs/deploy/{ref}.lock")
    _plant(shop, "refs/heads/main.lock")
    work.commit("three", **{"index.html": "three"})
    assert work.push("main").code == 0
    assert list((shop.repo() / "refs").rglob("*.lock")) == []


def test_a_deleted_tag_is_not_held_up_by_a_stale_lock_of_packed_refs(
    shop: Server, work: Work
) -> None:
    """A deletion rewrites packed-refs, which has a lock of its own."""
    work.tag("v2")
    assert work.push("v2").code == 0
    work.tag("v3")
    assert work.push("v3").code == 0
    lock = _plant(shop, "packed-refs.lock")
    assert work.push(":v2").code == 0
    assert not lock.exists()
    assert "refs/tags/v2" not in shop.refs()


def test_a_lock_that_a_living_git_holds_is_respected_and_named(
    shop: Server, work: Work
) -> None:
    """The pusher reads which file it is, since when, and whose."""
    before = work.oid("main")
    work.commit("three", **{"index.html": "three"})
    with ref_locked(shop, "refs/heads/main") as pid:
        push = work.push("main")
        assert push.code == 1
        reason = push.status("main").reason
        assert reason.startswith("refs/heads/main.lock is held since ")
        assert f"process {pid} (git" in reason
        assert "push again when it has ended" in push.output
        assert (shop.repo() / "refs" / "heads" / "main.lock").exists()
    assert shop.refs()["refs/heads/main"] == before
    assert work.push("main").code == 0


def test_a_git_that_is_killed_gives_its_lock_up(shop: Server, work: Work) -> None:
    """The same lock as before, from the moment its holder is gone."""
    work.commit("three", **{"index.html": "three"})
    with ref_locked(shop, "refs/heads/main") as pid:
        os.kill(pid, signal.SIGKILL)
    assert (shop.repo() / "refs" / "heads" / "main.lock").exists()
    assert work.push("main").code == 0


@pytest.mark.parametrize("where", ["inside", "by variable", "by option", "below"])
def test_a_git_is_found_however_it_was_told_its_repository(
    shop: Server, app: App, tmp_path: Path, where: str
) -> None:
    """One that is left out could lose what it locked."""
    repository = str(shop.repo())
    words, place, more = {
        "inside": ([], shop.repo(), {}),
        "by variable": ([], tmp_path, {"GIT_DIR": repository}),
        "by option": (
            ["--git-dir", os.path.relpath(repository, tmp_path)],
            tmp_path,
            {},
        ),
        "below": ([], shop.repo() / "refs", {}),
    }[where]
    with started("git", *words, "cat-file", "--batch", cwd=place, env=more) as git:
        _answers(git)
        _plant(shop, "refs/heads/main.lock")
        (lock,) = app.repository.locks()
        assert lock.holder == Process(git.pid)
        assert not lock.stale
        assert not app.repository.remove_lock(lock)
    (lock,) = app.repository.locks()
    assert lock.stale


def test_a_git_elsewhere_and_a_clone_under_way_hold_no_lock(
    shop: Server, app: App, work: Work
) -> None:
    """A clone may last for hours; it locks nothing."""
    repository = shop.repo()
    _plant(shop, "refs/heads/main.lock")
    with (
        started("git", "cat-file", "--batch", cwd=work.path) as other,
        started("git", "upload-pack", repository) as clone,
    ):
        _answers(other)
        assert clone.stdout
        assert clone.stdout.read(4)
        (lock,) = app.repository.locks()
        assert lock.stale


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, float], None]:
    """Make a file as old as a test needs: nobody can set the time the kernel notes."""
    monkeypatch.setattr(locks, "_made_s", lambda status: status.st_mtime)
    return lambda path, moment_s: os.utime(path, (moment_s, moment_s))


def test_a_git_that_was_started_after_a_lock_was_made_does_not_hold_it(
    shop: Server, app: App, aged: Callable[[Path, float], None]
) -> None:
    """With a margin: files are stamped a tick late, and clocks are adjusted."""
    path = _plant(shop, "refs/heads/main.lock")
    with started("git", "cat-file", "--batch", cwd=shop.repo()) as git:
        _answers(git)
        begun_s = Process(git.pid).started_s
        assert begun_s is not None
        aged(path, begun_s - 1)
        assert [lock.stale for lock in app.repository.locks()] == [False]
        aged(path, begun_s - 3)
        assert [lock.stale for lock in app.repository.locks()] == [True]


def test_what_an_unseen_git_may_have_made_is_stale_after_a_boot_only(
    shop: Server,
    app: App,
    aged: Callable[[Path, float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of other users' processes only root sees where they work."""
    path = _plant(shop, "refs/heads/main.lock")
    monkeypatch.setattr(processes, "all_are_seen", lambda: False)
    assert [lock.stale for lock in app.repository.locks()] == [True]  # it is ours
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (lock,) = app.repository.locks()
    assert not lock.stale
    assert lock.holder is None
    assert "perhaps another user's" in str(lock)
    aged(path, clock.booted_s() - 10)
    assert [lock.stale for lock in app.repository.locks()] == [True]


def test_behind_the_gate_a_push_that_waits_holds_no_lock(
    shop: Server, app: App
) -> None:
    """git leaves every ref to us there; without the gate it does not."""
    _plant(shop, "refs/heads/main.lock")
    with started("git", "receive-pack", shop.repo()) as receiving:
        assert receiving.stdout
        assert receiving.stdout.read(4)
        (lock,) = app.repository.locks()
        assert lock.stale
        shop.setup("shop", "--no-gate")
        _plant(shop, "refs/heads/main.lock")
        (lock,) = app.repository.locks()
        assert lock.holder == Process(receiving.pid)


def test_repair_removes_stale_locks_where_git_itself_would_stumble(
    server: Server, work: Work
) -> None:
    """Without the gate git moves the refs, before any hook of ours could help."""
    server.setup("shop", "--no-gate")
    work.commit("one", **{"index.html": "one"})
    assert work.push("main").code == 0
    lock = _plant(server, "refs/heads/main.lock")
    work.commit("two", **{"index.html": "two"})
    assert work.push("main").code == 1
    assert f"removed {lock}" in server.gitdeploy("repair", "shop").stdout
    assert work.push("main").code == 0


def test_setting_up_again_is_not_held_up_by_a_stale_lock(shop: Server) -> None:
    """The same as for refs: config has a lock file too."""
    shop.git("config", "core.fsync", "none")
    lock = _plant(shop, "config.lock")
    assert "core.fsync" in shop.setup("shop").stdout
    assert not lock.exists()


# --- processes -----------------------------------------------------------------


def test_a_process_is_read_as_it_is(tmp_path: Path) -> None:
    """What /proc says of it, and nothing of one that has ended."""
    more = {"COLOUR": "green"}
    with started("cat", "-", cwd=tmp_path, env=more) as child:
        _answers(child)
        process = Process(child.pid)
        assert process in set(running())
        assert process.arguments == ("cat", "-")
        assert process.parent == os.getpid()
        assert process.owner == os.geteuid()
        assert process.directory == str(tmp_path)
        assert process.variable("COLOUR") == "green"
        assert process.variable("COLOR") is None
        assert str(tmp_path) in set(process.paths())
        assert all(path.startswith("/") for path in process.paths())
        mine = Process(os.getpid()).started_s
        assert process.started_s is not None
        assert mine is not None
        assert process.started_s >= mine
    assert process.arguments == ()
    assert process.directory is None
    assert process.started_s is None
    assert process.parent == 0


def test_ancestors_are_those_that_wait_for_us() -> None:
    """Ourselves, who started us, and so on up to the first."""
    found = ancestors()
    assert {os.getpid(), os.getppid()} <= found
    assert 1 in found


def _plant(server: Server, name: str) -> Path:
    lock = server.repo() / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.touch()
    return lock


def _answers(child) -> None:
    """Wait until a program that answers each line, such as git cat-file, is at work."""
    child.stdin.write(b"HEAD\n")
    child.stdin.flush()
    assert child.stdout.readline()
