"""Whoever looks through a public link never notices that it is flipped."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.git import Work
from support.nginx import nginx
from support.readers import (
    SIZE,
    flip,
    lettered,
    look_through,
    replacing,
    under_load,
)
from support.server import Server

from gitdeploy.deploy.app import App
from gitdeploy.deploy.roll import roll_back, roll_forward
from gitdeploy.door import surroundings
from gitdeploy.system import files

FLIPS = 200
REQUESTS = 5_000
LOOKS = 200_000


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """Three releases on prod; the page of each is 64 KiB of its own letter."""
    lettered(work)
    return server


@pytest.fixture
def app(shop: Server) -> Iterator[App]:
    """The same app, from inside, where a flip takes milliseconds."""
    with App.open(shop.root, "shop", surroundings(os.environ), "ada") as app:
        yield app


def test_no_request_fails_and_no_answer_is_a_mixture_while_releases_change(
    shop: Server, work: Work, app: App, tmp_path: Path
) -> None:
    """nginx under load: hundreds of flips, and pushes that stage, release, go back."""

    flips = []

    def change() -> None:
        while len(flips) < FLIPS:
            flips.append(flip(app, roll_back))
            flips.append(flip(app, roll_forward))
        _push_a_release_and_take_it_back(work)

    with nginx(shop, tmp_path / "nginx") as (live, _):
        served = under_load(f"{live}page", tmp_path, change)
    assert flips == ["rolled back", "rolled forward"] * (FLIPS // 2)
    assert (served.failed, served.mixed) == (0, 0)
    assert served.requests >= REQUESTS
    assert served.turns >= FLIPS // 10  # they were seen


def test_no_look_through_a_link_misses_while_it_is_replaced(
    app: App, tmp_path: Path
) -> None:
    """A tight loop of readlink, stat and open against a tight loop of flips."""
    head = app.public.target / "shop"
    looked = look_through(head, tmp_path, replacing(app), looks=LOOKS, acts=FLIPS)
    assert looked.missed == 0
    assert looked.looks >= LOOKS
    assert looked.acts >= FLIPS


# --- what would be seen otherwise --------------------------------------------------


@pytest.mark.usefixtures("remove_first")
def test_requests_fail_where_a_link_is_removed_before_it_is_made_again(
    shop: Server, app: App, tmp_path: Path
) -> None:
    """The control: the same readers see what `ln -sfn` used to do."""

    def change() -> None:
        for _ in range(3000):
            replace()

    replace = replacing(app)
    with nginx(shop, tmp_path / "nginx") as (live, _):
        assert any(under_load(f"{live}page", tmp_path, change).failed for _ in range(9))


@pytest.mark.usefixtures("remove_first")
def test_looks_miss_where_a_link_is_removed_before_it_is_made_again(
    app: App, tmp_path: Path
) -> None:
    """The control of the tight loop."""
    head, replace = app.public.target / "shop", replacing(app)
    assert any(
        look_through(head, tmp_path, replace, looks=LOOKS // 10, acts=FLIPS).missed
        for _ in range(9)
    )


def test_a_page_that_mixes_two_releases_is_noticed(
    shop: Server, work: Work, tmp_path: Path
) -> None:
    """The control of the readers themselves."""
    work.commit("mixture", page="a" * (SIZE - 1) + "b")
    assert work.push("main").code == 0
    with nginx(shop, tmp_path / "nginx") as (_, staging):
        served = under_load(f"{staging}page", tmp_path, lambda: work.push("main"))
    assert served.mixed == served.requests > 0


@pytest.fixture
def remove_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace links as many deployers do: with a moment in between."""

    def replace_link(link: Path, target: str) -> None:
        files.remove_file(link)
        link.symlink_to(target)

    monkeypatch.setattr(files, "replace_link", replace_link)


def _push_a_release_and_take_it_back(work: Work) -> None:
    work.commit("d", page="d" * SIZE)
    work.tag("v4")
    assert work.push("main", "v4").code == 0
    work.revert()
    assert work.push("main").code == 0
    assert work.push(":v4").code == 0
