"""What was deployed is watched for a while, and rolled back when it stops working."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.git import Work
from support.server import Server
from support.sinks import Posts, posts
from support.site import Site, serving

SERVE = """
import http.server, os, pathlib
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = pathlib.Path(pathlib.Path("database").read_text()).read_text()
        self.send_response(int(status))
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Iterator[Site]:
    """The web server of the dev chain: answers as the live release says."""
    with serving(server.target / "shop-staging", tmp_path / "asked") as site:
        yield site


@pytest.fixture
def hook() -> Iterator[Posts]:
    """Who wants to know."""
    with posts() as sink:
        yield sink


def watched(site: Site, watch: str = "1h") -> str:
    """Return a [health] that asks the site, often, for a while."""
    asked = f'[health]\nurl = "{site.url}"\nwithin = "1s"\nevery = "1s"\n'
    return f'{asked}watch = "{watch}"\n'


def release(work: Work, page: str, toml: str, **files: str) -> None:
    """Deploy a page that is healthy."""
    work.commit(page, page=page, status="200", **{"deploy.toml": toml}, **files)
    said = work.push("main")
    assert said.code == 0, said.output


def live(server: Server) -> Path:
    """Return the release that is staged."""
    found = server.link("shop-staging")
    assert found is not None
    return found


def now_answers(release: Path, status: str) -> None:
    """Let a release answer otherwise; the file is one that others may have too."""
    (release / "new").write_text(status)
    (release / "new").rename(release / "status")


def eventually(true: Callable[[], bool], within_s: float = 30) -> None:
    """Wait until something is true."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


def test_a_release_that_stops_working_is_rolled_back_and_marked(
    server: Server, work: Work, site: Site, hook: Posts
) -> None:
    """The earlier one is live; history says why, and who wants to know is told."""
    toml = server.root / "shop/server.toml"
    toml.write_text(f'[notify.webhook]\nurl = "{hook.url}"\n')
    release(work, "one", watched(site))
    release(work, "two", watched(site))
    (watch,) = server.status()["watched"]
    assert (watch["chain"], watch["release"], watch["alive"]) == ("dev", 2, True)
    assert "watched" in server.gitdeploy("status", "shop").stdout
    bad = live(server)
    now_answers(bad, "500")
    eventually(lambda: live(server) != bad)
    eventually(lambda: server.history()[0]["verdict"] is not None)
    event = server.history()[0]
    assert (event["action"], event["verdict"], event["by"]) == (
        "rollback",
        "rolled back",
        "watch",
    )
    assert event["reason"] == f"unhealthy: {site.url}: 500"
    assert event["public_seconds"] >= 1
    assert server.releases()[0]["bad_why"] == event["reason"]
    eventually(lambda: server.status()["watched"] == [])
    eventually(lambda: len(hook.got) == 3)
    told = [json.loads(body) for _, body in hook.got]
    assert [one["event"] for one in told] == ["deployed", "deployed", "rolled back"]
    assert told[2]["deployment"]["reason"] == event["reason"]
    assert "rolled back by watch" in server.gitdeploy("status", "shop").stdout
    release(work, "three", watched(site))
    assert (live(server) / "page").read_text() == "three"


def test_a_newer_push_ends_the_watch_and_begins_its_own(
    server: Server, work: Work, site: Site
) -> None:
    """One process a chain, whatever is pushed."""
    for page in ("one", "two", "three"):
        release(work, page, watched(site))
        eventually(lambda: [w["alive"] for w in server.status()["watched"]] == [True])
    assert [w["release"] for w in server.status()["watched"]] == [3]
    release(work, "four", "")
    eventually(lambda: server.status()["watched"] == [])


def test_a_watch_is_over_when_its_time_is(
    server: Server, work: Work, site: Site
) -> None:
    """And what breaks later is for somebody else to see."""
    release(work, "one", watched(site))
    release(work, "two", watched(site, watch="1s"))
    eventually(lambda: server.status()["watched"] == [])
    now_answers(live(server), "500")
    assert server.history()[0]["verdict"] == "deployed"


def test_what_is_down_everywhere_rolls_nothing_back(
    server: Server, work: Work, site: Site, tmp_path: Path
) -> None:
    """The release before is asked too, served where nobody else reaches it."""
    database = tmp_path / "database"
    database.write_text("200")
    serve = f'serve = ["{sys.executable}", "serve.py"]\nurl = "/"\nwithin = "2s"\n'
    files = {"serve.py": SERVE, "database": str(database)}
    for page in ("one", "two"):
        release(work, page, f"[[checks]]\n{serve}{watched(site)}", **files)
    database.write_text("503")
    now_answers(live(server), "500")
    eventually(lambda: server.history()[0]["action"] == "watch")
    event = server.history()[0]
    assert event["verdict"] == "failed"
    assert event["reason"] == (
        f"unhealthy: {site.url}: 500; not rolled back:"
        " release 1 is not healthy either: 503"
    )
    assert (live(server) / "page").read_text() == "two"
    assert [w["alive"] for w in server.status()["watched"]] == [True]


def test_a_watch_whose_process_died_goes_on_with_whoever_comes_next(
    server: Server, work: Work, site: Site
) -> None:
    """Status says that nobody watches until then."""
    import os
    import signal

    from gitdeploy.system import processes

    release(work, "one", watched(site))
    release(work, "two", watched(site))
    home = server.root / "shop"
    file = str(home / "watching-dev")
    eventually(lambda: server.status()["watched"][0]["alive"])
    for one in processes.running():
        if one.pid != os.getpid() and file in one.paths(str(home)):
            os.kill(one.pid, signal.SIGKILL)
    eventually(lambda: not server.status()["watched"][0]["alive"])
    assert ": not, but was to be" in server.gitdeploy("status", "shop").stdout
    server.gitdeploy("repair", "shop")
    eventually(lambda: server.status()["watched"][0]["alive"])


@pytest.fixture(autouse=True)
def watched_no_more(server: Server) -> Iterator[None]:
    """Nobody watches an app whose test is over."""
    yield
    import sqlite3
    from contextlib import closing

    ledger = server.root / "shop/ledger.db"
    if ledger.exists():
        with closing(sqlite3.connect(ledger)) as database:
            database.execute("DELETE FROM watch")
            database.commit()
        from gitdeploy.system import flock

        files = [server.root / f"shop/watching-{chain}" for chain in ("dev", "prod")]
        eventually(lambda: not any(map(flock.is_held, files)))
