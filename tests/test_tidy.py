"""What happens after a push and holds nobody up."""

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from support import process
from support.git import Work, told
from support.held import at_work, opened, until
from support.server import Server

from gitdeploy.deploy.prune import mark_pruned
from gitdeploy.door import surroundings
from gitdeploy.repository import Repository
from gitdeploy.system.git import Git


def test_what_many_pushes_left_loose_is_packed(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """git does not do it within a push, so somebody has to."""
    server.setup("shop")
    server.git("config", "receive.unpackLimit", "100")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    assert ada.push("main").code == 0
    repository = Repository(Git(server.repo(), surroundings(os.environ)))
    repository.maintain(detached=False)
    assert _loose(server) == 3
    for number in range(3000):
        (tmp_path / str(number)).write_text(str(number))
    paths = "\n".join(str(tmp_path / str(number)) for number in range(3000))
    ada.git("hash-object", "-w", "--stdin-paths", stdin=paths)
    blobs = ada.git("cat-file", "--batch-all-objects", "--batch-check").stdout
    assert blobs.count(" blob ") > 3000
    repository.git("hash-object", "-w", "--stdin-paths", stdin=paths.encode())
    repository.maintain(detached=False)
    assert _loose(server) < 3003
    assert server.git("fsck", "--full").returncode == 0


def test_a_push_that_leaves_much_loose_is_followed_by_packing(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """It goes on by itself; nobody waits for it."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    for number in range(3000):
        (tmp_path / str(number)).write_text(str(number))
    paths = "\n".join(str(tmp_path / str(number)) for number in range(3000))
    server.git("config", "gc.pruneExpire", "now")
    repository = Repository(Git(server.repo(), surroundings(os.environ)))
    repository.git("hash-object", "-w", "--stdin-paths", stdin=paths.encode())
    assert ada.push("main").code == 0
    end = time.monotonic() + 30
    while _loose(server) > 100 and time.monotonic() < end:
        time.sleep(0.05)
    assert _loose(server) < 100
    assert server.link("shop-staging")


def test_a_push_that_leaves_many_packs_is_followed_by_one_pack(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """Each push brings a pack; they are put together before they are too many."""
    server.setup("shop")
    server.git("config", "gc.pruneExpire", "now")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    repository = Repository(Git(server.repo(), surroundings(os.environ)))
    packs = server.repo() / "objects" / "pack"
    for number in range(80):
        blob = repository.git("hash-object", "-w", "--stdin", stdin=b"%d" % number)
        repository.git("pack-objects", "-q", str(packs / "pack"), stdin=blob)
    assert ada.push("main").code == 0
    until(lambda: len(list(packs.glob("*.pack"))) < 10, "the packs put together")
    with (server.root / "shop" / "tidying").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
    assert server.git("fsck", "--full").returncode == 0
    assert server.link("shop-staging")


def test_a_push_that_prunes_nothing_says_nothing_of_it(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """No warning where there is nothing to warn of."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    assert "warning" not in ada.push("main").output


def _loose(server: Server) -> int:
    counted = server.git("count-objects").stdout
    return int(counted.split()[0])


# --- what nobody waits for ---------------------------------------------------------


@pytest.fixture
def full(server: Server, work: Work) -> Server:
    """An app with as many releases as it keeps: the next push has one to prune."""
    for page in "abc":
        work.commit(page, page=page, **{"deploy.toml": "[releases]\nkeep = 0\n"})
        assert work.push("main").code == 0
    assert numbers(server) == [1, 2, 3]
    return server


@contextmanager
def somebody_removes(server: Server) -> Iterator[None]:
    """Hold for the body what one holds who removes directories."""
    with (server.root / "shop" / "tidying").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def numbers(server: Server) -> list[int]:
    """Return the numbers of the releases whose directories are there."""
    names = os.listdir(server.root / "shop" / "releases")
    return sorted(int(name.partition("-")[0]) for name in names)


def pushed(work: Work, page: str) -> None:
    """Push a new page, and do not wait for what is tidied up after it."""
    work.commit(page, page=page)
    with work.pushing("main") as push:
        done = told(push)
    assert done.code == 0, done.output


def test_no_pusher_waits_for_directories_to_go(full: Server, work: Work) -> None:
    """Neither the one whose push it follows, nor the next, nor both."""
    with somebody_removes(full):
        pushed(work, "d")
        pushed(work, "e")
        assert numbers(full) == [1, 2, 3, 4, 5]
    until(lambda: numbers(full) == [3, 4, 5], "the oldest two are gone")
    link = full.link("shop-staging")
    assert link
    assert (link / "page").read_text() == "e"


def test_who_tidies_up_has_nothing_of_the_pusher_s(full: Server, work: Work) -> None:
    """No terminal and no pipe, so that ssh and git can end; and it is found."""
    with somebody_removes(full):
        pushed(work, "d")
        (pid,) = until(lambda: _working_in(full.root / "shop"), "one that tidies up")
        links = [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        assert sorted(links) == ["/dev/null"] * 3 + [f"{full.root}/shop/tidying"]
        assert os.getsid(pid) == pid
    until(lambda: not at_work(full), "its end")
    assert numbers(full) == [2, 3, 4]


def test_doctor_tells_of_what_nobody_removes_only(full: Server, work: Work) -> None:
    """What is on its way out is no finding; what a crash left is, and goes."""
    with somebody_removes(full):
        with opened(full) as app:
            mark_pruned(app, [app.ledger.releases.get(1)])
        assert "pruned-left" not in found(full)
    assert "pruned-left" in found(full)
    pushed(work, "d")
    assert numbers(full) == [2, 3, 4]


def test_who_prunes_waits_for_whoever_removes(full: Server, work: Work) -> None:
    """And then removes what was pruned meanwhile, whoever pruned it."""
    work.commit("d", page="d", **{"deploy.toml": ""})
    assert work.push("main").code == 0
    prune = ("-m", "gitdeploy", "prune", "shop", "--keep", "0")
    with ExitStack() as stack:
        removing = stack.enter_context(ExitStack())
        removing.enter_context(somebody_removes(full))
        root = {"GITDEPLOY_ROOT": str(full.root)}
        child = stack.enter_context(
            process.started(sys.executable, *prune, env=root, cwd=full.root)
        )
        until(lambda: full.releases()[-1]["state"] == "pruned", "the ledger says so")
        assert numbers(full) == [1, 2, 3, 4]
        removing.close()
        assert child.wait(60) == 0
    assert numbers(full) == [2, 3, 4]


def found(server: Server) -> set[str]:
    """Return what doctor finds."""
    done = server.gitdeploy("doctor", "shop", "--json", check=False)
    return {finding["name"] for finding in json.loads(done.stdout)["findings"]}


def _working_in(directory: Path) -> list[int]:
    """Return who has that working directory."""
    found = []
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(directory):
                found.append(int(pid))
    return found
