"""Where services may listen, which addresses are the same, which sockets are ours."""

import os
import socket
from pathlib import Path

import pytest
from support.server import Server
from support.services import SURROUNDINGS

from gitdeploy.config import parse, parse_server
from gitdeploy.config.addresses import clash
from gitdeploy.config.places import may_listen
from gitdeploy.config.services import Address
from gitdeploy.deploy.app import SERVICES_KEPT, App
from gitdeploy.deploy.doctor import examine
from gitdeploy.deploy.kept import Kept, forget, kept, remember, unrecorded
from gitdeploy.errors import ConfigError, SystemFailed
from gitdeploy.services import Found, check_free, found_by, made_at, remove_socket


def listening(*listed: str):
    text = f"[services]\nlisten = {list(listed)!r}"
    return parse_server(text.encode(), where="server.toml").services


@pytest.mark.parametrize(
    ("address", "network", "listed", "may"),
    [
        ("web.sock", False, [], True),
        ("127.0.0.1:8000", True, [], True),
        ("127.9.9.9:1024", True, [], True),
        ("[::1]:8000", True, [], True),
        ("127.0.0.1:1023", True, [], False),
        ("127.0.0.1:80", True, ["127.0.0.1:80"], True),
        ("127.0.0.1:8000", False, [], False),
        ("127.0.0.1:8000", False, ["127.0.0.1:8000"], True),
        ("127.0.0.1:8000", False, ["127.0.0.1:8001"], False),
        ("0.0.0.0:8000", True, [], False),
        ("[::]:8000", True, [], False),
        ("[::ffff:0.0.0.0]:8000", True, [], False),
        ("0.0.0.0:8000", True, ["127.0.0.1:8000"], False),
        ("192.0.2.1:8000", True, [], False),
        ("192.0.2.1:8000", True, ["192.0.2.1:8000"], True),
        ("/run/shop.sock", True, [], False),
        ("/run/shop.sock", True, ["/run/shop.sock"], True),
        ("/run/shop.sock.d/x", True, ["/run/shop.sock"], False),
    ],
)
def test_where_a_service_may_listen(address, network, listed, may):
    found = may_listen(listening(*listed), Address.read(address), network=network)
    assert found == may


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000", True),
        ("127.0.0.1:8000", "127.0.0.1:8001", False),
        ("127.0.0.1:8000", "0.0.0.0:8000", True),
        ("127.0.0.1:8000", "[::]:8000", True),
        ("127.0.0.1:8000", "[::1]:8000", True),
        ("127.0.0.1:8000", "127.0.0.2:8000", True),
        ("127.0.0.1:8000", "[::ffff:127.0.0.1]:8000", True),
        ("192.0.2.1:8000", "[::ffff:192.0.2.1]:8000", True),
        ("192.0.2.1:8000", "192.0.2.2:8000", False),
        ("192.0.2.1:8000", "127.0.0.1:8000", False),
        ("/run/a.sock", "/run/a.sock", True),
        ("/run/a.sock", "/run/b.sock", False),
        ("/run/a.sock", "127.0.0.1:8000", False),
        ("web.sock", "web.sock", True),
    ],
)
def test_which_addresses_are_the_same(one, other, same):
    assert clash(one, other) == clash(other, one) == same


@pytest.mark.parametrize("other", ["0.0.0.0:8000", "[::1]:8000", "127.0.0.2:8000"])
def test_two_services_of_one_file_have_not_the_same(other):
    table = '[[services]]\nname = "{}"\nrun = "true"\nlisten = "{}"\n'
    text = table.format("a", "127.0.0.1:8000") + table.format("b", other)
    with pytest.raises(ConfigError, match=r"services\[1\].listen: should be a listen"):
        parse(f"{text}[chains.dev]\nservices = []".encode(), where="deploy.toml")


def bound(path: Path) -> socket.socket:
    """Return a socket there, however long the path is (unix(7))."""
    made = socket.socket(socket.AF_UNIX)
    directory = os.open(path.parent, os.O_PATH)
    made.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)
    return made


def test_only_a_socket_that_we_made_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound(path):
        made = made_at(path)
        assert not remove_socket(path, None)
        assert made
        assert not remove_socket(path, (made[0], made[1] + 1))
        assert not remove_socket(path, (made[0] + 1, made[1]))
        assert path.exists()
        (tmp_path / "link").symlink_to(path)
        assert made_at(tmp_path / "link") is None
        assert remove_socket(path, made)
        assert not path.exists()
    path.write_text("of somebody")
    inode = path.stat()
    assert not remove_socket(path, (inode.st_dev, inode.st_ino))
    assert path.read_text() == "of somebody"


def test_what_a_supervisor_would_remove_is_looked_at_before(tmp_path: Path) -> None:
    path = tmp_path / "s"
    check_free(path, None, ours=False)
    path.symlink_to("/etc/passwd")
    with pytest.raises(SystemFailed, match="is there and is no socket"):
        check_free(path, None, ours=True)
    path.unlink()
    with bound(path) as made:
        found = made_at(path)
        assert found
        check_free(path, found, ours=False)
        made.listen()
        for earlier in (None, (found[0], found[1] + 1), (found[0] + 1, found[1])):
            with pytest.raises(SystemFailed, match="no service of this app made"):
                check_free(path, earlier, ours=True)  # somebody listens
    check_free(path, None, ours=True)  # nobody does any more
    with pytest.raises(SystemFailed, match="no service of this app made"):
        check_free(path, None, ours=False)


SUPERVISED = "socket_mode=0666\nsocket=unix://{}/prod-web.sock\nstopwaitsecs=7\n"
SOCKET = "[Socket]\nListenStream=127.0.0.1:8000\n"
SLOT = 'ExecStart=/bin/sh "{}/prod-dev-web.1"\nTimeoutStopSec=9\n'


def test_services_are_found_by_their_files(tmp_path: Path) -> None:
    """And those of another app by the same unit are not taken for ours."""
    run, units = tmp_path / "run", tmp_path / "units"
    run.mkdir()
    units.mkdir()
    (run / "prod-web.conf").write_text(SUPERVISED.format(run))
    name = "gitdeploy-a-prod-dev-web"
    (units / f"{name}.socket").write_text(SOCKET)
    (units / f"{name}-1.service").write_text(SLOT.format(run))
    web = Found("prod", "web", f"{run}/prod-web.sock", "supervisor", 7.0)
    of_a = Found("prod", "dev-web", "127.0.0.1:8000", "systemd", 9.0)
    assert list(found_by("a", run, units)) == [web, of_a]
    assert list(found_by("a-prod", run, units)) == [web]


@pytest.fixture
def shop(server: Server):
    server.setup("shop")
    with App.open(server.root, "shop", SURROUNDINGS, "ada") as app:
        yield app


ONE = Kept("prod", "web", "/run/web.sock", "supervisor", 3.0, (1, 2))


def test_what_was_started_is_remembered(shop: App) -> None:
    assert kept(shop) == []
    remember(shop, ONE)
    remember(shop, Kept("dev", "web", "127.0.0.1:8000", "systemd", 3.0))
    remember(shop, ONE)
    assert {one.chain for one in kept(shop)} == {"dev", "prod"}
    forget(shop, "dev", "web")
    assert kept(shop) == [ONE]
    forget(shop, "prod", "web")
    assert kept(shop) == []


def test_what_an_earlier_gitdeploy_started_is_taken_over(shop: App) -> None:
    """Its files tell; once something is written down, the ledger does."""
    shop.layout.run.mkdir(exist_ok=True)
    conf = shop.layout.run / "prod-web.conf"
    conf.write_text(SUPERVISED.format(shop.layout.run))
    (old,) = kept(shop)
    assert (old.name, old.listen) == ("web", f"{shop.layout.run}/prod-web.sock")
    assert unrecorded(shop) == []
    shop.ledger.set_setting(SERVICES_KEPT, "[]")
    assert kept(shop) == []
    assert [one.name for one in unrecorded(shop)] == ["web"]
    names = [finding.name for finding in examine(shop)]
    assert "service-left" in names
