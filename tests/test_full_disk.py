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
    """A file system of 8 MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place))
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
    for n in range(5):
        ada.commit(f"{n}", a=b"%d" % n * 600_000)
        assert ada.push("main").code == 0
    links = server.links()
    ada.commit("large", b=b"\0" * 3_000_000)
    said = ada.push("main")
    assert said.code == 1
    reason = said.status("main").reason
    assert reason.startswith("the files need 2.9 MiB, and 1.0 MiB stay free; the serv")
    assert reason.endswith("too little")
    assert "hint          gitdeploy prune shop --keep 0  # frees 1.1 MiB" in said.output
    assert server.links() == links
    server.gitdeploy("prune", "shop", "--keep", "0")
    assert ada.push("main").code == 0
    ada.commit("huge", c=b"\0" * 9_000_000)
    said = ada.push("main")
    assert said.code == 1
    assert "# prune would free" in said.output
    ada.git("reset", "--hard", "HEAD~1")
    ada.remove("b")
    ada.commit("three", c="small")
    assert ada.push("main").code == 0


@pytest.mark.parametrize("words", [("rollback", "dev"), ("rollback",)])
def test_a_roll_back_works_on_a_disk_without_any_room(
    small: Path, make_work: Callable[..., Work], words: tuple[str, ...]
) -> None:
    """The room that was kept back for it is used, and kept back again afterwards."""
    server = Server(small / "root")
    server.setup("shop")
    ada = make_work("ada", server.url())
    for n in (1, 2):
        ada.commit(f"{n}", a=str(n))
        ada.tag(f"v{n}")
        assert ada.push("main", f"v{n}").code == 0
    filler = small / "filler"
    process.run("dd", "if=/dev/zero", f"of={filler}", "bs=4k", check=False)
    verb, *chain = words
    server.gitdeploy(verb, "shop", *chain)
    link = server.link("shop-staging" if chain else "shop")
    assert link is not None
    assert (link / "a").read_text() == "1"
    assert not (server.root / "shop" / "reserve").exists()
    process.run("dd", "if=/dev/zero", f"of={small}/more", "bs=4k", check=False)
    filler.unlink()
    ada.commit("3", a="3")
    assert ada.push("main").code == 0
    assert len(list((server.root / "shop" / "reserve").iterdir())) == 16


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
    assert told.returncode == 5, "there is nothing to roll back to"
    assert server.links() == links
    filler.unlink()
    assert ada.push("main").code == 0
