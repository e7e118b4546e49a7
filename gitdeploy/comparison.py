"""A release's directory beside what its commit has: bytes, not only times and sizes.

What git would write is the truth. Most files are their blobs, and a blob is known by
its hash, so only git's own words about the others are needed; whoever asks it is not
known here.
"""

import hashlib
import os
import stat
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from gitdeploy.manifest import File, Folder, Stamp, joined, stamp_of
from gitdeploy.system.below import open_below, open_to_read

__all__ = [
    "Compared",
    "How",
    "above",
    "besides",
    "compare",
    "holds_the_same",
    "is_below",
]

How: TypeAlias = Literal["missing", "content", "mode", "kind"]
"""What is wrong with a file; `kind`: it is a link or a folder, or is none any more."""

_RUNS: Final = stat.S_IXUSR
_AT_ONCE: Final = 1 << 20


class Compared(Struct):
    """What one look at all files of some folders found."""

    files: int = 0
    """How many were looked at."""
    wrong: dict[bytes, How] = field(default_factory=dict)
    """What certainly differs, by path; a folder that is none stands for all in it."""
    doubtful: dict[bytes, File] = field(default_factory=dict)
    """Files that hold something else than their blobs do; so they may have to."""
    stamps: dict[bytes, Stamp] = field(default_factory=dict)
    """How each of the other files lay on the disk when it was read."""


def compare(
    directory: Path, folders: Mapping[bytes, Folder], apart: Container[bytes]
) -> Compared:
    """Return how the files in a directory differ from those of a commit.

    Args:
        directory: A release's.
        folders: Every folder of the commit by its path, with the stamps that are known:
            they tell which mode a file had, besides whether it may be run.
        apart: Paths that are not looked at, nor what is below them.
    """
    found = Compared()
    for path in sorted(folders):  # a folder before what is in it
        if not is_below(path, apart) and not is_below(path, found.wrong):
            _compare_folder(directory, path, folders[path], apart, found)
    return found


def above(path: bytes) -> Iterator[bytes]:
    """Yield every folder that a path lies in, the innermost first, to the empty one."""
    while path:
        path = path.rpartition(b"/")[0]
        yield path


def is_below(path: bytes, some: Container[bytes]) -> bool:
    """Return whether a path, or a folder that it lies in, is one of some."""
    return path in some or any(folder in some for folder in above(path))


def _compare_folder(
    directory: Path,
    path: bytes,
    folder: Folder,
    apart: Container[bytes],
    found: Compared,
) -> None:
    those = [file for file in folder.files if joined(path, file.name) not in apart]
    found.files += len(those)
    try:
        with open_below(directory, path) as here:
            for file in those:
                _compare_file(joined(path, file.name), file, here, found)
    except FileNotFoundError:
        found.wrong |= {joined(path, file.name): "missing" for file in those}
    except NotADirectoryError:
        found.files -= len(those)
        found.wrong[path] = "kind"


def _compare_file(path: bytes, file: File, here: int, found: Compared) -> None:
    try:
        before = os.stat(file.name, dir_fd=here, follow_symlinks=False)
        how = _how(file, before)
        id_ = None if how else _blob_id(file.name, here, before)
        after = os.stat(file.name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        found.wrong[path] = "missing"
        return
    if how is None and id_ != file.id:
        if id_ is None or stat.S_ISLNK(file.mode):
            how = "content"
        else:
            found.doubtful[path] = file
    if how:
        found.wrong[path] = how
    elif stamp_of(before) == stamp_of(after):
        found.stamps[path] = stamp_of(after)


def _how(file: File, status: os.stat_result) -> How | None:
    """Return what is wrong with a file, as far as its looks tell."""
    if stat.S_IFMT(status.st_mode) != stat.S_IFMT(file.mode):
        return "kind"
    if stat.S_ISLNK(file.mode):
        return None
    if file.stamp:
        return None if status.st_mode == file.stamp[3] else "mode"
    return None if bool(status.st_mode & _RUNS) == bool(file.mode & _RUNS) else "mode"


def _blob_id(name: bytes, here: int, status: os.stat_result) -> bytes | None:
    """Return the id that a file or link would have in git; None if nobody can tell."""
    known = hashlib.sha1(b"blob %d\0" % status.st_size, usedforsecurity=False)
    if stat.S_ISLNK(status.st_mode):
        known.update(os.readlink(name, dir_fd=here))
        return known.digest()
    try:
        with _opened(name, here) as file:
            return hashlib.file_digest(file, lambda: known).digest()
    except FileNotFoundError:
        raise
    except OSError:  # no right to read it, or something else by now
        return None


@contextmanager
def _opened(name: bytes, here: int | None) -> Iterator[FileIO]:
    with FileIO(open_to_read(name, here)) as file:
        yield file


def holds_the_same(directory: Path, path: bytes, other: Path) -> bool:
    """Return whether a file in a directory has just the bytes that another one has."""
    folder, _, name = path.rpartition(b"/")
    try:
        with (
            open_below(directory, folder) as here,
            _opened(name, here) as one,
            _opened(os.fsencode(other), None) as two,
        ):
            while True:
                have, want = one.read(_AT_ONCE), two.read(_AT_ONCE)
                if have != want:
                    return False
                if not want:
                    return True
    except OSError:
        return False


def besides(
    directory: Path, folders: Mapping[bytes, Folder], apart: Container[bytes]
) -> Iterator[bytes]:
    """Yield the path of each file and link that a directory has and the commit not.

    The arguments are those of `compare`.
    """
    top, pending = os.fsencode(directory), [b""]
    while pending:
        path = pending.pop()
        folder = folders.get(path)
        known = {*(f.name for f in folder.files), *folder.folders} if folder else set()
        for entry in _entries(os.path.join(top, path)):
            inner = joined(path, entry.name)
            if inner in apart:
                continue
            if entry.is_dir(follow_symlinks=False):
                pending.append(inner)
            elif entry.name not in known:
                yield inner


def _entries(place: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):  # gone by now
        return []
