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

__all__ = ["check_out", "check_out_some"]

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
    files.make_directory(work_tree)
    with _index(git) as index:
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
    prefix = b"" if path == "." else os.fsencode(path) + b"/"
    those = [(name, prefix + name, file) for name, file in wanted]
    listed = [*attributes, *((p, file) for _, p, file in those)]
    work_tree = destination / _BESIDE
    files.make_directory(work_tree)
    with _index(git) as index:
        lines = (b"%o %b\t%b\0" % (f.mode, f.id.hex().encode(), n) for n, f in listed)
        info = ("update-index", "-z", "--index-info")
        _git(git, index, work_tree, *info, stdin=b"".join(lines))
        _write(git, index, work_tree, b"".join(b"%b\0" % p for _, p, _ in those))
    for name, written, _ in those:
        files.rename(work_tree / os.fsdecode(written), destination / os.fsdecode(name))
    files.remove_tree(work_tree)


@contextmanager
def _index(git: Git) -> Iterator[Path]:
    """Give the place of an index that is gone afterwards."""
    index = git.directory / "gitdeploy.index"
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
