"""Outputs brought into another release, as the step would have made them there.

The scripts of a virtual environment name the directory that they were made in: in text
files and links the new release's takes its place.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.outputs.content import Folders, copy_file, digest_of
from gitdeploy.outputs.record import Made, Seen
from gitdeploy.system import files
from gitdeploy.system.below import read_beneath

__all__ = ["bring", "copy_seen", "make_read_only", "own", "places_of"]

_STAGE: Final = ".gitdeploy-outputs"
_WRITE: Final = 0o222
_MOST_TEXT: Final = 2**26


def bring(
    made: Made,
    outputs: Collection[str],
    source: Path,
    release: Path,
    *,
    linked: bool,
) -> dict[bytes, bytes]:
    """Bring outputs of one release into another; return what they hold there.

    Nothing else comes along than what the step made, byte for byte.

    Args:
        made: What the step made.
        outputs: Their paths.
        source: The release that has them.
        release: The one that shall.
        linked: Whether files are to be the same ones, with one more name.

    Changes: the outputs in `release`, once all were brought beside them; they
        replace what its commit has there.

    Raises:
        SystemFailed: They are not what the step made any more, or could not be
            brought; `release` is as it was.
        OSError: The same, or the disk failed.
    """
    with _stage(release) as stage:
        copy_seen(made.entries, source, stage, contents=made.contents, linked=linked)
        placed = _name_place(made.placed, stage, source, release)
        _put_in_place(outputs, stage, release)
    return {**made.contents, **placed}


def own(made: Made, outputs: Collection[str], release: Path) -> bool:
    """Give a release files of its own where they have names elsewhere; was it needed?

    Package managers link them to a store of theirs.

    Changes: the outputs in `release`, once all were copied beside them.

    Raises:
        SystemFailed: They could not be copied; `release` is as it was.
        OSError: The same, or the disk failed.
    """
    inside = Counter(seen.inode for seen in made.entries.values())
    plain = (seen for seen in made.entries.values() if stat.S_ISREG(seen.mode))
    if not any(seen.names > inside[seen.inode] for seen in plain):
        return False
    with _stage(release) as stage:
        copy_seen(made.entries, release, stage)
        _put_in_place(outputs, stage, release)
    return True


def make_read_only(release: Path, entries: Mapping[bytes, Seen]) -> None:
    """Take everybody's right to write into files; folders keep theirs."""
    with Folders.of(release) as folders:
        for path, seen in entries.items():
            if stat.S_ISREG(seen.mode) and seen.mode & _WRITE:
                files.make_read_only(*folders.at(path), stat.S_IMODE(seen.mode))


def places_of(release: Path) -> list[bytes]:
    """Return how a release's directory may be written; the real path may be another."""
    return sorted({os.fsencode(release), os.fsencode(os.path.realpath(release))})


@contextmanager
def _stage(release: Path) -> Iterator[Path]:
    """Give a new directory beside the outputs of a release, gone afterwards."""
    stage = release / _STAGE
    files.remove(stage)  # a commit or a step may have put anything there
    try:
        files.make_directory(stage)
        yield stage
    finally:
        files.remove(stage)


def copy_seen(
    entries: Mapping[bytes, Seen],
    source: Path,
    stage: Path,
    *,
    contents: Mapping[bytes, bytes] | None = None,
    linked: bool = False,
) -> None:
    """Copy what was seen, and nothing else, to the same paths in a new directory.

    Args:
        entries: Files, folders and links, a folder before what is in it.
        source: Where they lie.
        stage: Where they shall.
        contents: What files and links have to hold; None: whatever they hold.
        linked: Whether files are to be the same ones, with one more name.

    Raises:
        SystemFailed: Something is not as it was seen, or cannot be copied.
        OSError: The same, or the disk failed.
    """
    with (
        Folders.of(source) as theirs,
        Folders.of(stage) as ours,
        Folders.of(stage) as others,
    ):
        for folder in _above(entries):
            files.make_directory(stage / os.fsdecode(folder), files.FOR_ALL_TO_VISIT)
        first: dict[int, bytes] = {}
        for path, seen in entries.items():
            if stat.S_ISDIR(seen.mode):
                files.make_directory(stage / os.fsdecode(path), 0o700)
            elif seen.inode in first:  # hard links stay such
                _link(others, first[seen.inode], ours, path)
            else:
                held = _way(seen, linked=linked)(theirs, ours, path, seen)
                first |= {seen.inode: path} if stat.S_ISREG(seen.mode) else {}
                if contents is not None and held != contents.get(path):
                    raise SystemFailed(f"{os.fsdecode(path)} was changed there")
    _give_modes(entries, stage)


def _way(
    seen: Seen, *, linked: bool
) -> Callable[[Folders, Folders, bytes, Seen], bytes]:
    """Return what copies an entry and says what it holds."""
    if stat.S_ISLNK(seen.mode):
        return _copy_link
    return _link_file if linked else copy_file


def _above(entries: Mapping[bytes, Seen]) -> list[bytes]:
    """Return the folders that outputs lie in and that are not outputs, outer first."""
    tops = {path.rpartition(b"/")[0] for path in entries}
    return sorted(folder for folder in tops if folder and folder not in entries)


def _copy_link(theirs: Folders, ours: Folders, path: bytes, _seen: Seen) -> bytes:
    name, folder = theirs.at(path)
    target = os.readlink(name, dir_fd=folder)
    files.make_link(target, *ours.at(path))
    return target


def _link_file(theirs: Folders, ours: Folders, path: bytes, seen: Seen) -> bytes:
    _link(theirs, path, ours, path)
    name, folder = ours.at(path)
    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode != seen.mode:
        raise SystemFailed(f"{os.fsdecode(path)} was changed there")
    return digest_of(ours, path)


def _link(source: Folders, path: bytes, destination: Folders, to: bytes) -> None:
    (name, folder), (new, there) = source.at(path), destination.at(to)
    files.link_file(name, new, source_in=folder, destination_in=there)


def _give_modes(entries: Mapping[bytes, Seen], stage: Path) -> None:
    """Give folders their modes and times, what is in one before the folder itself."""
    for path, seen in reversed([*entries.items()]):
        if stat.S_ISDIR(seen.mode):
            place = stage / os.fsdecode(path)
            files.change_mode(place, stat.S_IMODE(seen.mode))
            files.change_time(place, seen.mtime_ns)


def _name_place(
    paths: Collection[bytes], stage: Path, source: Path, release: Path
) -> dict[bytes, bytes]:
    """Write one release's directory where the other's is named; return what is new."""
    swaps = [
        (os.fsencode(source), os.fsencode(release)),
        (
            os.fsencode(os.path.realpath(source)),
            os.fsencode(os.path.realpath(release)),
        ),
    ]
    contents: dict[bytes, bytes] = {}
    for path in paths:
        place = stage / os.fsdecode(path)
        link = place.is_symlink()
        data = (
            os.fsencode(os.readlink(place))
            if link
            else read_beneath(stage, path, most_bytes=_MOST_TEXT)
        )
        for old, new in dict.fromkeys(swaps):
            data = data.replace(old, new)
        if link:
            files.replace_link(place, os.fsdecode(data))
        else:
            mode = stat.S_IMODE(place.lstat().st_mode)
            files.write_whole(place, data, mode, durable=False)
        contents[path] = data if link else hashlib.sha256(data).digest()
    return contents


def _put_in_place(outputs: Collection[str], stage: Path, release: Path) -> None:
    for output in outputs:
        folders = list((release / output).relative_to(release).parents)[:-1]
        if any((release / folder).is_symlink() for folder in folders):
            raise SystemFailed(f"a folder of {output} is a link")
    for output in outputs:
        files.remove(release / output)
        files.make_directory((release / output).parent, files.FOR_ALL_TO_VISIT)
        files.rename(stage / output, release / output)
