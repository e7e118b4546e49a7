"""What a tree will be on disk, and whether it may be there.

Each distinct subtree is read and counted once, so a tree that names the same huge
subtree ten thousand times is refused as quickly as a small one. What the release
before has as well was looked through when that was made, and is not read again.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gitdeploy.config import Limits
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import Below, File, Folder, Manifest, Module, joined
from gitdeploy.system.git import Git
from gitdeploy.system.terminal import human_bytes
from gitdeploy.tree.content import (
    LFS_BYTES,
    check_links,
    check_pointers,
    decoded,
    shown,
)
from gitdeploy.tree.objects import LINK, Entry, Objects
from gitdeploy.tree.refusals import (
    check_name,
    check_names,
    check_totals,
    refuse_bare_repository,
    too_much,
)

__all__ = ["Inspection", "Submodule", "inspect"]

_NOTHING: Final = Below()
_COUNTED_ABOVE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Submodule:
    """A repository mounted in the tree."""

    path: str
    commit: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a tree will be on disk."""

    files: int
    """Files and links, all levels."""
    size_bytes: int
    submodules: tuple[Submodule, ...] = ()
    folders: dict[bytes, Folder] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Every folder by its path; those the release before has too are its own."""


def inspect(
    git: Git,
    tree: str,
    limits: Limits,
    *,
    shared: Collection[str] = (),
    besides: "Inspection | None" = None,
    before: Manifest | None = None,
) -> Inspection:
    """Return what a tree will be on disk, having found nothing wrong with it.

    Args:
        git: Runs git in the repository that has the tree.
        tree: A tree id.
        limits: What a tree may be at most.
        shared: The shared paths, relative to the tree; links may lie on them.
        besides: What the same release holds already, which counts for its limits.
        before: The record of a release that was inspected with the same limits and
            shared paths; what it has at the same path is not looked through again.

    Raises:
        ReleaseFailed: The tree is empty, exceeds a limit, has a name that cannot be
            written, a link that leads out of the release, a link above a shared
            path, or Git LFS pointers instead of files.
    """
    with Objects(git) as objects:
        inspector = _Inspector(objects, limits, before)
        top = bytes.fromhex(tree)
        total = inspector.count(top)
        if not total.files:
            raise ReleaseFailed("the commit has no files; there is nothing to deploy")
        check_totals(_sum(total, besides), limits)
        folders = dict(inspector.folders(top))
        refuse_bare_repository(folders[b""])
        check_links(objects, inspector.links, shared)
        check_pointers(objects, inspector.small)
    submodules = tuple(
        Submodule(decoded(joined(path, module.name)), module.commit)
        for path, folder in folders.items()
        for module in folder.modules
    )
    return Inspection(total.files, total.size_bytes, submodules, folders)


class _Inspector:
    """What is known of the trees so far.

    Attributes:
        links: Links that have to be looked at: paths and blob ids.
        small: Files that may be pointers of Git LFS: paths and blob ids.
    """

    def __init__(
        self, objects: Objects, limits: Limits, before: Manifest | None
    ) -> None:
        self._objects = objects
        self._limits = limits
        self._before = before
        self._trees: dict[bytes, list[Entry]] = {}
        self._sizes: dict[bytes, int] = {}
        self._below: dict[bytes, Below] = {}
        self._known: dict[bytes, bytes] = {}
        self.links: list[tuple[bytes, bytes]] = []
        self.small: list[tuple[bytes, bytes]] = []

    # --- counting -----------------------------------------------------------------

    def count(self, top: bytes) -> Below:
        """Return what a tree adds up to, having read what is new of it."""
        self._read(b"", top)
        self._add_up(top)
        return self._below[top]

    def _read(self, path: bytes, id_: bytes) -> None:
        """Read every distinct tree that is not known, one level after the other."""
        level = self._unknown([(path, id_)])
        for depth in itertools.count(1):
            if not level:
                break
            if depth > self._limits.depth:
                raise ReleaseFailed(
                    f"the tree is more than {self._limits.depth} directories deep"
                )
            trees = list(self._objects.trees(level))
            self._trees.update(zip(level, trees, strict=True))
            self._refuse_far_too_many()
            level = self._unknown(
                (joined(above, entry.name), entry.id)
                for above, tree in zip(level.values(), trees, strict=True)
                for entry in tree
                if entry.is_folder
            )
        self._measure()

    def _unknown(self, trees: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Return which trees have to be read, each with a path it has."""
        unknown: dict[bytes, bytes] = {}
        for path, id_ in trees:
            if self._before and self._before.knows(path, id_):
                self._below[id_] = self._before.folders[path].below
                self._known[id_] = path
            elif id_ not in self._trees:
                unknown[id_] = path
        return {id_: path for id_, path in unknown.items() if id_ not in self._below}

    def _refuse_far_too_many(self) -> None:
        """Refuse what could fill the memory; what is a little too much is counted."""
        have, limit = sum(map(len, self._trees.values())), self._limits.entries
        if have > limit + _COUNTED_ABOVE:
            raise too_much(f"at least {have:,} entries", limit)

    def _measure(self) -> None:
        """Learn the size of every blob that was found."""
        ids = {
            entry.id
            for tree in self._trees.values()
            for entry in tree
            if not entry.is_folder and not entry.is_module
        }
        wanted = sorted(ids - self._sizes.keys())
        self._sizes.update(zip(wanted, self._objects.sizes(wanted), strict=True))

    def _add_up(self, top: bytes) -> None:
        """Add up each distinct subtree once, children first, without recursion."""
        pending = [top]
        while pending:
            id_ = pending[-1]
            if id_ in self._below:
                pending.pop()
                continue
            tree = self._trees[id_]
            missing = [e.id for e in tree if e.is_folder and e.id not in self._below]
            if missing:
                pending += missing
            else:
                self._below[id_] = self._sum_of(tree)
                pending.pop()

    def _sum_of(self, tree: list[Entry]) -> Below:
        total = Below()
        check_names([entry.name for entry in tree])
        for entry in tree:
            check_name(entry.name, self._limits.name_bytes, is_link=entry.is_link)
            below = self._below_entry(entry)
            slash = below.longest_path > 0
            total.entries += below.entries + 1
            total.files += below.files
            total.size_bytes += below.size_bytes
            total.links += below.links
            total.depth = max(total.depth, below.depth)
            total.longest_path = max(
                total.longest_path, len(entry.name) + slash + below.longest_path
            )
        total.depth += 1
        return total

    def _below_entry(self, entry: Entry) -> Below:
        if entry.is_folder:
            return self._below[entry.id]
        if entry.is_module:
            return _NOTHING
        size = self._sizes[entry.id]
        if size > self._limits.file_bytes:
            raise ReleaseFailed(
                f"{shown(entry.name)} has {human_bytes(size)}; the limit for one"
                f" file is {human_bytes(self._limits.file_bytes)}"
            )
        return Below(files=1, size_bytes=size, links=entry.is_link)

    # --- listing ------------------------------------------------------------------

    def folders(self, top: bytes) -> Iterator[tuple[bytes, Folder]]:
        """Yield every folder with its path; there are few enough by now."""
        pending = [(b"", top)]
        while pending:
            path, id_ = pending.pop()
            if self._before and self._before.knows(path, id_):
                yield from self._before.branch(path)
                continue
            if id_ in self._known:  # whether or not it was read before that was found
                yield from self._copied(path, self._known[id_])
                continue
            tree = self._trees[id_]
            yield path, self._folder(path, id_, tree)
            pending += ((joined(path, e.name), e.id) for e in tree if e.is_folder)

    def _copied(self, path: bytes, known: bytes) -> Iterator[tuple[bytes, Folder]]:
        """Yield what the release before has at another path; links may lead out now."""
        assert self._before
        for there, folder in self._before.branch(known):
            here = path + there[len(known) :]
            yield here, folder
            self.links += (
                (joined(here, file.name), file.id)
                for file in folder.files
                if file.mode == LINK
            )

    def _folder(self, path: bytes, id_: bytes, tree: list[Entry]) -> Folder:
        files = [e for e in tree if not e.is_folder and not e.is_module]
        for entry in files:
            if entry.is_link:
                self.links.append((joined(path, entry.name), entry.id))
            elif self._sizes[entry.id] in LFS_BYTES:
                self.small.append((joined(path, entry.name), entry.id))
        return Folder(
            id_,
            self._below[id_],
            [File(entry.name, entry.mode, entry.id) for entry in files],
            [entry.name for entry in tree if entry.is_folder],
            [Module(e.name, e.id.hex()) for e in tree if e.is_module],
        )


def _sum(one: Below, besides: Inspection | None) -> Below:
    if besides is None:
        return one
    return msgspec.structs.replace(
        one,
        entries=one.entries + besides.files,
        size_bytes=one.size_bytes + besides.size_bytes,
    )
