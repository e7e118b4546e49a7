"""pkt-lines, and the protocol that proc-receive speaks in them with git."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import process

from gitdeploy.errors import SystemFailed
from gitdeploy.hooks.pkt_line import read_lines, write_lines

MOST_BYTES = 65520
NOTHING = "0" * 40


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


def packed(lines: Iterable[bytes]) -> bytes:
    stream = BytesIO()
    write_lines(stream, lines)
    return stream.getvalue()


def unpacked(data: bytes) -> list[bytes]:
    return list(read_lines(BytesIO(data)))


# --- frames ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "data"),
    [
        case("no line is a flush packet", [], b"0000"),
        case("a line ends with a newline that is counted", [b"a"], b"0006a\n0000"),
        case("an empty line", [b""], b"0005\n0000"),
        case(
            "the size is hexadecimal",
            [b"x" * 26, b"b"],
            b"001f" + b"x" * 26 + b"\n0006b\n0000",
        ),
    ],
)
def test_lines_are_written_as_git_reads_them(lines, data):
    assert packed(lines) == data


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        case("a line without an end is whole", b"0005a0000", [b"a"]),
        case("a line of nothing at all", b"00040000", [b""]),
        case("only the last newline is the end", b"0007a\n\n0000", [b"a\n"]),
        case("capital digits are digits", b"000Ahello\n0000", [b"hello"]),
        case("a NUL is nothing special", b"0008a\0b\n0000", [b"a\0b"]),
    ],
)
def test_lines_are_read_as_git_writes_them(data, lines):
    assert unpacked(data) == lines


@given(st.lists(st.binary(max_size=200)))
def test_what_was_written_is_read_again(lines):
    assert unpacked(packed(lines)) == lines


def test_the_longest_line_is_read():
    line = b"x" * (MOST_BYTES - 5)
    assert unpacked(packed([line])) == [line]


def test_reading_stops_behind_the_flush_packet():
    stream = BytesIO(packed([b"one"]) + packed([b"two"]))
    assert list(read_lines(stream)) == [b"one"]
    assert list(read_lines(stream)) == [b"two"]
    assert stream.read() == b""


@given(st.lists(st.binary(max_size=20)), st.data())
def test_no_truncated_input_passes_for_whole(lines, data):
    whole = packed(lines)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(SystemFailed):
        unpacked(cut)


@given(st.binary(max_size=40))
def test_whatever_comes_is_lines_or_a_foreseen_failure(data):
    with suppress(SystemFailed):
        assert all(isinstance(line, bytes) for line in unpacked(data))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        case("nothing", b"", "b''"),
        case("less than a size", b"00", "b'00'"),
        case("no number", b"GET / HTTP/1.1", "b'GET '"),
        case("a size below the header's own", b"0003", "b'0003'"),
        case("a delimiter packet, which is not for us", b"0001", "b'0001'"),
        case("a negative size", b"-001", "b'-001'"),
        case("a size one above the greatest", b"fff1", "b'fff1'"),
        case("the greatest size there can be", b"ffff", "b'ffff'"),
    ],
)
def test_what_is_no_size_is_told(data, found):
    with pytest.raises(SystemFailed) as caught:
        unpacked(data)
    assert caught.value.message == f"git sent {found} instead of the size of a line"


@pytest.mark.parametrize("header", [b"0x09", b"+009", b" 009", b"0_09", b"009 "])
def test_a_size_is_four_hexadecimal_digits_and_nothing_else(header):
    with pytest.raises(SystemFailed):
        unpacked(header + b"hello" + b"0000")


def test_the_end_in_the_middle_of_a_line_is_told():
    with pytest.raises(SystemFailed, match="closed the pipe in the middle of a line"):
        unpacked(b"0009hel")


def test_no_line_is_written_that_git_could_not_read():
    with pytest.raises((SystemFailed, AssertionError)):
        packed([b"x" * MOST_BYTES])


# --- the protocol ---------------------------------------------------------------


class Answer(NamedTuple):
    """What the hook did."""

    code: int
    lines: list[list[bytes]]
    """What it sent to git: the lines up to each flush packet."""
    told: str
    """What the pusher read."""


class Git:
    """git's side of the hook, without git: talks to it as receive-pack does."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository

    def says(self, *groups: Iterable[str], raw: bytes = b"") -> Answer:
        """Send groups of lines, then `raw`, and return what the hook did."""
        sent = b"".join(packed(line.encode() for line in group) for group in groups)
        done = process.run(
            sys.executable,
            "-I",
            self._repository / "hooks" / "proc-receive",
            cwd=self._repository,
            env={"GIT_DIR": ".", "TMPDIR": str(self._repository.parent)},
            stdin=(sent + raw).decode("utf-8", "surrogateescape"),
            check=False,
        )
        received = BytesIO(done.stdout.encode("utf-8", "surrogateescape"))
        lines = []
        while received.tell() < len(received.getvalue()):
            lines.append(list(read_lines(received)))
        return Answer(done.returncode, lines, done.stderr)


@pytest.fixture
def git(server, work) -> Git:
    """git in an app whose repository has a commit, `work.head`, and no refs."""
    work.commit("first", page="one")
    pack = f"{work.path}/.git/objects/info"
    alternates = server.repo() / "objects/info/alternates"
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_text(f"{os.path.dirname(pack)}\n")
    return Git(server.repo())


HELLO = ["version=1\0push-options atomic"]
PLAIN = ["version=1"]


def test_git_is_answered_with_the_features_both_sides_have(git, work, server):
    command = [f"{NOTHING} {work.head} refs/heads/main"]
    answer = git.says(
        ["version=1\0atomic object-format=sha1 push-options"], command, []
    )
    assert answer.code == 0
    assert answer.lines == [
        [b"version=1\0atomic push-options"],
        [b"ok refs/heads/main"],
    ]
    assert server.refs()["refs/heads/main"] == work.head
    assert (server.link("shop-staging") / "page").read_text() == "one"


def test_where_git_offers_nothing_nothing_more_is_read(git, work):
    command = [f"{NOTHING} {work.head} refs/heads/main"]
    answer = git.says(PLAIN, command)
    assert answer.lines == [[b"version=1\0"], [b"ok refs/heads/main"]]


def test_each_ref_is_answered_in_the_order_asked(git, work):
    commands = [
        f"{NOTHING} {work.head} {ref}"
        for ref in ("refs/tags/v1", "refs/heads/topic", "refs/heads/main")
    ]
    _, answers = git.says(PLAIN, commands).lines
    assert answers[0] == b"ok refs/tags/v1"
    assert answers[1] == b"ng refs/heads/topic topic deploys nothing here"
    assert answers[2] == b"ok refs/heads/main"


def test_a_push_option_is_read(git, work, server):
    command = [f"{NOTHING} {work.head} refs/heads/main"]
    answer = git.says(HELLO, command, ["plan"])
    (refusal,) = answer.lines[1]
    assert refusal.startswith(b"ng refs/heads/main plan: would prepare a release")
    assert "refs/heads/main" not in server.refs()


def test_an_atomic_push_moves_no_ref_where_one_is_refused(git, work, server):
    commands = [
        f"{NOTHING} {work.head} refs/heads/main",
        f"{NOTHING} {work.head} refs/heads/topic",
    ]
    _, answers = git.says(HELLO, commands, []).lines
    assert all(line.startswith(b"ng ") for line in answers)
    assert server.refs() == {}


def test_a_ref_that_is_not_where_git_says_is_refused(git, work, server):
    command = [f"{work.head} {work.head} refs/heads/main"]
    (refusal,) = git.says(PLAIN, command).lines[1]
    assert refusal.startswith(b"ng refs/heads/main ")
    assert server.refs() == {}


def test_a_commit_that_does_not_exist_is_refused(git, server):
    command = [f"{NOTHING} {'ab' * 20} refs/heads/main"]
    (refusal,) = git.says(PLAIN, command).lines[1]
    assert refusal.startswith(b"ng refs/heads/main ")
    assert server.refs() == {}


def test_the_reason_is_one_line_however_the_ref_is_called(git, work):
    ref = "refs/heads/" + "x" * 300
    (refusal,) = git.says(PLAIN, [f"{NOTHING} {work.head} {ref}"]).lines[1]
    reason = refusal.removeprefix(b"ng " + ref.encode() + b" ").decode()
    assert reason.isprintable()
    assert len(reason) <= 160


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        case("version 2", ["version=2\0atomic"], "another proc-receive protocol"),
        case("version 10", ["version=10"], "another proc-receive protocol"),
        case("no version", ["hello"], "another proc-receive protocol"),
        case("nothing", [], "another proc-receive protocol"),
    ],
)
def test_another_protocol_is_refused_before_anything_is_read(git, server, hello, said):
    answer = git.says(hello)
    assert answer.code == 1
    assert answer.lines == []
    assert said in answer.told
    assert server.refs() == {}


@pytest.mark.parametrize(
    "raw",
    [
        case("nothing at all", b""),
        case("an HTTP request", b"GET / HTTP/1.1\r\n\r\n"),
        case("half a line", b"0020version"),
        case("bytes that are no text", b"\xff\xfe\x00\x00"),
    ],
)
def test_garbage_is_a_foreseen_failure(git, server, raw):
    answer = git.says(raw=raw)
    assert answer.code == 1
    assert answer.lines == []
    assert answer.told.startswith("gitdeploy: git ")
    assert server.refs() == {}


def test_git_that_dies_in_the_middle_of_its_commands_moves_nothing(git, work, server):
    line = f"{NOTHING} {work.head} refs/heads/main\n".encode()
    answer = git.says(PLAIN, raw=b"%04x%b" % (len(line) + 4, line))
    assert answer.code == 1
    assert answer.lines == [[b"version=1\0"]]
    assert server.refs() == {}
    assert server.history() == []


@pytest.mark.parametrize("command", ["", "nonsense", f"{NOTHING} {NOTHING}"])
def test_a_command_that_is_none_is_a_foreseen_failure(git, server, command):
    answer = git.says(PLAIN, [command])
    assert answer.code == 1
    assert answer.lines == [[b"version=1\0"]]
    assert "instead of an update" in answer.told
    assert server.refs() == {}
