"""A full disk is told as such, and the release that was live serves on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import process
from support.git import Work
from support.server import Server


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(place))
    if os.geteuid() or process.run(*words, check=False).returncode:
        pytest.skip("LEFT OUT: only root can mount a small file system")
    yield place
    process.run("umount", "--lazy", str(place))


def test_a_release_that_does_not_fit_is_refused_before_it_is_written(
    small: Path, make_work: Callable[..., Work]
) -> None:
    """The message says how much is missing; after the push nothing is in the way."""
    server = Server(small / "root")
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a=os.urandom(600_000))
    assert ada.push("main").code == 0
    links = server.links()
    ada.commit("two", b=b"\0" * 3_500_000)
    said = ada.push("main")
    assert said.code == 1
    assert "the files need 3.9 MiB; the server's disk has" in said.output
    assert "gitdeploy prune shop" in said.output
    assert server.links() == links
    ada.git("reset", "--hard", "HEAD~1")
    ada.commit("three", c="small")
    assert ada.push("main").code == 0


def test_a_disk_without_any_room_is_named_as_the_cause(
    small: Path, make_work: Callable[..., Work]
) -> None:
    """The pusher and the operator are told; the next push after room is made works."""
    server = Server(small / "root")
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    assert ada.push("main").code == 0
    links = server.links()
    filler = small / "filler"
    process.run("dd", "if=/dev/zero", f"of={filler}", "bs=4k", check=False)
    ada.commit("two", a="two")
    said = ada.push("main")
    assert said.code == 1
    assert "No space left on device" in said.output or "disk is full" in said.output
    told = server.gitdeploy("rollback", "shop", "dev", check=False)
    assert told.returncode != 0
    assert "Traceback" not in told.stderr
    assert server.links() == links
    filler.unlink()
    assert ada.push("main").code == 0
