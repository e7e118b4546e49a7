"""Random histories of trees, looked through by difference and as a whole.

make tree-histories ARGS='--count 10000 --first 0'
"""

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Final

import pygit2

from gitdeploy.config import Limits
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import Manifest
from gitdeploy.system.git import Git
from gitdeploy.system.surroundings import Surroundings
from gitdeploy.tree import Inspection, inspect

Tree = dict[str, "Tree | tuple[int, bytes]"]
"""Names, and what they are: a folder, or the mode and content of a file or link."""

COMMITS: Final = 6
MOST: Final = 8
"""Edits that the first tree is made of."""
NAMES: Final = "abcx"
DEEPEST: Final = 4
FILE, RUN, LINK = 0o100644, 0o100755, 0o120000
FILES: Final = ((FILE, b"1"), (FILE, b"2"), (RUN, b"1"), (LINK, b"a"))
RISKS: Final = (
    *((LINK, b"../a"), (LINK, b"../../b"), (LINK, b"/a")),
    (FILE, b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64),
)
"""A link may lead out where it is, or where it is copied to; a pointer is refused."""
_RISKED: Final = 0.04


def play(repository: pygit2.Repository, seed: int) -> int:
    """Look through one history; return how many of its trees are right.

    Raises:
        AssertionError: The two ways do not agree.
    """
    random_ = random.Random(seed)
    git = _git(Path(repository.path))
    tree: Tree = {}
    before, right = None, 0
    for number in range(COMMITS):
        for _ in range(random_.randint(1, 3) if tree else MOST):
            tree = _edited(tree, random_)
        id_ = str(_written(repository, tree))
        whole, found = _look(git, id_, None), _look(git, id_, before)
        where = f"seed {seed}, tree {number} {id_}"
        assert _told(found) == _told(whole), where
        if isinstance(whole, Inspection) and isinstance(found, Inspection):
            assert found.folders == whole.folders, where
            before = Manifest.of(found.folders, path=".", rules="", attributes="")
            right += 1
    return right


def _look(git: Git, tree: str, before: Manifest | None) -> Inspection | ReleaseFailed:
    try:
        return inspect(git, tree, Limits(depth=6), before=before)
    except ReleaseFailed as error:
        return error


def _told(found: Inspection | ReleaseFailed) -> Inspection | type[ReleaseFailed]:
    """Return what both ways have to agree on: of many faults each may find another."""
    return found if isinstance(found, Inspection) else type(found)


def _edited(tree: Tree, random_: random.Random) -> Tree:
    """Return a tree after an edit: something is written, copied, moved, taken away."""
    paths = list(_paths(tree, ()))
    source = random_.choice(paths) if paths else ()
    taken = _at(tree, source)
    match random_.choice(["write", "write", "copy", "copy", "move", "remove"]):
        case "write":
            contents = RISKS if random_.random() < _RISKED else FILES
            return _with(tree, _somewhere(random_), random_.choice(contents))
        case "copy":
            return _with(tree, _somewhere(random_), taken)
        case "move":
            return _with(_with(tree, source, None), _somewhere(random_), taken)
    return _with(tree, source, None)


def _somewhere(random_: random.Random) -> tuple[str, ...]:
    return tuple(random_.choices(NAMES, k=random_.randint(1, DEEPEST)))


def _paths(tree: Tree, above: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = []
    for name, what in tree.items():
        found.append((*above, name))
        if isinstance(what, dict):
            found += _paths(what, (*above, name))
    return found


def _at(tree: Tree, path: tuple[str, ...]) -> "Tree | tuple[int, bytes] | None":
    what: Tree | tuple[int, bytes] | None = tree
    for name in path:
        what = what.get(name) if isinstance(what, dict) else None
    return what


def _with(
    tree: Tree, path: tuple[str, ...], what: "Tree | tuple[int, bytes] | None"
) -> Tree:
    """Return a tree with something at a path, or nothing; empty folders go."""
    if not path:
        return tree
    name, *rest = path
    if rest:
        there = tree.get(name)
        what = _with(there if isinstance(there, dict) else {}, tuple(rest), what)
    others = {known: one for known, one in tree.items() if known != name}
    return {**others, name: what} if what else others


def _written(repository: pygit2.Repository, tree: Tree) -> pygit2.Oid:
    builder = repository.TreeBuilder()
    for name, what in tree.items():
        if isinstance(what, dict):
            builder.insert(name, _written(repository, what), pygit2.GIT_FILEMODE_TREE)
        else:
            mode, content = what
            builder.insert(name, repository.create_blob(content), mode)
    return builder.write()


def _git(path: Path) -> Git:
    home = str(path.parent)
    found = Surroundings(os.environ["PATH"], home, "C", "ada", "/bin/sh", home)
    return Git(path, found)


def main() -> int:
    """Play histories; the first that breaks ends it."""
    reader = argparse.ArgumentParser(prog="make tree-histories", description=__doc__)
    reader.add_argument("--count", type=int, default=10_000)
    reader.add_argument("--first", type=int, default=0)
    asked = reader.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        repository = pygit2.init_repository(f"{scratch}/of.git", bare=True)
        right = sum(
            play(repository, seed)
            for seed in range(asked.first, asked.first + asked.count)
        )
    print(f"{asked.count} histories of {COMMITS} trees, {right} of them right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
