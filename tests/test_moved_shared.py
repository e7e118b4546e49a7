"""What a chain has for itself moves out of the app's shared places; no link dangles."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from crash.deeds import Verb
from crash.failpoints import failing, killing, points_of
from crash.world import World
from support.git import Work
from support.server import Server

TOML = '[shared]\nfiles = [".env"]\ndirs = ["a/storage"]\nscope = "chain"\n'
SETUP = Verb(("setup", "shop"))
CHAINS = ("dev", "prod")


def own(world: World, path: str) -> dict[Path, bytes]:
    """Return what each release finds at a path of its chain's own, by its directory."""
    releases = (world.home / "releases").iterdir()
    return {one: (one / path).read_bytes() for one in releases if one.is_dir()}


def wrong(world: World) -> Iterator[str]:
    """Yield what a release does not find any more, right now."""
    for release, held in own(world, ".env").items():
        kept = (release / "a/storage/kept").read_bytes()
        if held != kept or held not in (b"dev", b"prod"):
            yield f"{release.name}: {held!r}, {kept!r}"


def as_before(world: World) -> World:
    """Bring a world to how an earlier version had it."""
    shared = world.home / "shared"
    for chain in CHAINS:
        (world.home / f"shared-{chain}").rename(shared / chain)
    for link in (world.home / "releases").glob("*/**/*"):
        if link.is_symlink():
            held = os.readlink(link).replace("/shared-", "/shared/")
            link.unlink()
            link.symlink_to(held)
    with closing(sqlite3.connect(world.home / "ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM setting WHERE name = 'shared_moved'")
    return world


@pytest.fixture
def world(server: Server, work: Work) -> World:
    """Three releases of dev and one of prod, as an earlier version left them."""
    made = World(server.root, work.path)
    for chain in CHAINS:
        storage = made.home / f"shared-{chain}/a/storage"
        storage.mkdir(parents=True)
        for path in (storage / "kept", storage.parent.parent / ".env"):
            path.write_text(chain)
            path.chmod(0o600)
    for number in range(3):
        work.commit(f"{number}", **{"deploy.toml": TOML, "page": f"{number}"})
        assert work.push("main").code == 0
    server.gitdeploy("release", "shop")
    assert not [*wrong(made)]
    as_before(made)
    assert len(own(made, ".env")) == 4
    assert not [*wrong(made)]
    return made


def test_setup_moves_it_once(world: World) -> None:
    before = own(world, ".env")
    done = world.gitdeploy("setup", "shop")
    assert done.returncode == 0
    assert f"moved {world.home}/shared/prod to {world.home}/shared-prod" in done.stdout
    assert own(world, ".env") == before
    assert not [*wrong(world)]
    assert os.listdir(world.home / "shared") == []
    links = {os.readlink(one / ".env") for one in before}
    assert links == {"../../shared-dev/.env", "../../shared-prod/.env"}
    assert "moved" not in world.gitdeploy("setup", "shop").stdout
    assert "shared" not in world.gitdeploy("doctor", "shop").stdout
    assert world.gitdeploy("verify", "shop").returncode == 0


def test_before_that_nothing_is_built_and_all_else_goes_on(
    world: World, work: Work
) -> None:
    done = world.gitdeploy("doctor", "shop")
    assert "gitdeploy setup shop" in done.stdout
    toml = '[[build.steps]]\nrun = "cat $GITDEPLOY_SHARED_DIR/prod/.env"\n'
    work.commit("less", **{"deploy.toml": toml})
    push = work.push("main")
    assert push.code == 1
    assert "gitdeploy setup shop" in push.output
    assert world.gitdeploy("rollback", "shop", "dev").returncode == 0
    shown = world.gitdeploy("env", "shop", "list", "--chain", "prod", "--json")
    assert f"{world.home}/shared/prod/.env" in shown.stdout
    assert world.gitdeploy("setup", "shop").returncode == 0
    assert work.push("main").code == 1  # the step does not find it any more
    work.commit("mended", **{"deploy.toml": ""})
    assert work.push("main").code == 0


def test_killed_or_failing_anywhere_it_goes_on_and_no_link_dangles(
    world: World, tmp_path: Path
) -> None:
    """At each call that changes the disk: what is there right after, and in the end."""
    points = [
        point
        for point in points_of(SETUP, world.copied(tmp_path / "rehearsal/root"))
        if point.caller.endswith(("moved_shared.py", "ground.py", "files.py"))
        and ("/shared" in point.path or "/releases/" in point.path)
    ]
    assert len(points) > 25
    assert any(point.name == "os.rename" for point in points)
    for number, point in enumerate(points):
        for how, kind in enumerate((killing, failing)):
            copy = world.copied(tmp_path / f"{number}-{how}/root")
            more = () if kind is killing else (28,)
            before = kind(point.label, copy.root, *more)
            ended = SETUP.inside(copy, before=before)
            assert ended.code, (point, how)
            assert not [*wrong(copy)], (point, how)
            assert SETUP.inside(copy).code == 0, (point, how)
            assert not [*wrong(copy)], (point, how)
            assert os.listdir(copy.home / "shared") == [], (point, how)
            names = sorted(os.listdir(copy.home))
            assert [n for n in names if "shared" in n] == [
                "shared",
                "shared-dev",
                "shared-prod",
            ], (point, how)


@pytest.mark.parametrize("left", ["link", "file"])
def test_what_lies_in_the_way_is_named_and_nothing_is_followed(
    world: World, left: str, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"
    (world.home / "shared/prod").rename(aside)
    if left == "link":
        (world.home / "shared/prod").symlink_to(aside)
    else:
        (world.home / "shared/prod").touch()
    done = world.gitdeploy("setup", "shop")
    assert done.returncode == 4
    assert f"{world.home}/shared/prod is in the way" in done.stderr
    (world.home / "shared/prod").unlink()
    aside.rename(world.home / "shared/prod")
    assert world.gitdeploy("setup", "shop").returncode == 0
    assert not [*wrong(world)]


def test_a_shared_folder_called_dev_is_not_taken_for_a_chain_s_own(
    server: Server, work: Work
) -> None:
    """The app's own deploy.toml says what it is, not its name."""
    toml = '[shared]\ndirs = ["dev"]\n'
    work.commit("one", **{"deploy.toml": toml, "dev/kept": "1"})
    assert work.push("main").code == 0
    with closing(sqlite3.connect(server.root / "shop/ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM setting WHERE name = 'shared_moved'")
    server.gitdeploy("setup", "shop")
    assert (server.root / "shop/shared/dev/kept").read_text() == "1"
    assert not (server.root / "shop/shared-dev").exists()
    live = server.link("shop-staging")
    assert live is not None
    assert (live / "dev/kept").read_text() == "1"
