"""Nothing that a pusher chose can wedge an app, or hold it for whoever goes back.

mallory may only stage shop; rita may release it and roll it back.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import process
from support.git import Work, told
from support.held import until

from hostile.scene import ROOT, Scene

ODD_ANSWERS = {
    "a redirect to half an address": b"HTTP/1.1 302 x\r\nLocation: http://[\r\n\r\n",
    "a redirect to no port": b"HTTP/1.1 302 x\r\nLocation: http://a:9x9/\r\n\r\n",
    "a chunk of no size": (
        b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n-zz\r\n\r\n"
    ),
    "no status": b"HTTP/1.1 \xff\xff\xff x\r\n\r\n",
    "a header without an end": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 100_000,
}


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that says the same to everybody; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_answer, args=(server, answer), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _answer(server: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(answer)
            except OSError:
                continue


@pytest.fixture
def live(attack: Scene) -> Scene:
    """Two releases are on prod, the later one live, and both on dev."""
    for tag in ("v1", "v2"):
        work = attack.clone("mallory") if tag == "v1" else fetched(attack, "mallory")
        assert attack.push(work, page=tag).code == 0
        assert attack.release(work, tag).code == 0
    return attack


def on_prod(scene: Scene) -> bytes:
    return scene.served()["page"]


def rolled_back(scene: Scene) -> None:
    """Rita rolls prod back to v1, at once and over ssh."""
    done = scene.ssh("rita", "rollback shop prod --wait 20")
    assert done.returncode == 0, done.stderr
    assert on_prod(scene) == b"v1"


def running(scene: Scene) -> int:
    return int(scene.json("status", "shop")["running"]["pid"])


def git(scene: Scene, *words: str) -> str:
    """Run git in shop's repository, as its owner."""
    who = ("setpriv", "--reuid=deploy", "--regid=deploy", "--init-groups")
    place = f"--git-dir={ROOT}/shop.git"
    return scene.machine.run(*who, "git", place, *words).stdout


def refs(scene: Scene) -> dict[str, str]:
    lines = git(scene, "for-each-ref", "--format=%(refname) %(objectname)")
    return dict(line.split() for line in lines.splitlines())


def fetched(scene: Scene, person: str) -> Work:
    """Return a clone in which somebody goes on from what is staged."""
    work = scene.clone(person)
    work.git("fetch", "-q", "server", "main")
    work.git("reset", "-q", "--hard", "FETCH_HEAD")
    return work


# --- what answers wrongly ---------------------------------------------------------


@pytest.mark.parametrize("answer", ODD_ANSWERS.values(), ids=list(ODD_ANSWERS))
def test_a_wrong_answer_takes_back_what_it_is_about_and_nothing_else(
    live: Scene, answer: bytes
) -> None:
    """The tag goes with it, everybody can act, and the next push just works."""
    work = fetched(live, "mallory")
    with answering(answer) as url, live.nothing_else_changes():
        asks = f'[chains.prod.health]\nurl = "{url}"\nwithin = "1s"\ntext = "well"\n'
        assert live.push(work, asks, page="v3").code == 0
        said = live.release(work, "v3")
        assert said.code == 1
        assert said.status("v3").reason.startswith("health: ")
        assert "a bug" not in said.output
        assert on_prod(live) == b"v2"
        assert "refs/tags/v3" not in refs(live)
        live.gitdeploy("maintenance", "shop", "on")
        live.gitdeploy("maintenance", "shop", "off")
        live.gitdeploy("env", "shop", "set", "A=b")
        live.gitdeploy("prune", "shop")
        assert live.json("status", "shop")["pending"] is False
        rolled_back(live)


# --- what lets wait ---------------------------------------------------------------


def test_a_wait_longer_than_the_server_gives_is_refused_before_anything_is_built(
    live: Scene,
) -> None:
    work = fetched(live, "mallory")
    releases = len(live.json("releases", "shop")["releases"])
    asks = {
        "health.within": '[health]\nurl = "http://127.0.0.1:9/"\nwithin = "24h"\n',
        "chains.prod.health.watch": (
            '[chains.prod.health]\nurl = "http://127.0.0.1:9/"\nwatch = "24h"\n'
        ),
        "checks[0].within": '[[checks]]\nrun = "true"\nwithin = "6m"\n',
        "services[0].stop_timeout": (
            '[[services]]\nname = "a"\nrun = "x"\nlisten = "a.sock"\n'
            'stop_timeout = "6m"\n'
        ),
    }
    for key, toml in asks.items():
        said = live.push(work, toml, page="v3")
        assert said.code == 1
        limit = "watch_time" if key.endswith("watch") else "health_time"
        assert f": {key}: " in said.status("main").reason
        assert f"[limits] {limit}  in server.toml" in said.output
    live.server_toml("[limits]\nsteps_time = '1m'\n")
    said = live.push(work, '[build]\ntimeout = "24h"\n', page="v3")
    reason = said.status("main").reason
    assert ": build.timeout: 24 h 0 min; the limit is 1 min" in reason
    assert len(live.json("releases", "shop")["releases"]) == releases


WAITS = {
    "a step": '[[build.steps]]\nrun = "{held}"\n',
    "a check": '[[checks]]\nrun = "{held}"\nwithin = "5m"\n',
    "a command after the flip": '[[activate]]\nrun = "{held}"\n',
    "its health": (
        '[health]\nurl = "{url}"\nwithin = "5m"\n[[activate]]\nrun = "{touch}"\n'
    ),
}
"""What mallory lets everybody wait for, on dev."""


@contextmanager
def waiting_on_dev(scene: Scene, waits: str) -> Iterator[tuple[Work, int]]:
    """Mallory's push waits; yields her clone, and the process that waits."""
    mark = scene.path("shop/shared/waits")
    touch = ": > $GITDEPLOY_SHARED_DIR/waits"
    with answering(b"HTTP/1.1 503 no\r\n\r\n") as url:
        held = f"{touch}; sleep 600"
        toml = waits.format(held=held, touch=touch, url=url)
        work = fetched(scene, "mallory")
        work.commit("waits", **{"deploy.toml": toml, "page": "waits"})
        with work.pushing("main") as child:
            until(mark.exists, "it waits")
            yield work, running(scene)
            said = told(child)
    assert said.code == 1
    assert said.status("main").reason.startswith("cancelled by rita")
    assert scene.served("dev")["page"] == b"v2"
    assert "still live" in said.output


@pytest.mark.parametrize("waits", WAITS.values(), ids=list(WAITS))
def test_prod_is_rolled_back_while_dev_waits_and_who_may_do_that_may_cancel(
    live: Scene, waits: str
) -> None:
    """Of both nobody has to wait for the end; the branch is where it was."""
    before = refs(live)["refs/heads/main"]
    with live.nothing_else_changes(), waiting_on_dev(live, waits) as (_, pid):
        rolled_back(live)
        assert running(live) == pid
        cancelled = live.ssh("rita", "cancel shop")
        assert cancelled.returncode == 0, cancelled.stderr
        assert "cancelled" in cancelled.stdout
    assert refs(live)["refs/heads/main"] == before
    assert live.json("status", "shop")["pending"] is False
    bad = [r for r in live.json("releases", "shop")["releases"] if r.get("bad_at")]
    assert not bad
    live.gitdeploy("rollforward", "shop", "prod")
    assert on_prod(live) == b"v2"


def test_what_a_killed_push_waited_for_is_not_waited_for_again(live: Scene) -> None:
    """Not by a roll back; and whoever finishes it has the time that was left."""
    mark = live.path("shop/shared/waits")
    asks = WAITS["its health"]
    with answering(b"HTTP/1.1 503 no\r\n\r\n") as url:
        touch = ": > $GITDEPLOY_SHARED_DIR/waits"
        work = fetched(live, "mallory")
        toml = asks.format(touch=touch, url=url)
        work.commit("waits", **{"deploy.toml": toml, "page": "waits"})
        with work.pushing("main") as child:
            until(mark.exists, "it waits")
            until(lambda: b"waits" in live.served("dev")["page"], "it is shown")
            live.machine.run("kill", "-9", str(running(live)))
            told(child)
        rolled_back(live)
        until(lambda: live.json("status", "shop")["running"], "it is finished")
        live.ssh("rita", "cancel shop")
        until(lambda: not live.json("status", "shop")["pending"], "it has ended")
    assert live.served("dev")["page"] == b"v2"


def test_a_deactivation_that_hangs_can_be_cancelled(live: Scene) -> None:
    """What is live stays live, and --force leaves it out."""
    mark = live.path("shop/shared/waits")
    work = fetched(live, "mallory")
    held = '[[deactivate]]\nrun = ": > $GITDEPLOY_SHARED_DIR/waits; sleep 600"\n'
    assert live.push(work, held, page="v3").code == 0
    assert live.release(work, "v3").code == 0
    verb = [*live.client("rita"), live.url(), "rollback shop prod"]
    with process.started(*verb) as child:
        until(mark.exists, "it hangs")
        assert live.ssh("rita", "cancel shop").returncode == 0
        _, said = child.communicate(timeout=30)
    assert child.returncode == 1
    assert b"cancelled by rita" in said
    assert on_prod(live) == b"v3"


# --- names ------------------------------------------------------------------------

DEEP = "refs/heads/" + "/".join(["a"] * 1900)


def test_a_name_that_others_would_stumble_on_is_refused(live: Scene) -> None:
    work = fetched(live, "mallory")
    stores = '[refs]\nother = "store"\n'
    for name in (DEEP, "refs/heads/" + "/".join("a" * 15), f"refs/heads/{'é' * 150}"):
        work.commit("more", **{"deploy.toml": stores})
        said = work.push(f"main:{name}")
        assert said.code == 1
        ((_, status),) = said.statuses.items()
        assert status.reason.endswith("the limit is 255 bytes, 16 parts")
    assert not [ref for ref in refs(live) if "/a/" in ref]


def test_one_that_is_there_stops_neither_repair_nor_doctor_nor_another_app(
    live: Scene,
) -> None:
    """As an earlier version stored it."""
    head = refs(live)["refs/heads/main"]
    git(live, "update-ref", DEEP, head)
    (live.path("blog.git/refs/heads") / "main.lock").touch()
    for verb in (("repair", "shop"), ("repair",), ("doctor", "shop"), ("doctor",)):
        done = live.gitdeploy(*verb, check=False)
        assert "a bug" not in done.stderr
        assert done.returncode in (0, 4), done.stderr
    work = fetched(live, "mallory")
    assert live.push(work, page="v3").code == 0
    rolled_back(live)
