"""An app that harm is done to, and the harm: what hands, disks and crashes do."""

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitdeploy.door import surroundings
from gitdeploy.system.git import Git
from support import process
from support.git import Work
from support.server import Server
from support.tools import cannot


@dataclass
class Shop:
    """An app with three releases, 1 on prod, 2 and 3 on dev, and who pushes to it."""

    server: Server
    work: Work

    @property
    def home(self) -> Path:
        return self.server.root / "shop"

    @property
    def repo(self) -> Path:
        return self.server.repo()

    def release(self, number: int) -> Path:
        (found,) = (self.home / "releases").glob(f"{number}-*")
        return found

    def sql(self, statement: str) -> None:
        with sqlite3.connect(self.home / "ledger.db") as ledger:
            ledger.execute(statement)
        ledger.close()

    def findings(self, *words: str) -> list[dict[str, Any]]:
        done = self.server.gitdeploy("doctor", "shop", "--json", *words, check=False)
        assert done.returncode in (0, 4), done.stderr
        found = list(json.loads(done.stdout)["findings"])
        left = [f for f in found if not f["fixed"] and f["severity"] == "trouble"]
        assert done.returncode == (4 if left else 0), found
        return found

    def push_goes_on(self) -> None:
        """The promise for whatever was found and mended: the next push just works."""
        self.work.commit("more", **{"index.html": "more"})
        push = self.work.push("main")
        assert push.code == 0, push.output
        assert self.server.link("shop-staging") is not None


Plant = Callable[[Shop], None]


def remove(place: str) -> Plant:
    def plant(shop: Shop) -> None:
        path = place_of(shop, place)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    return plant


def relink(place: str, target: str) -> Plant:
    def plant(shop: Shop) -> None:
        place_of(shop, place).unlink()
        place_of(shop, place).symlink_to(target)

    return plant


def chmod(place: str, mode: int) -> Plant:
    return lambda shop: place_of(shop, place).chmod(mode)


def write(place: str, text: str = "") -> Plant:
    def plant(shop: Shop) -> None:
        path = place_of(shop, place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return plant


def config(*words: str) -> Plant:
    return lambda shop: void(shop.server.git("config", *words))


def sql(statement: str) -> Plant:
    return lambda shop: shop.sql(statement)


def void(_: object) -> None:
    """Take any result and return none."""


def hook(text: str) -> Plant:
    def plant(shop: Shop) -> None:
        place = shop.repo / "hooks" / "proc-receive"
        place.write_text(text)
        place.chmod(0o755)

    return plant


def move_ref(shop: Shop) -> None:
    shop.server.git("update-ref", "refs/heads/main", shop.work.oid("HEAD~1"))


def spoil_ref(shop: Shop) -> None:
    (shop.repo / "refs" / "heads" / "main").write_bytes(b"")


def died(shop: Shop) -> None:
    shop.sql(
        'INSERT INTO deployment (action, chain, state, "by", started)'
        " VALUES ('rollback', 'dev', 'begun', 'ada', '2026-01-01T00:00:00Z')"
    )


def prune_half(shop: Shop) -> None:
    """Leave release 2 as prune does that is killed before it removes."""
    shop.sql("DELETE FROM chain WHERE release = 2")
    shop.sql("UPDATE release SET state = 'pruned' WHERE number = 2")


def chown(place: str) -> Plant:
    def plant(shop: Shop) -> None:
        if os.geteuid():
            cannot("only root can give a file away")
        os.chown(place_of(shop, place), 12345, -1)

    return plant


def replace_by_directory(place: str) -> Plant:
    def plant(shop: Shop) -> None:
        path = place_of(shop, place)
        path.unlink()
        path.mkdir()
        (path / "kept").write_text("kept")

    return plant


def damage_ledger(shop: Shop) -> None:
    """Overwrite every page but the first."""
    ledger = shop.home / "ledger.db"
    size = ledger.stat().st_size
    with ledger.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def truncate(place: str, size: int) -> Plant:
    return lambda shop: os.truncate(place_of(shop, place), size)


def loose(shop: Shop, name: str) -> Path:
    """Return the file of an object, taken out of its pack."""
    _unpack(shop)
    id_ = shop.work.oid(name)
    return shop.repo / "objects" / id_[:2] / id_[2:]


def _unpack(shop: Shop) -> None:
    """Make every object loose; git unpacks only what it has not got in a pack."""
    for pack in (shop.repo / "objects" / "pack").glob("*.pack"):
        outside = pack.rename(shop.repo / pack.name)
        for beside in pack.parent.glob(f"{pack.stem}.*"):
            beside.unlink()
        git = Git(shop.repo, surroundings(os.environ))
        git("unpack-objects", "-q", stdin=outside.read_bytes())
        outside.unlink()


def lose_object(name: str) -> Plant:
    return lambda shop: loose(shop, name).unlink()


def spoil_object(shop: Shop) -> None:
    place = loose(shop, "HEAD:index.html")
    place.chmod(0o644)
    place.write_bytes(b"rubbish")


def spoil_pack(shop: Shop) -> None:
    shop.server.git("repack", "-adq")
    (pack,) = (shop.repo / "objects" / "pack").glob("*.pack")
    pack.chmod(0o644)
    with pack.open("r+b") as file:
        file.seek(40)
        file.write(b"\xff" * 40)


def place_of(shop: Shop, place: str) -> Path:
    """Return a place named by what it belongs to: HOME, REPO, WWW, RELEASES."""
    top, _, rest = place.partition("/")
    tops = {
        "HOME": shop.home,
        "REPO": shop.repo,
        "WWW": shop.server.target,
        "RELEASES": shop.home / "releases",
    }
    if "*" in rest:
        number, _, below = rest.partition("-*")
        return shop.release(int(number)) / below.removeprefix("/")
    return tops[top] / rest if rest else tops[top]


def type_as_a_person(shop: Shop, command: str, tmp_path: Path) -> None:
    """Do what the hint says, as a person would: in a shell."""
    here = tmp_path / "path"
    here.mkdir(exist_ok=True)
    program = here / "gitdeploy"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gitdeploy "$@"\n')
    program.chmod(0o755)
    process.run(
        "sh",
        "-euc",
        command.replace("CLONE", str(shop.work.path)),
        env={
            "PATH": f"{here}:{os.environ['PATH']}",
            "GITDEPLOY_ROOT": str(shop.server.root),
            "HOME": str(here),  # where a hint may move what is not ours
        },
        cwd=shop.server.root,
        check=False,
    )
