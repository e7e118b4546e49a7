"""No request fails while releases come and go: static files, PHP, app servers.

GITDEPLOY_LONG=1 deploys and rolls back a hundred times each.
"""

import os
from collections.abc import Callable
from pathlib import Path

from support.git import Work
from support.nginx import nginx
from support.php import php
from support.readers import SIZE, Served, under_load
from support.server import Server
from support.services import described, gunicorn, short_server

LONG = os.environ.get("GITDEPLOY_LONG") == "1"
ROUNDS = 50 if LONG else 4
LETTERS = "abcdefgh"

Commit = Callable[[str], None]
"""Commits a release that answers with one letter, so often that it is a page."""


def deploy_and_go_back(work: Work, commit: Commit) -> Callable[[], None]:
    """Return what deploys a letter and takes it back by a revert, again and again."""

    def act() -> None:
        for n in range(ROUNDS):
            commit(LETTERS[1 + n % (len(LETTERS) - 1)])
            pushed(work)
            work.revert()
            pushed(work)

    return act


def pushed(work: Work) -> None:
    said = work.push("main")
    assert said.code == 0, said.output


def told(what: str, served: Served) -> None:
    """Print what was served, for those who run the long form with -s."""
    print(f"{what}: {2 * ROUNDS} deployments and roll backs, {served}")  # noqa: T201


def all_is_well(served: Served) -> bool:
    """Whether all was answered, wholly, and the releases were seen to change."""
    changed = served.turns >= ROUNDS // 2
    return (served.failed, served.mixed) == (0, 0) and changed


def test_static_files(server: Server, work: Work, tmp_path: Path) -> None:
    """By nginx, from the link."""

    def commit(letter: str) -> None:
        work.commit(letter, page=letter * SIZE)

    commit("a")
    pushed(work)
    with nginx(server, tmp_path / "nginx") as (_, staging):
        act = deploy_and_go_back(work, commit)
        served = under_load(f"{staging}page", tmp_path, act)
    told("static files", served)
    assert all_is_well(served), served


def test_php(server: Server, work: Work, tmp_path: Path) -> None:
    """By PHP-FPM, with its opcode cache, by the real path of the release."""

    def commit(letter: str) -> None:
        script = f'<?php echo str_repeat("{letter}", {SIZE});'
        work.commit(letter, **{"page.php": script})

    commit("a")
    pushed(work)
    with php(server.target / "shop-staging", tmp_path / "php") as url:
        act = deploy_and_go_back(work, commit)
        served = under_load(f"{url}page.php", tmp_path, act)
    told("PHP", served)
    assert all_is_well(served), served


WSGI = f"""
import pathlib
PAGE = pathlib.Path("page").read_bytes() * {SIZE}
def app(_environ, start):
    start("200 OK", [("Content-Length", str(len(PAGE)))])
    return [PAGE]
"""


def test_an_app_server(make_work: Callable[..., Work], tmp_path: Path) -> None:
    """gunicorn as a service, behind nginx: one generation after another."""
    with short_server() as server:
        server.setup("shop")
        work = make_work("work", server.url("shop"))
        _, run = gunicorn()
        toml = described([*run[:-1], "--workers=2", run[-1]], "web.sock")

        def commit(letter: str) -> None:
            files = {"app.py": WSGI, "page": letter, "deploy.toml": toml}
            work.commit(letter, **files)

        commit("a")
        pushed(work)
        server.gitdeploy("service", "install", "shop")
        socket = server.root / "shop/run/dev-web.sock"
        more = f"location / {{ proxy_pass http://unix:{socket}; }}"
        with nginx(server, tmp_path / "nginx", more=more) as (url, _):
            act = deploy_and_go_back(work, commit)
            served = under_load(url, tmp_path, act)
    told("gunicorn", served)
    assert all_is_well(served), served
