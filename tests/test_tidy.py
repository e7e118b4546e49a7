"""What happens after a push and holds nobody up."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from support.git import Work
from support.server import Server

from gitdeploy.door import surroundings
from gitdeploy.repository import Repository
from gitdeploy.system.git import Git


def test_what_many_pushes_left_loose_is_packed(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """git does not do it within a push, so somebody has to."""
    server.setup("shop")
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
