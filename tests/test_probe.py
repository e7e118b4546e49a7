"""One question over HTTP: which answer is right, and that it ends in time."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import process

from gitdeploy.config import Answer, Health, Seconds
from gitdeploy.config.places import HostPlace, Reach
from gitdeploy.probe import Candidate, Heard, ask, ask_until_healthy, free_port

Reply = Callable[[str], str]
"""From the head of a request to the whole answer."""


@contextmanager
def answering(
    reply: Reply, wrap: Callable[[socket.socket], socket.socket] = lambda s: s
) -> Iterator[int]:
    """Answer on a port of 127.0.0.1 for the body."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, reply, wrap))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening, reply, wrap):
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        try:
            with wrap(plain) as connection:
                head = connection.recv(65536).decode()
                for part in reply(head).split("…"):
                    connection.sendall(part.encode())
        except OSError:
            pass


def answer(status: str, body: str = "", **headers: str) -> str:
    """Return an answer as it goes over the wire."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}"


def heard(reply: Reply, **wanted: object) -> tuple[bool, str]:
    """Ask a server that answers so; return what was heard."""
    with answering(reply) as port:
        found = ask(f"http://127.0.0.1:{port}/", Answer(**wanted))  # type: ignore[arg-type]
    return found.right, found.words.replace(str(port), "PORT")


@pytest.mark.parametrize(
    ("reply", "wanted", "said"),
    [
        (answer("200 OK"), {}, (True, "200")),
        (answer("500 Oh"), {}, (False, "500")),
        (answer("500 Oh"), {"expect": (200, 500)}, (True, "500")),
        (answer("204 No"), {"expect": (204,)}, (True, "204")),
        (answer("200 OK", "all is well"), {"text": "well"}, (True, "200")),
        (
            answer("200 OK", "all is"),
            {"text": "well"},
            (False, "200 without the text 'well'"),
        ),
        (answer("302 Go", Location="/"), {}, (False, "more than 5 redirects")),
        (
            answer("302 Go", Location="http://live.example.org/"),
            {},
            (False, "redirected to another server, http://live.example.org/"),
        ),
        (
            answer("301 Go", Location="http://live.example.org/"),
            {"expect": (301,)},
            (True, "301"),
        ),
        (
            answer("302 Go", Location="file:///etc/passwd"),
            {},
            (False, "redirected to another server, file:///etc/passwd"),
        ),
        ("SSH-2.0-OpenSSH\r\n", {}, (False, "no answer in HTTP (BadStatusLine)")),
        ("", {}, (False, "no answer")),
    ],
)
def test_which_answer_is_right(reply, wanted, said):
    assert heard(lambda _head: reply, **wanted) == said


def test_a_redirect_on_the_same_server_is_followed():
    def reply(head):
        if head.startswith("GET /login?a=b "):
            return answer("200 OK", "log in")
        return answer("303 See", Location="/login?a=b")

    assert heard(reply, text="log in") == (True, "200")


def test_the_host_that_was_asked_for_is_the_same_server():
    def reply(head):
        assert "Host: shop.example.org" in head
        if head.startswith("GET /in "):
            return answer("200 OK")
        return answer("302 Go", Location="http://shop.example.org/in")

    assert heard(reply, headers={"Host": "shop.example.org"}) == (True, "200")


def test_where_a_redirect_leads_is_judged_as_the_first_place_was():
    """Another port of the same host is another place."""
    asked: list[str] = []

    def internal(head):
        asked.append(head)
        return answer("200 OK")

    with answering(internal) as port:
        away = answer("302 Go", Location=f"http://127.0.0.1:{port}/")
        with answering(lambda _head: away) as listed:
            here = HostPlace.read(f"127.0.0.1:{listed}")
            reach = Reach((here,), only_listed=True)
            found = ask(f"http://127.0.0.1:{listed}/", Answer(), reach=reach)
    assert found == Heard(
        right=False, words="127.0.0.1 may not be asked by this server"
    )
    assert asked == []


def test_a_candidate_is_never_left_for_the_live_site():
    def reply(_head):
        return answer("301 Go", Location="https://shop.example.org/")

    with answering(reply) as port:
        there = Candidate(port, Path("/no/socket"))
        asked = Answer(headers={"Host": "shop.example.org"})
        found = ask(there.url("/"), asked, at=there)
    assert not found.right
    assert found.words == "redirected to another server, https://shop.example.org/"


def test_an_answer_that_drips_ends_in_time():
    def reply(_head):
        time.sleep(0.3)
        return "HTTP/1.1 200 OK\r\n" + "…".join(f"A{n}: b\r\n" for n in range(5))

    class Slow(str):
        __slots__ = ()

        def split(self, _mark):
            for part in str.split(self, "…"):
                time.sleep(0.3)
                yield part

    found = heard(lambda head: Slow(reply(head)), timeout_s=Seconds(1))
    assert found == (False, "no answer within 1 s")


def test_nobody_there_is_told_as_such():
    found = ask(f"http://127.0.0.1:{free_port()}/", Answer())
    assert (found.right, found.words) == (False, "connection refused")


def test_tls_is_not_verified_on_this_machine(tmp_path):
    key, cert = tmp_path / "key", tmp_path / "cert"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=nobody"
    process.run(*words.split(), "-keyout", key, "-out", cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def wrap(plain):
        return context.wrap_socket(plain, server_side=True)

    with answering(lambda _head: answer("200 OK"), wrap) as port:
        assert ask(f"https://127.0.0.1:{port}/", Answer()).words == "200"
        there = Candidate(port, Path("/no/socket"), tls=True)
        assert ask(there.url("/"), Answer(), at=there).right
        assert not ask(f"http://127.0.0.1:{port}/", Answer()).right


def test_healthy_for_means_without_a_break():
    replies = iter(["200", "503", "200", "200", "200", "200", "200", "200"])

    with answering(lambda _head: answer(f"{next(replies, '200')} X")) as port:
        health = Health(
            url=f"http://127.0.0.1:{port}/",
            within_s=Seconds(10),
            healthy_for_s=Seconds(1),
        )
        began = time.monotonic()
        assert ask_until_healthy(health, stop=lambda: False).right
    assert time.monotonic() - began >= 1.5
