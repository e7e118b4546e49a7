"""Outputs brought into another release, as the step would have made them there.

The scripts of a virtual environment name the directory that they were made in: in text
files and links the new release's takes its place.
"""

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.outputs.record import Made, Seen, additions, look, lost
from gitdeploy.system import files, process
from gitdeploy.system.process import CommandFailed
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import BARE

__all__ = ["bring", "make_read_only", "names_of_place", "own"]

_STAGE: Final = ".gitdeploy-outputs"
_WRITE: Final = 0o222


def bring(
    made: Made,
    outputs: Collection[str],
    source: Path,
    release: Path,
    *,
    linked: bool,
) -> None:
    """Bring outputs of one release into another; what came to them later stays there.

    Args:
        made: They are as this says.
        outputs: Their paths.
        source: The release that has them.
        release: The one that shall.
        linked: Whether files are to be the same ones, with one more name.

    Changes: the outputs in `release`, once all were brought beside them; they
        replace what its commit has there.

    Raises:
        SystemFailed: They could not be brought; `release` is as it was.
        OSError: The same, or the disk failed.
    """
    stage = release / _STAGE
    try:
        _copy(outputs, source, stage, linked=linked)
        for path in [*additions(made.entries, look(stage, outputs))]:
            files.remove(stage / os.fsdecode(path))
        if lost(made.entries, look(stage, outputs)):
            raise SystemFailed("a copy is not what it should be")
        _name_place(made.placed, stage, source, release)
        _put_in_place(outputs, stage, release)
    finally:
        files.remove_tree(stage)


def own(made: Mapping[bytes, Seen], outputs: Collection[str], release: Path) -> bool:
    """Give a release files of its own where they have names elsewhere; was it needed?

    Package managers link them to a store of theirs.

    Changes: the outputs in `release`, once all were copied beside them.

    Raises:
        SystemFailed: They could not be copied; `release` is as it was.
        OSError: The same, or the disk failed.
    """
    inside = Counter(seen.inode for seen in made.values())
    plain = (seen for seen in made.values() if stat.S_ISREG(seen.mode))
    if not any(seen.names > inside[seen.inode] for seen in plain):
        return False
    stage = release / _STAGE
    try:
        _copy(outputs, release, stage, linked=False)
        _put_in_place(outputs, stage, release)
    finally:
        files.remove_tree(stage)
    return True


def make_read_only(release: Path, entries: Mapping[bytes, Seen]) -> None:
    """Take everybody's right to write into files; folders keep theirs."""
    for path, seen in entries.items():
        if stat.S_ISREG(seen.mode) and seen.mode & _WRITE:
            mode = stat.S_IMODE(seen.mode) & ~_WRITE
            files.change_mode(release / os.fsdecode(path), mode)


def names_of_place(release: Path, entries: Mapping[bytes, Seen]) -> tuple[bytes, ...]:
    """Return the text files and links that name the release's directory.

    Args:
        release: The release.
        entries: What lies in its outputs.

    Raises:
        SystemFailed: They could not be looked through.
    """
    places = _places(release)
    inside = tuple(place + b"/" for place in places)
    top = os.fsencode(release)
    links = (path for path, seen in entries.items() if stat.S_ISLNK(seen.mode))
    named = [
        link
        for link in links
        if (os.readlink(top + b"/" + link) + b"/").startswith(inside)
    ]
    tops = [path for path in _tops(entries) if not stat.S_ISLNK(entries[path].mode)]
    return (*named, *_grep(release, tops, places))


def _tops(entries: Mapping[bytes, Seen]) -> Iterator[bytes]:
    for path in entries:
        if path.rpartition(b"/")[0] not in entries:
            yield path


def _grep(
    release: Path, tops: Collection[bytes], places: Collection[bytes]
) -> list[bytes]:
    """Return the text files that hold one of some words; grep(1) reads all of them."""
    if not tops:
        return []
    words = [part for place in places for part in ("-e", os.fsdecode(place))]
    above = os.fsencode(release) + b"/"
    read = [os.fsdecode(above + top) for top in tops]
    argv = [program("grep"), "-rlIZF", "-D", "skip", *words, "--", *read]
    try:
        said = process.run(argv, env=BARE)
    except CommandFailed as error:
        if error.code != 1:
            raise
        said = b""  # nothing found
    return [path.removeprefix(above) for path in said.split(b"\0") if path]


def _places(release: Path) -> list[bytes]:
    """Return how a release's directory may be written; the real path may be another."""
    return sorted({os.fsencode(release), os.fsencode(os.path.realpath(release))})


def _copy(
    outputs: Collection[str],
    source: Path,
    stage: Path,
    *,
    linked: bool,
) -> None:
    files.remove_tree(stage)
    for output in outputs:
        files.make_directory((stage / output).parent, files.FOR_ALL_TO_VISIT)
        files.copy_tree(source / output, stage / output, linked=linked)


def _name_place(
    paths: Collection[bytes], stage: Path, source: Path, release: Path
) -> None:
    """Write one release's directory where the other's is named."""
    swaps = [
        (os.fsencode(source), os.fsencode(release)),
        (
            os.fsencode(os.path.realpath(source)),
            os.fsencode(os.path.realpath(release)),
        ),
    ]
    for path in paths:
        place = stage / os.fsdecode(path)
        link = place.is_symlink()
        data = os.fsencode(os.readlink(place)) if link else place.read_bytes()
        for old, new in dict.fromkeys(swaps):
            data = data.replace(old, new)
        if link:
            files.replace_link(place, os.fsdecode(data))
        else:
            mode = stat.S_IMODE(place.stat().st_mode)
            files.write_whole(place, data, mode, durable=False)


def _put_in_place(outputs: Collection[str], stage: Path, release: Path) -> None:
    for output in outputs:
        folders = list((release / output).relative_to(release).parents)[:-1]
        if any((release / folder).is_symlink() for folder in folders):
            raise SystemFailed(f"a folder of {output} is a link")
    for output in outputs:
        files.remove(release / output)
        files.make_directory((release / output).parent, files.FOR_ALL_TO_VISIT)
        files.rename(stage / output, release / output)
