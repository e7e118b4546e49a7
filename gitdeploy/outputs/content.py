"""What files of outputs hold: read, hashed and copied by descriptors, no link followed.

What lies there was made by commands of others. A file that is not a regular one, is
mostly holes, or changes while it is read is an error.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gitdeploy.errors import SystemFailed
from gitdeploy.outputs.record import Seen
from gitdeploy.system import files
from gitdeploy.system.below import directory_beneath, open_to_read

__all__ = ["Folders", "Read", "copy_file", "digest_of", "read"]

_AT_ONCE: Final = 2**20
_MOST_HOLES: Final = 2**26
"""Bytes of outputs that no disk holds: more could fill one, once they are copied."""


class Read(NamedTuple):
    """What lies in outputs."""

    contents: dict[bytes, bytes]
    """SHA-256 of each file, and what each link holds."""
    naming: tuple[bytes, ...]
    """The text files and links that hold one of the words."""


class Folders:
    """The folders below a directory, the last one asked for held open.

    Attributes:
        holes: How many bytes of the files read so far are in no block.
    """

    def __init__(self, top: int) -> None:
        self.holes = 0
        self._top = top
        self._path: bytes | None = None
        self._fd = -1

    @classmethod
    @contextmanager
    def of(cls, directory: Path) -> Iterator["Folders"]:
        """Give those of a directory for the body."""
        with directory_beneath(directory, b"") as top:
            folders = cls(top)
            try:
                yield folders
            finally:
                folders.close()

    def at(self, path: bytes) -> tuple[bytes, int]:
        """Return the name of what has a path, and the open folder it lies in.

        Raises:
            OSError: There is no such folder, or a link is on the way.
        """
        above, _, name = path.rpartition(b"/")
        if above != self._path:
            self.close()
            with directory_beneath(self._top, above) as fd:
                self._fd, self._path = os.dup(fd), above
        return name, self._fd

    def close(self) -> None:
        """Hold nothing open any more."""
        if self._path is not None:
            os.close(self._fd)
            self._path = None


def read(
    release: Path, entries: Mapping[bytes, Seen], words: Collection[bytes]
) -> Read:
    """Return what some files and links of a release hold.

    Args:
        release: The release.
        entries: What lies there, files, folders and links, by path.
        words: What is looked for in text; in links, at their beginning.

    Raises:
        SystemFailed: A file cannot be passed on.
        OSError: It could not be read.
    """
    contents: dict[bytes, bytes] = {}
    naming: list[bytes] = []
    known: dict[int, tuple[bytes, bool]] = {}
    with Folders.of(release) as folders:
        for path, seen in entries.items():
            if stat.S_ISLNK(seen.mode):
                name, folder = folders.at(path)
                contents[path] = target = os.readlink(name, dir_fd=folder)
                found = (target + b"/").startswith(tuple(w + b"/" for w in words))
            elif stat.S_ISREG(seen.mode):
                if seen.inode not in known:  # it may have a thousand names
                    known[seen.inode] = _read_file(folders, path, words)
                contents[path], found = known[seen.inode]
            else:
                continue
            naming += [path] if found else []
    return Read(contents, tuple(naming))


def _read_file(
    folders: Folders, path: bytes, words: Collection[bytes]
) -> tuple[bytes, bool]:
    """Return the hash of a file, and whether it is text that holds one of some words.

    Text has no NUL in its first bytes, as for `grep -I`.
    """
    longest = max(map(len, words), default=1)
    tail, is_text, found = b"", True, False

    def look(data: bytes) -> None:
        nonlocal tail, is_text, found
        is_text = is_text and (bool(tail) or b"\0" not in data)
        if is_text and not found:
            found = any(word in tail + data for word in words)
        tail = data[-longest:]

    return digest_of(folders, path, look), found


def digest_of(
    folders: Folders, path: bytes, each: Callable[[bytes], object] = len
) -> bytes:
    """Return the SHA-256 of a regular file, all of whose bytes `each` gets to see.

    Raises:
        SystemFailed: It is no file that can be passed on.
        OSError: It could not be read.
    """
    with _opened(folders, path) as (fd, status):
        return _hashed(fd, status.st_size, path, each)


def _hashed(
    fd: int, size_bytes: int, path: bytes, each: Callable[[bytes], object]
) -> bytes:
    digest, left = hashlib.sha256(), size_bytes
    while left > 0 and (data := os.read(fd, min(left, _AT_ONCE))):
        digest.update(data)
        each(data)
        left -= len(data)
    if left:
        raise SystemFailed(f"{os.fsdecode(path)} changed while it was read")
    return digest.digest()


def copy_file(
    source: Folders,
    destination: Folders,
    path: bytes,
    seen: Seen,
) -> bytes:
    """Copy a regular file to the same path elsewhere; return its SHA-256.

    A file system that can shares its blocks.

    Args:
        source: Where it lies.
        destination: Where it shall.
        path: Its path in both.
        seen: How it has to be.

    Raises:
        SystemFailed: It is no file that can be passed on, or has another mode.
        OSError: It could not be copied.
    """
    name, folder = destination.at(path)
    with _opened(source, path) as (fd, status):
        if status.st_mode != seen.mode:
            raise SystemFailed(f"{os.fsdecode(path)} was changed there")
        copy = files.create_file(name, folder)
        try:
            cloned = files.clone_into(copy, fd)

            def put(data: bytes) -> None:
                if not cloned:
                    files.append(copy, data)

            digest = _hashed(fd, status.st_size, path, put)
            files.make_like(copy, fd, status, seen.mtime_ns)
        finally:
            os.close(copy)
    return digest


@contextmanager
def _opened(folders: Folders, path: bytes) -> Iterator[tuple[int, os.stat_result]]:
    """Give a regular file, open, and how it is, for the body."""
    name, folder = folders.at(path)
    fd = open_to_read(name, folder)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise SystemFailed(f"{os.fsdecode(path)} is no regular file")
        folders.holes += _holes(fd, status)
        if folders.holes > _MOST_HOLES:
            raise SystemFailed(f"{os.fsdecode(path)} is sparse")
        yield fd, status
    finally:
        os.close(fd)


def _holes(fd: int, status: os.stat_result) -> int:
    """Return how many bytes of a file are in no block, as far as that is of interest.

    Fewer blocks than bytes may be a compressing file system's.
    """
    if status.st_blocks * 512 >= status.st_size:
        return 0
    data = holes = 0
    while data < status.st_size and holes <= _MOST_HOLES:
        hole = os.lseek(fd, data, os.SEEK_HOLE)
        data = _next_data(fd, hole, status.st_size)
        holes += data - hole
    os.lseek(fd, 0, os.SEEK_SET)
    return holes


def _next_data(fd: int, hole: int, end: int) -> int:
    try:
        return os.lseek(fd, hole, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:  # there is none
            raise
        return end
