"""A push handed on to git as it comes in, as far as git is to keep it in memory.

git reads all ref updates and all push options before it asks anybody, however many
there are; of the pack alone it knows a limit. So somebody stands in front of it.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NoReturn

from gitdeploy.system import process
from gitdeploy.system.client import Client
from gitdeploy.system.surroundings import Environment

__all__ = ["receive_by"]

_SECTIONS: Final = (
    ("ref updates", 16 * 2**20),
    ("push options", 64 * 1024),
)
"""What comes before the pack, and how many bytes of it are handed on."""

_PACK: Final = b"PACK"
_HEADER: Final = 4
_READ_BYTES: Final = 2**20
_REFUSED: Final = 1
_SIGNALLED: Final = 128


class _TooMuchError(Exception):
    """What came before the pack has no end that is near."""


def receive_by(argv: Sequence[str], *, env: Environment) -> NoReturn:
    """Let git receive what comes in on our standard input, and end as it does.

    Args:
        argv: `git receive-pack`, as for `process.start`.
        env: As for `process.start`.

    Raises:
        SystemExit: Always, with git's exit status; with 1 where it was ended, since
            there was more before the pack than it may keep.
    """
    child = process.start(
        argv,
        env=env,
        stdin=subprocess.PIPE,
        stdout=sys.stdout.fileno(),
        stderr=sys.stderr.fileno(),
    )
    said: list[str] = []
    # Whoever sends nothing more is not waited for once git has ended.
    relay = threading.Thread(target=_stand_before, args=[child, said], daemon=True)
    relay.start()
    try:
        code = child.wait()
    except BaseException:  # whoever stops us stops it too
        child.terminate()
        raise
    if said:
        Client(sys.stderr.fileno()).line(f"gitdeploy: {said[0]}")
        code = _REFUSED
    raise SystemExit(code if code >= 0 else _SIGNALLED - code)


def _stand_before(child: "subprocess.Popen[bytes]", said: list[str]) -> None:
    """Hand on what comes in; where it is too much, say so and end git."""
    assert child.stdin is not None
    with suppress(OSError), child.stdin as sink:  # git may have heard enough
        try:
            _hand_on(sys.stdin.fileno(), sink.fileno())
        except _TooMuchError as error:
            said.append(str(error))
            child.kill()


def _hand_on(source: int, sink: int) -> None:
    """Hand on what comes before the pack, counted, and then the rest as it is.

    Source:
        gitprotocol-pack(5), reference update request: lines with their length up to a
        flush; the same of push options, where the client says so; then the pack.
    """
    for what, most_bytes in _SECTIONS:
        if not _is_passed(source, sink, what, most_bytes):
            break
    while data := os.read(source, _READ_BYTES):
        _write(sink, data)


def _is_passed(source: int, sink: int, what: str, most_bytes: int) -> bool:
    """Hand one section on; return whether it was one, and another may follow."""
    passed = 0
    while passed <= most_bytes:
        header = _read(source, _HEADER)
        _write(sink, header)
        if header == _PACK or len(header) < _HEADER or not _is_length(header):
            return False
        length = int(header, 16)
        if length == 0:
            return True
        _write(sink, _read(source, max(length - _HEADER, 0)))
        passed += max(length, _HEADER)
    size = f"{most_bytes // 1024} KiB"
    raise _TooMuchError(f"{what}: more than {size}; nothing was received")


def _is_length(header: bytes) -> bool:
    return all(digit in b"0123456789abcdefABCDEF" for digit in header)


def _read(source: int, size_bytes: int) -> bytes:
    """Return so many bytes; fewer where no more come."""
    found = b""
    while len(found) < size_bytes and (
        data := os.read(source, size_bytes - len(found))
    ):
        found += data
    return found


def _write(sink: int, data: bytes) -> None:
    while data:
        data = data[os.write(sink, data) :]
