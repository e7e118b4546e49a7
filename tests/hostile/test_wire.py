"""What is said before a pack is bounded; said by hand, as no git would say it."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hostile.scene import Scene

MIB = 2**20
ZERO = b"0" * 40


def line(data: bytes) -> bytes:
    return b"%04x%b" % (len(data) + 4, data)


def update(ref: bytes, more: bytes = b"") -> bytes:
    return line(b"%b %b %b%b" % (ZERO, b"1" * 40, ref, more))


def options() -> Iterator[bytes]:
    """A gigabyte of push options."""
    yield update(b"refs/heads/main", b"\0report-status push-options object-format=sha1")
    yield b"0000"
    block = line(b"x" * 65000) * 16
    for _ in range(2**30 // len(block)):
        yield block


def updates() -> Iterator[bytes]:
    """A gigabyte of refs."""
    yield update(b"refs/heads/main", b"\0report-status push-options object-format=sha1")
    for n in range(2**30 // MIB):
        yield b"".join(
            update(b"refs/heads/%b-%d-%d" % (b"x" * 900, n, i)) for i in range(1024)
        )


class Talk:
    """A connection on which a client says what it likes."""

    def __init__(self, scene: Scene, said: Iterator[bytes]) -> None:
        self.scene = scene
        self.sent = 0
        words = [*scene.client("mallory"), scene.url(), "git-receive-pack shop"]
        self.child = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._sending = threading.Thread(target=self._send, args=[said])
        self._sending.start()

    def _send(self, said: Iterator[bytes]) -> None:
        assert self.child.stdin
        with suppress(BrokenPipeError), self.child.stdin as wire:
            for data in said:
                self.sent += len(data)
                wire.write(data)
                wire.flush()

    def end(self) -> str:
        """Return what was said in the end."""
        assert self.child.stderr
        with self.child.stderr as errors:
            said = errors.read().decode()
        self.child.wait()
        self._sending.join()
        return said


@pytest.mark.parametrize(
    ("said", "words", "most_mib"),
    [
        (options, "push options: more than 64 KiB; nothing was received", 20),
        (updates, "ref updates: more than 16384 KiB; nothing was received", 60),
    ],
)
def test_a_gigabyte_before_the_pack_is_not_received(
    attack: Scene, said, words: str, most_mib: int
) -> None:
    talk = Talk(attack, said())
    assert words in talk.end()
    assert talk.child.returncode == 1
    assert talk.sent < most_mib * MIB
    assert attack.json("history", "shop")["deployments"] == []
    assert not receiving(attack)


def receiving(scene: Scene) -> list[str]:
    said = scene.machine.run(
        "sh", "-c", "pgrep -u deploy -a receive-pack || test $? = 1"
    )
    return said.stdout.splitlines()


def test_what_is_no_protocol_is_left_to_git(attack: Scene) -> None:
    talk = Talk(attack, iter([b"GET / HTTP/1.1\r\n\r\n" * 1000]))
    assert "bad line length character" in talk.end()
    assert talk.child.returncode != 0


def test_who_leaves_in_the_middle_leaves_nothing_behind(attack: Scene) -> None:
    """Of a line, of the refs and of the options."""
    ref = update(b"refs/heads/main", b"\0report-status push-options object-format=sha1")
    for begun in (b"", ref[:30], ref, ref + b"0000", ref + b"0000" + line(b"plan")):
        Talk(attack, iter([begun])).end()
        assert not receiving(attack)


def test_a_client_that_says_nothing_more_is_not_waited_for(attack: Scene) -> None:
    """Once git has ended, for whatever reason."""
    done = threading.Event()

    def said() -> Iterator[bytes]:
        yield b"GET / HTTP/1.1\r\n\r\n"
        done.wait(30)

    talk = Talk(attack, said())
    talk.child.wait(20)
    assert not done.is_set()
    done.set()
    assert "bad line length character" in talk.end()


def test_a_large_pack_comes_through_whole(attack: Scene) -> None:
    data = os.urandom(24 * MIB)
    work = attack.clone("mallory")
    push = attack.push(work, big=data)
    assert push.code == 0, push.output
    assert attack.served("dev")["big"] == data
