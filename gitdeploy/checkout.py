"""A tree's files written into a directory, by git itself.

git applies .gitattributes (eol, ident, working-tree-encoding), modes and links, in
parallel, and refuses names that mean harm.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import File
from gitdeploy.system import files
from gitdeploy.system.git import Git
from gitdeploy.system.process import CommandFailed

__all__ = ["check_out", "check_out_some", "conversions", "converted", "written"]

_SETTINGS: Final = (
    "checkout.workers=0",  # as many as there are processors
    "core.autocrlf=false",  # attributes alone decide about the ends of lines
    "core.eol=lf",
    "core.fsync=none",  # the release is synced as a whole when it is sealed
    "core.hooksPath=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.symlinks=true",
    "core.fileMode=true",
    "protocol.allow=never",
)

_BESIDE: Final = ".gitdeploy-checkout"
_INDEX: Final = "gitdeploy.index"

_NO: Final = (b"unspecified", b"unset")
_CONVERTING: Final = {
    "eol": (*_NO, b"lf"),
    "filter": _NO,
    "ident": _NO,
    "working-tree-encoding": _NO,
}
"""Attributes, with the values by which a file is what its blob is."""


def check_out(git: Git, tree: str, destination: Path, *, path: str = ".") -> None:
    """Write a tree's files into `destination`, which exists and is empty.

    Args:
        git: Runs git in the repository that has the tree.
        tree: The whole tree, so that attributes above `path` hold too.
        destination: Where the files go.
        path: The folder of the tree whose files these are.

    Called with the app's lock held: the index has one name.

    Changes: only `destination`, and an index beside the repository's own files that
        is gone afterwards.

    Raises:
        ReleaseFailed: git could not write a file; its own words say which.
    """
    work_tree = destination if path == "." else destination / _BESIDE
    files.make_directory(work_tree, files.FOR_ALL_TO_VISIT)
    with _index(git.directory / _INDEX) as index:
        if path == ".":
            _git(git, index, work_tree, "read-tree", "--reset", "-u", tree)
            return
        _git(git, index, work_tree, "read-tree", tree)
        inside = _git(git, index, work_tree, "ls-files", "-z", "--", path)
        _write(git, index, work_tree, inside)
        files.move_up(work_tree / path, destination)
        files.remove_tree(work_tree)


def check_out_some(
    git: Git,
    wanted: Iterable[tuple[bytes, File]],
    destination: Path,
    *,
    attributes: Iterable[tuple[bytes, File]],
    path: str = ".",
) -> None:
    """Write some files of a tree into their folders below `destination`.

    Each is complete before it has its name; what had the name before is replaced.

    Args:
        git: Runs git in the repository that has them.
        wanted: The files, by their paths below `destination`.
        destination: Where they go; their folders exist.
        attributes: Every .gitattributes of the tree that can hold for them, by its
            path in the tree.
        path: The folder of the tree that `destination` stands for.

    Changes: as `check_out`.

    Raises:
        ReleaseFailed: As `check_out`.
    """
    with written(
        git, wanted, destination / _BESIDE, attributes=attributes, path=path
    ) as found:
        for name, place in found.items():
            files.rename(place, destination / os.fsdecode(name))


@contextmanager
def written(
    git: Git,
    wanted: Iterable[tuple[bytes, File]],
    work_tree: Path,
    *,
    attributes: Iterable[tuple[bytes, File]],
    path: str = ".",
) -> Iterator[dict[bytes, Path]]:
    """Let git write some files of a tree for the body; give where each of them is.

    Args:
        git: As `check_out_some`.
        wanted: As `check_out_some`.
        work_tree: A directory that nobody else uses; what a crash left there goes.
        attributes: As `check_out_some`.
        path: As `check_out_some`.

    Changes: `work_tree` and an index beside it; both are gone afterwards.

    Raises:
        ReleaseFailed: As `check_out`.
    """
    those = {name: (_prefix(path) + name, file) for name, file in wanted}
    with _scratch(git, work_tree, [*attributes, *those.values()]) as index:
        _write(git, index, work_tree, _listed(place for place, _ in those.values()))
        yield {
            name: work_tree / os.fsdecode(place) for name, (place, _) in those.items()
        }


def converted(
    git: Git,
    names: Iterable[bytes],
    work_tree: Path,
    *,
    attributes: Iterable[tuple[bytes, File]],
    path: str = ".",
) -> set[bytes]:
    """Return which files git may write otherwise than their blobs are.

    As `conversions`, which also says by what.
    """
    return {*conversions(git, names, work_tree, attributes=attributes, path=path)}


def conversions(
    git: Git,
    names: Iterable[bytes],
    work_tree: Path,
    *,
    attributes: Iterable[tuple[bytes, File]],
    path: str = ".",
) -> dict[bytes, dict[str, str]]:
    """Return the files that git may write otherwise than their blobs are, and by what.

    The arguments are those of `written`, but for the files: only their paths count.

    Source:
        gitattributes(5); no other attribute changes what is checked out here.
    """
    prefix = _prefix(path)
    with _scratch(git, work_tree, attributes) as index:
        ask = ("check-attr", "--cached", "-z", "--stdin", *_CONVERTING)
        stdin = _listed(prefix + name for name in names)
        answers = _git(git, index, work_tree, *ask, stdin=stdin).split(b"\0")
    triples = zip(answers[::3], answers[1::3], answers[2::3], strict=False)
    found: dict[bytes, dict[str, str]] = {}
    for name, attribute, value in triples:
        if value not in _CONVERTING[attribute.decode()]:
            by = found.setdefault(name.removeprefix(prefix), {})
            by[attribute.decode()] = value.decode("utf-8", "backslashreplace")
    return found


@contextmanager
def _scratch(
    git: Git, work_tree: Path, listed: Iterable[tuple[bytes, File]]
) -> Iterator[Path]:
    """Give an index of some files, and make the directory they can be written to."""
    lines = (b"%o %b\t%b\0" % (f.mode, f.id.hex().encode(), name) for name, f in listed)
    files.remove_tree(work_tree)  # of one that was killed
    files.make_directory(work_tree, files.FOR_ALL_TO_VISIT)
    try:
        with _index(work_tree.with_name(f"{work_tree.name}.index")) as index:
            info = ("update-index", "-z", "--index-info")
            _git(git, index, work_tree, *info, stdin=b"".join(lines))
            yield index
    finally:
        files.remove_tree(work_tree)


def _prefix(path: str) -> bytes:
    return b"" if path == "." else os.fsencode(path) + b"/"


def _listed(names: Iterable[bytes]) -> bytes:
    return b"".join(b"%b\0" % name for name in names)


@contextmanager
def _index(index: Path) -> Iterator[Path]:
    """Give the place of an index that is gone afterwards."""
    _remove(index)  # of one that was killed
    try:
        yield index
    finally:
        _remove(index)


def _remove(index: Path) -> None:
    files.remove_file(index)
    files.remove_file(index.with_name(f"{index.name}.lock"))


def _write(git: Git, index: Path, work_tree: Path, names: bytes) -> None:
    _git(git, index, work_tree, "checkout-index", "-z", "--stdin", stdin=names)


def _git(
    git: Git, index: Path, work_tree: Path, *arguments: str, stdin: bytes = b""
) -> bytes:
    try:
        return git(
            *arguments,
            stdin=stdin,
            config=_SETTINGS,
            environment={
                "GIT_INDEX_FILE": str(index),
                "GIT_WORK_TREE": str(work_tree),
                "GIT_LITERAL_PATHSPECS": "1",
            },
        )
    except CommandFailed as error:
        said = error.stderr.splitlines() or ["git said nothing"]
        raise ReleaseFailed(f"checkout: {said[0].removeprefix('error: ')}") from error
