"""What a check leaves at $SOCKET leads us to nobody else's socket."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gitdeploy.config import Answer
from gitdeploy.probe import Candidate, ask, free_port
from gitdeploy.system import unix_socket
from hostile.scene import Scene

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def somebody_else(path: Path) -> Iterator[list[bytes]]:
    """Answer on a unix socket for the body; give what was asked there."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        asked.append(connection.recv(65536))
                        connection.sendall(OK)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path


def heard(directory: Path) -> tuple[bool, str]:
    there = Candidate(free_port(), directory / "check.sock")
    found = ask(there.url("/"), Answer(), at=there)
    return found.right, found.words


def test_a_socket_of_its_own_is_asked(place: Path) -> None:
    with somebody_else(place / "scratch/check.sock") as asked:
        assert heard(place / "scratch") == (True, "200")
    assert len(asked) == 1


def test_a_link_to_another_s_socket_is_not_followed(place: Path) -> None:
    with somebody_else(place / "docker.sock") as asked:
        (place / "scratch/check.sock").symlink_to(place / "docker.sock")
        assert heard(place / "scratch") == (False, "what lies at $SOCKET is no socket")
    assert asked == []


def test_a_directory_that_became_a_link_is_not_followed(place: Path) -> None:
    (place / "run").mkdir()
    with somebody_else(place / "run/check.sock") as asked:
        (place / "scratch").rmdir()
        (place / "scratch").symlink_to("run")
        right, _ = heard(place / "scratch")
    assert not right
    assert asked == []


def test_what_takes_its_name_meanwhile_is_not_asked(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at is connected to, though a link has its name by then."""
    its = place / "scratch/check.sock"
    connect = unix_socket._connected  # noqa: SLF001 - the moment before it

    def replaced(path: str, timeout_s: float) -> socket.socket:
        its.unlink()
        its.symlink_to(place / "docker.sock")
        return connect(path, timeout_s)

    with somebody_else(its) as own, somebody_else(place / "docker.sock") as asked:
        monkeypatch.setattr(unix_socket, "_connected", replaced)
        assert heard(place / "scratch") == (True, "200")
    assert (len(own), asked) == (1, [])


@pytest.mark.parametrize("kind", ["file", "pipe", "directory", "dangling link"])
def test_what_is_no_socket_is_not_waited_for(place: Path, kind: str) -> None:
    it = place / "scratch/check.sock"
    {
        "file": it.touch,
        "pipe": lambda: os.mkfifo(it),
        "directory": it.mkdir,
        "dangling link": lambda: it.symlink_to("nowhere"),
    }[kind]()
    assert heard(place / "scratch") == (False, "what lies at $SOCKET is no socket")


def test_a_served_check_reaches_no_socket_of_the_server(attack: Scene) -> None:
    """A pushed one that links $SOCKET to what only the server's user may talk to."""
    theirs = attack.machine.path("/home/deploy/theirs.sock")
    toml = """[[checks]]
serve = 'ln -s /home/deploy/theirs.sock $SOCKET; exec sleep 60'
url = '/'
within = '2s'
"""
    with somebody_else(theirs) as asked:
        theirs.chmod(0o777)
        push = attack.push(attack.clone("mallory"), toml)
    theirs.unlink()
    assert push.code == 1
    assert "what lies at $SOCKET is no socket" in push.output
    assert asked == []
