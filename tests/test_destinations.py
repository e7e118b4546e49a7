"""Where questions go on a pusher's behalf: what is let, and what is connected to."""

import socket
import threading
from collections.abc import Callable

import pytest

from gitdeploy.config import parse_server
from gitdeploy.config.addresses import plain_ip
from gitdeploy.config.places import HostPlace, Reach, is_never_asked
from gitdeploy.errors import ConfigError
from gitdeploy.probe import why_not_asked
from gitdeploy.system import destinations
from gitdeploy.system.destinations import NotLet, addresses, connected, is_own

HERE = Reach()
CLOSED = Reach(only_listed=True)


def listed(*hosts: str, only: bool = False) -> Reach:
    return Reach(tuple(map(HostPlace.read, hosts)), only_listed=only)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets names have addresses; what is looked up is noted."""
    asked: list[str] = []

    def have(**known: str) -> list[str]:
        real = socket.getaddrinfo

        def look_up(host, port, *words, **more):
            asked.append(host)
            found = known.get(host.rstrip(".").replace(".", "_"))
            if found is None:
                return real(host, port, *words, **more)
            return [(0, 0, 0, "", (ip, port)) for ip in found.split()]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return have


LINK_LOCAL = [
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%lo",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "224.0.0.1",
    "ff02::1",
]


@pytest.mark.parametrize("host", LINK_LOCAL)
@pytest.mark.parametrize("reach", [HERE, CLOSED, listed("shop.example.org")])
def test_link_local_and_metadata_are_never_asked_however_written(host, reach):
    with pytest.raises(NotLet):
        addresses(host, 80, reach, 5)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "100.100.100.200"])
def test_not_even_server_toml_can_let_them_be_asked(host):
    with pytest.raises(ConfigError, match="link-local and metadata never are"):
        parse_server(f'[health]\nhosts = ["{host}:80"]'.encode(), where="server.toml")


@pytest.mark.parametrize("address", [ip for ip in LINK_LOCAL if plain_ip(ip)])
def test_nor_by_a_listed_name_that_leads_to_them(names, address):
    names(shop_example_org=address)
    with pytest.raises(NotLet) as no:
        addresses("shop.example.org", 80, listed("shop.example.org"), 5)
    assert no.value.never


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.9.9.9", "127.9.9.9"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - what is asked, not listened at
        ("::", "::1"),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("LOCALHOST.", "127.0.0.1"),
        ("shop.localhost", "127.0.0.1"),
    ],
)
def test_loopback_is_asked_unless_only_what_is_listed_is(host, found):
    assert found in addresses(host, 80, HERE, 5)
    with pytest.raises(NotLet):
        addresses(host, 80, CLOSED, 5)
    assert found in addresses(host, 80, listed(f"{bracketed(found)}:80", only=True), 5)
    with pytest.raises(NotLet):
        addresses(host, 80, listed(f"{bracketed(found)}:81", only=True), 5)


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "0x7f.1"])
def test_an_address_in_other_figures_is_that_address(host):
    assert addresses(host, 80, HERE, 5) == ["127.0.0.1"]
    with pytest.raises(NotLet):
        addresses(host, 80, listed("127.0.0.1", only=True), 5)


def bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "192.0.2.1", "8.8.8.8", "2001:db8::1", "0.1.2.3"]
)
def test_other_machines_are_asked_where_they_are_listed(host):
    with pytest.raises(NotLet):
        addresses(host, 8080, HERE, 5)
    assert addresses(host, 8080, listed(bracketed(host)), 5) == [host]
    assert addresses(host, 8080, listed(f"{bracketed(host)}:8080", only=True), 5)
    with pytest.raises(NotLet):
        addresses(host, 80, listed(f"{bracketed(host)}:8080"), 5)


def test_a_name_is_this_machine_s_where_it_leads_to_it(names):
    names(here_example_org="127.0.1.1", there_example_org="192.0.2.1")
    assert addresses("here.example.org", 80, HERE, 5) == ["127.0.1.1"]
    with pytest.raises(NotLet):
        addresses("there.example.org", 80, HERE, 5)
    there = listed("There.Example.org")
    assert addresses("there.example.org.", 80, there, 5) == ["192.0.2.1"]


def test_only_what_is_let_of_several_addresses_is_asked(names):
    names(both_example_org="192.0.2.1 127.0.0.1 169.254.169.254")
    assert addresses("both.example.org", 80, HERE, 5) == ["127.0.0.1"]


def test_without_the_network_no_name_of_others_is_looked_up(names):
    asked = names(private_example_org="127.0.0.1")
    with pytest.raises(NotLet):
        addresses("private.example.org", 80, CLOSED, 5)
    assert asked == []


def test_what_was_judged_is_what_is_connected_to(names):
    """A name server that answers differently the second time gains nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        asked = names(twice_example_org="127.0.0.1")
        with connected("twice.example.org", port, HERE, 5) as found:
            assert found.getpeername() == ("127.0.0.1", port)
    assert asked.count("twice.example.org") == 1


def test_a_name_server_that_never_answers_is_not_waited_for(monkeypatch):
    over = threading.Event()

    def never(*_words, **_more):
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    with pytest.raises(OSError, match="could not be looked up"):
        addresses("slow.example.org", 80, HERE, 0.05)
    over.set()


def test_this_machine_s_addresses_are_known_without_a_packet():
    assert is_own("127.0.0.1")
    assert is_own("::1")
    assert not is_own("192.0.2.1")
    assert not is_own("no address")


def test_an_address_of_an_interface_is_this_machine_s(monkeypatch):
    class Probe(socket.socket):
        def connect(self, to):
            self.to = to

        def getsockname(self):
            return ("10.1.2.3", 1) if self.to[0] == "10.1.2.3" else ("10.1.2.4", 1)

    monkeypatch.setattr(destinations.socket, "socket", Probe)
    assert is_own("10.1.2.3")
    assert not is_own("10.1.2.5")


@pytest.mark.parametrize(
    ("url", "reach", "why", "hint"),
    [
        ("http://127.0.0.1:8080/", HERE, "", ""),
        ("http://nowhere.invalid/", HERE, "", ""),
        ("http://127.0.0.1:99999/", HERE, "", ""),
        (
            "https://192.0.2.1/",
            HERE,
            "the server does not let 192.0.2.1 be asked",
            '[health] hosts = ["192.0.2.1"]  in server.toml',
        ),
        (
            "http://a.example.org@192.0.2.1:8080/",
            HERE,
            "the server does not let 192.0.2.1:8080 be asked",
            '[health] hosts = ["192.0.2.1:8080"]  in server.toml',
        ),
        (
            "http://[::1]:80/",
            CLOSED,
            "the server does not let [::1] be asked",
            '[health] hosts = ["[::1]"]  in server.toml',
        ),
        (
            "http://169.254.169.254/latest/meta-data/",
            HERE,
            "169.254.169.254 is link-local or serves metadata; it is never asked",
            "",
        ),
    ],
)
def test_why_a_url_is_not_asked_and_what_would_let_it(url, reach, why, hint):
    assert why_not_asked(url, reach) == (why, hint)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "a b", "host:", "host:0", "host:70000", "http://host", "host/path"),
        *("::1", "[host]", "a..b", "*", "a" * 300, "host:8o"),
    ],
)
def test_what_is_no_host_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"hosts\[0\]: should be a host such as"):
        parse_server(f'[health]\nhosts = ["{wrong}"]'.encode(), where="server.toml")


def test_an_address_is_known_by_what_it_leads_to():
    assert str(plain_ip("::ffff:10.0.0.1")) == "10.0.0.1"
    assert plain_ip("example.org") is None
    assert is_never_asked(plain_ip("169.254.1.1"))  # type: ignore[arg-type]
