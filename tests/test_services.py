"""Services under a real supervisord: one generation after another, none refused."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

import pytest
from support import process
from support.git import Work, told
from support.server import Server
from support.services import (
    alive,
    ask,
    asked_all_the_time,
    deploy,
    described,
    failures,
    gunicorn,
    live,
    node,
    settle,
    short_server,
    slots,
    until,
    uvicorn,
)
from support.sshd import free_port

RESTARTS = int(os.environ.get("GITDEPLOY_TEST_RESTARTS", "5"))
"""How many restarts there are under load, for each server; `make services` has more."""


@pytest.fixture
def shop(make_work) -> Iterator[tuple[Server, Work]]:
    with short_server() as server:
        server.setup("shop")
        yield server, make_work("work", server.url("shop"))


def web(server: Server) -> str:
    return str(server.root / "shop/run/dev-web.sock")


def installed(
    shop: tuple[Server, Work], kind=gunicorn, listen="web.sock", **more
) -> None:
    server, work = shop
    files, run = kind()
    work.commit("one", **files, **{"deploy.toml": described(run, listen, **more)})
    push = work.push("main")
    assert push.code == 0, push.output
    server.gitdeploy("service", "install", "shop")


def _is_known(kind, what: str) -> bool:
    """Whether a server is known to do so: see docs/services.md.

    uvicorn, told to stop, closes connections that it has accepted and not read from.
    """
    closed = ("RemoteDisconnected", "ConnectionResetError")
    return kind is uvicorn and any(word in what for word in closed)


@pytest.mark.parametrize("kind", [gunicorn, uvicorn, node])
def test_restarts_under_load_fail_no_request(shop, kind) -> None:
    server, work = shop
    address = f"127.0.0.1:{free_port()}"
    installed(shop, kind, "web.sock" if kind is gunicorn else address)
    address = web(server) if kind is gunicorn else address
    with asked_all_the_time(address) as answers:
        until(lambda: live(server) in answers, "the first release answers")
        for n in range(RESTARTS):
            name = deploy(server, work, page=str(n))
            until(lambda name=name: name in answers, f"{name} answers")
        until(lambda: len(slots(server)) == 1, "the earlier one has ended")
        assert ask(address) == name
    assert [what for what in failures(answers) if not _is_known(kind, what)] == []
    assert sum(failures(answers).values()) <= RESTARTS


@pytest.mark.parametrize("kind", [gunicorn, uvicorn, node])
def test_what_is_being_answered_is_answered_to_the_end(shop, kind) -> None:
    server, work = shop
    installed(shop, kind)
    before = live(server)
    answers: list[str] = []
    slow = threading.Thread(target=lambda: answers.append(ask(web(server), "/slow")))
    with asked_all_the_time(web(server), 1):
        slow.start()
        deploy(server, work, page="two")
    slow.join()
    assert answers == [before]


def test_one_that_ends_at_its_start_leaves_the_earlier_serving(shop) -> None:
    server, work = shop
    installed(shop, ready_after="5s")
    before = live(server)
    broken = "raise ValueError('no such database')\n"
    with asked_all_the_time(web(server)) as answers:
        with pytest.raises(AssertionError, match="service web failed: it ended after"):
            deploy(server, work, **{"app.py": broken})
        until(lambda: len(slots(server)) == 1, "only the earlier one is left")
    assert failures(answers) == {}
    assert set(answers) == {before}
    [(state, release, _)] = slots(server).values()
    assert (state, release) == ("running", before)


def test_what_a_failing_one_printed_is_told(shop) -> None:
    server, work = shop
    installed(shop, ready_after="5s")
    with pytest.raises(AssertionError, match="no such database"):
        deploy(server, work, **{"app.py": "raise ValueError('no such database')\n"})


def test_going_back_to_what_still_runs_restarts_nothing(shop) -> None:
    server, work = shop
    installed(shop, ready_after="5s")
    with pytest.raises(AssertionError, match="service web failed"):
        deploy(server, work, **{"app.py": "raise ValueError\n"})
    until(lambda: len(slots(server)) == 1, "only the earlier one is left")
    before = slots(server)
    work.revert()
    assert work.push("main").code == 0
    settle(server)
    assert slots(server) == before


def test_a_second_generation_that_a_crash_left_is_stopped(shop) -> None:
    """Killed between the start of the new and the stop of the old: both run."""
    server, work = shop
    installed(shop)
    run = server.root / "shop/run"
    (run / "dev-web.2").write_bytes((run / "dev-web.1").read_bytes())
    words = [sys.executable, "-m", "supervisor.supervisorctl"]
    process.run(*words, "-c", run / "dev-web.conf", "start", "web:2")
    assert len(slots(server)) == 2
    settle(server)
    until(lambda: len(slots(server)) == 1, "one is left")
    assert deploy(server, work, page="two") == ask(web(server))


def test_a_killed_process_comes_back_and_nobody_is_refused(shop) -> None:
    server, _ = shop
    installed(shop, uvicorn)
    [(_, _, pid)] = slots(server).values()
    with asked_all_the_time(web(server), 1) as answers:
        os.kill(pid, signal.SIGKILL)
        until(
            lambda: next(iter(slots(server).values()))[2] not in (0, pid), "it is back"
        )
        assert ask(web(server)) == live(server)
    assert not [what for what in failures(answers) if "refused" in what]


def test_a_supervisor_that_died_is_told_and_install_mends(shop) -> None:
    server, _ = shop
    installed(shop)
    [(_, _, pid)] = slots(server).values()
    supervisord = int((server.root / "shop/run/dev-web.pid").read_text())
    os.kill(supervisord, signal.SIGKILL)
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid), "the service has ended")
    told = server.gitdeploy("service", "status", "shop", check=False)
    assert told.returncode == 1
    assert "its supervisor is gone" in told.stdout
    assert "gitdeploy service install shop" in told.stdout
    server.gitdeploy("service", "install", "shop")
    assert ask(web(server)) == live(server)


def test_installing_again_touches_nothing_that_runs_well(shop) -> None:
    server, _ = shop
    installed(shop)
    before = slots(server)
    supervisord = (server.root / "shop/run/dev-web.pid").read_text()
    server.gitdeploy("service", "install", "shop")
    assert slots(server) == before
    assert (server.root / "shop/run/dev-web.pid").read_text() == supervisord


def test_a_restart_that_was_asked_for_is_done(shop) -> None:
    server, _ = shop
    installed(shop)
    with asked_all_the_time(web(server)) as answers:
        server.gitdeploy("service", "restart", "shop", "dev")
    assert failures(answers) == {}
    assert 2 in slots(server)


def test_uninstalling_leaves_no_process_and_no_socket(shop) -> None:
    server, _ = shop
    installed(shop)
    [(_, _, pid)] = slots(server).values()
    server.gitdeploy("service", "uninstall", "shop")
    assert not alive(pid)
    assert [
        p.name for p in (server.root / "shop/run").glob("*") if p.suffix != ".log"
    ] == []


def test_a_service_that_says_when_it_is_ready_is_waited_for(shop) -> None:
    server, work = shop
    installed(shop)
    files, run = gunicorn()
    toml = described(run, "web.sock").replace("within", "notify = true\nwithin")
    server.gitdeploy("service", "uninstall", "shop")
    work.commit("notify", **files, **{"deploy.toml": toml})
    assert work.push("main").code == 0
    server.gitdeploy("service", "install", "shop")
    assert deploy(server, work, page="two") == ask(web(server))


def test_who_cancels_does_not_wait_for_one_that_never_gets_ready(shop) -> None:
    """The branch is where it was, and the earlier release goes on serving."""
    server, work = shop
    installed(shop)
    before, refs = live(server), server.refs()
    mark = server.root / "shop/shared/starts"
    run = ["/bin/sh", "-c", f": > {mark}; exec sleep 600"]
    toml = described(run, "web.sock", within="5m")
    toml = toml.replace("within", "notify = true\nwithin")
    work.commit("two", **{"deploy.toml": toml})
    with work.pushing("main") as child:
        until(mark.exists, "it starts")
        server.gitdeploy("cancel", "shop", env={"GITDEPLOY_USER": "bob"})
        push = told(child)
    assert push.status("main").reason.startswith("cancelled by bob")
    assert (live(server), server.refs()) == (before, refs)
    assert ask(web(server)) == before


def test_an_address_that_is_taken_is_told(shop) -> None:
    server, work = shop
    files, run = gunicorn()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        work.commit("one", **files, **{"deploy.toml": described(run, listen)})
        assert work.push("main").code == 0
        done = server.gitdeploy("service", "install", "shop", check=False)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
