"""Where the services of an app listen, and that what runs is what is live."""

import json
import os
import socket
import stat
from collections.abc import Iterator

import pytest
from support.git import Push, Work
from support.services import until
from support.sshd import free_port

from gitdeploy.system import processes
from hostile.scene import ROOT, Scene

SERVE = """
import os, socket
listening = socket.socket(fileno=3)
while True:
    connection, _ = listening.accept()
    with connection:
        connection.sendall(os.environ["GITDEPLOY_RELEASE"].encode())
"""
RUN = ROOT / "shop/run"


@pytest.fixture
def scene(attack: Scene) -> Iterator[Scene]:
    """The server, on which no service runs on after the test."""
    yield attack
    for app in ("shop", "blog"):
        attack.gitdeploy("service", "uninstall", app, check=False)
    assert supervisors() == []


def supervisors() -> list[str]:
    """Return the configurations of all supervisords of the server."""
    return [
        process.arguments[-1]
        for process in processes.running()
        if "supervisor.supervisord" in process.arguments
        and process.arguments[-1].startswith(str(ROOT))
    ]


def service(listen: str = "web.sock", name: str = "web") -> str:
    """Return a table of deploy.toml."""
    run = ["/usr/bin/python3", "-I", "serve.py"]
    return (
        f'name = "{name}", run = {json.dumps(run)}, listen = "{listen}",'
        ' ready_after = "1s", within = "20s", stop_timeout = "5s"'
    )


def chains(dev: str = "", prod: str = "", more: str = "") -> str:
    """Return a deploy.toml with services of each chain."""
    return (
        f"{more}\n[chains.dev]\nservices = [{dev and f'{{ {dev} }}'}]\n"
        f"[chains.prod]\nservices = [{prod and f'{{ {prod} }}'}]\n"
    )


def push(scene: Scene, work: Work, toml: str, page: str = "1", **more: str) -> Push:
    return scene.push(work, toml, page=page, **{"serve.py": SERVE, **more})


def answer(scene: Scene, address: str) -> str:
    """Return which release answers at an address of the server; empty: none does."""
    try:
        if address.startswith("/"):
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(scene.machine.path(address)))
        else:
            host, _, port = address.rpartition(":")
            connection = socket.create_connection((host, int(port)), 5)
    except OSError:
        return ""
    with connection:
        connection.settimeout(20)
        return connection.recv(200).decode()


def live(scene: Scene, chain: str) -> str:
    return str(scene.json("status", "shop")["chains"][chain][0]["release"])


def mine(scene: Scene) -> Work:
    """Return a clone of mallory's, who pushes again after a release."""
    return scene.clone("mallory")


def released(scene: Scene, toml: str, tag: str = "v1") -> Work:
    """Let prod serve what a deploy.toml describes; return rita's clone."""
    work = scene.clone("otto")
    assert push(scene, work, toml, page=tag).code == 0
    done = scene.release(work, tag, "otto")
    assert done.code == 0, str(done)
    return work


def again(scene: Scene) -> Work:
    """Return a clone of mallory's with what is on the server."""
    work = mine(scene)
    work.git("fetch", "-q", "server", "main")
    work.git("reset", "-q", "--hard", "FETCH_HEAD")
    return work


def test_no_file_is_removed_that_has_the_name_of_a_socket(scene: Scene) -> None:
    """Neither by who means it, nor by a typing mistake that the server lets pass."""
    victim = ROOT / "blog/shared/.env"
    work = mine(scene)
    with scene.nothing_else_changes():
        pushed = push(scene, work, chains(service(str(victim))))
        assert pushed.code == 1
        assert "does not let a service listen at" in str(pushed)
        assert f'[services] listen = ["{victim}"]  in server.toml' in pushed.output
        scene.server_toml(f'[services]\nlisten = ["{victim}"]\n')
        assert push(scene, work, chains(service(str(victim)))).code == 0
        done = scene.gitdeploy("service", "install", "shop", check=False)
        assert done.returncode == 1
        assert f"{victim} is there and is no socket" in done.stderr


def test_a_socket_of_somebody_else_is_neither_removed_nor_taken(scene: Scene) -> None:
    place = ROOT / "blog/other.sock"
    scene.server_toml(f'[services]\nlisten = ["{place}"]\n')
    assert push(scene, mine(scene), chains(service(str(place)))).code == 0
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(scene.machine.path(place)))
        other.listen()
        before = scene.machine.path(place).lstat()
        done = scene.gitdeploy("service", "install", "shop", check=False)
        assert "is a socket that no service of this app made" in done.stderr
        scene.gitdeploy("service", "uninstall", "shop")
        assert scene.machine.path(place).lstat() == before


def test_dev_never_listens_where_prod_does(scene: Scene) -> None:
    """By no spelling; and prod answers after a roll back and a restart as before."""
    port = free_port()
    shared = "/home/deploy/shop.sock"
    for address, others in (
        (shared, (shared,)),
        (f"127.0.0.1:{port}", (f"127.0.0.1:{port}", f"0.0.0.0:{port}")),
    ):
        scene.reset()
        scene.server_toml(
            f'[services]\nlisten = ["{shared}", "0.0.0.0:{port}", "[::1]:{port}"]\n'
        )
        released(scene, chains(prod=service(address)))
        scene.gitdeploy("service", "install", "shop")
        prod = live(scene, "prod")
        assert answer(scene, address) == prod
        work = again(scene)
        for other in (*others, str(RUN / "prod-web.sock")):
            pushed = push(scene, work, chains(dev=service(other, "evil")), page=other)
            assert pushed.code == 1, other
            assert answer(scene, address) == prod
        scene.gitdeploy("service", "restart", "shop", "prod")
        assert answer(scene, address) == prod
        assert len(supervisors()) == 1
        scene.gitdeploy("service", "uninstall", "shop")


def test_another_app_s_address_is_not_taken(scene: Scene) -> None:
    """Whoever listens there first: its name is told."""
    port = free_port()
    released(scene, chains(prod=service(f"127.0.0.1:{port}")))
    scene.gitdeploy("service", "install", "shop")
    scene.gitdeploy("access", "grant", "mallory", "stage", "--app", "blog")
    work = scene.clone("mallory", "blog")
    pushed = push(scene, work, chains(dev=service(f"127.0.0.1:{port}")))
    assert pushed.code == 1
    assert "is where service web of prod of shop listens" in str(pushed)
    assert answer(scene, f"127.0.0.1:{port}") == live(scene, "prod")


def test_without_the_network_no_port_is_taken_that_is_not_listed(scene: Scene) -> None:
    closed = '[steps]\nconfine = "require"\nnetwork = false\n'
    scene.server_toml(closed)
    work = mine(scene)
    for listen in (f"127.0.0.1:{free_port()}", "127.0.0.1:80", "0.0.0.0:8000"):
        assert push(scene, work, chains(dev=service(listen)), page=listen).code == 1
    scene.server_toml(f'{closed}[services]\nlisten = ["0.0.0.0:8000"]\n')
    assert push(scene, work, chains(dev=service("0.0.0.0:8000"))).code == 0


def test_what_is_not_described_any_more_is_stopped(scene: Scene) -> None:
    """By a push, by a roll back, by a failed push, by uninstall."""
    work = mine(scene)
    health = '[health]\nurl = "http://127.0.0.1:1/"\nwithin = "1s"'
    assert push(scene, work, "", page="one").code == 0
    scene.gitdeploy("service", "install", "shop", check=False)
    for toml, goes_back in (
        (chains(dev=service()), "push"),
        (chains(dev=service()), "roll back"),
        (chains(dev=service(), more=health), "fails"),
    ):
        pushed = push(scene, work, toml, page=goes_back)
        if goes_back != "fails":
            assert pushed.code == 0, str(pushed)
            assert answer(scene, str(RUN / "dev-web.sock")) == live(scene, "dev")
            assert len(supervisors()) == 1
        if goes_back == "push":
            assert push(scene, work, "", page="none").code == 0
        elif goes_back == "roll back":
            scene.gitdeploy("rollback", "shop", "dev")
        else:
            assert pushed.code == 1
        assert supervisors() == [], goes_back
        assert not scene.machine.path(RUN / "dev-web.sock").exists()


def test_uninstall_goes_by_what_runs(scene: Scene) -> None:
    """Not by the deploy.toml that is live, whatever it says; nor by files alone."""
    work = mine(scene)
    names = ("a", "b", "c", "d", "e")
    five = ", ".join(f"{{ {service(f'{one}.sock', one)} }}" for one in names)
    toml = f"[chains.dev]\nservices = [{five}]\n[chains.prod]\nservices = []\n"
    assert push(scene, work, toml).code == 0
    scene.gitdeploy("service", "install", "shop")
    assert len(supervisors()) == len(names)
    for name in names[:2]:
        for ending in ("ctl", "pid"):  # somebody tidied up
            scene.machine.path(RUN / f"dev-{name}.{ending}").unlink()
    scene.gitdeploy("deploy", "shop", "/home/deploy", "dev", check=False)
    scene.gitdeploy("service", "uninstall", "shop")
    assert supervisors() == []
    left = [path.name for path in scene.machine.path(RUN).iterdir()]
    assert [name for name in left if ".log" not in name] == []


def test_a_stray_is_told_and_ended(scene: Scene) -> None:
    """One whose files are gone is known by what it was started with."""
    work = mine(scene)
    assert push(scene, work, chains(dev=service())).code == 0
    scene.gitdeploy("service", "install", "shop")
    assert "service-" not in scene.gitdeploy("doctor", "shop", check=False).stdout
    os.rename(
        scene.machine.path(RUN / "dev-web.conf"),
        scene.machine.path(RUN / "dev-left.conf"),
    )
    found = scene.gitdeploy("doctor", "shop", "--json", check=False).stdout
    names = {one["name"] for one in json.loads(found)["findings"]}
    assert "service-left" in names
    scene.gitdeploy("service", "install", "shop")
    assert supervisors() == [str(RUN / "dev-web.conf")]


def test_a_service_that_moves_takes_its_socket_along(scene: Scene) -> None:
    """A new name at the same address, and a new address of the same name."""
    work = mine(scene)
    assert push(scene, work, chains(dev=service())).code == 0
    scene.gitdeploy("service", "install", "shop")
    assert push(scene, work, chains(dev=service(name="app")), page="app").code == 0
    assert answer(scene, str(RUN / "dev-web.sock")) == live(scene, "dev")
    assert supervisors() == [str(RUN / "dev-app.conf")]
    moved = chains(dev=service("other.sock", "app"))
    assert push(scene, work, moved, page="other").code == 0
    assert answer(scene, str(RUN / "dev-other.sock")) == live(scene, "dev")
    assert not scene.machine.path(RUN / "dev-web.sock").exists()
    mode = scene.machine.path(RUN / "dev-other.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    until(lambda: len(supervisors()) == 1, "one supervisor")
