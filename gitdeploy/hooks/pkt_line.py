"""pkt-lines, the frames of git's wire protocols (gitprotocol-common(5)); pure I/O."""

from collections.abc import Iterable, Iterator
from typing import IO, Final

from gitdeploy.errors import SystemFailed

__all__ = ["read_lines", "write_lines"]

_HEADER: Final = 4
_MOST_BYTES: Final = 65520
_FLUSH: Final = b"0000"
_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")


def read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines up to the next flush packet, without their ends.

    Raises:
        SystemFailed: What comes is not a pkt-line, or ends in the middle of one.
    """
    while size := _size(stream):
        line = stream.read(size - _HEADER)
        if len(line) != size - _HEADER:
            raise SystemFailed("git closed the pipe in the middle of a line")
        yield line.removesuffix(b"\n")


def write_lines(stream: IO[bytes], lines: Iterable[bytes]) -> None:
    """Write lines, then a flush packet.

    Raises:
        SystemFailed: A line is longer than a packet can be.
    """
    for line in lines:
        if len(line) + _HEADER + 1 > _MOST_BYTES:
            raise SystemFailed(f"a line of {len(line)} bytes does not fit a packet")
        stream.write(b"%04x%b\n" % (len(line) + _HEADER + 1, line))
    stream.write(_FLUSH)
    stream.flush()


def _size(stream: IO[bytes]) -> int:
    """Return the size of the next line with its header; 0 for a flush packet."""
    header = stream.read(_HEADER)
    are_digits = len(header) == _HEADER and _DIGITS.issuperset(header)
    size = int(header, 16) if are_digits else -1
    if size != 0 and not _HEADER <= size <= _MOST_BYTES:
        raise SystemFailed(f"git sent {header!r} instead of the size of a line")
    return size
