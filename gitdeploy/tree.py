"""A commit's tree looked through before one byte of it is written.

Counting remembers each distinct subtree, so a tree that names the same huge subtree
ten thousand times is refused as quickly as a small one.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pygit2

from gitdeploy.config import Limits
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system.terminal import human_bytes

__all__ = ["Inspection", "Submodule", "inspect"]

_TREE: Final = 0o040000
_LINK: Final = 0o120000
_SUBMODULE: Final = 0o160000

_LFS_FIRST_LINE: Final = b"version https://git-lfs.github.com/spec/"
# A pointer has a version, an oid and a size line, and fewer bytes than the limit:
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_LFS_BYTES: Final = range(100, 1024)


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


@dataclass(slots=True)
class _Count:
    """What one distinct subtree adds up to."""

    entries: int = 0
    """Files, links, directories and submodules."""
    files: int = 0
    size_bytes: int = 0
    links: int = 0
    depth: int = 0
    """Directories within each other; 0 for a file."""
    longest_path: int = 0


def inspect(
    repository: Path,
    tree: str,
    limits: Limits,
    *,
    shared: Collection[str] = (),
    besides: "Inspection | None" = None,
) -> Inspection:
    """Return what a tree will be on disk, having found nothing wrong with it.

    Args:
        repository: The bare repository that has the tree.
        tree: A tree id.
        limits: What a tree may be at most.
        shared: The shared paths, relative to the tree; links may lie on them.
        besides: What the same release holds already, which counts for its limits.

    Raises:
        ReleaseFailed: The tree is empty, exceeds a limit, has a name that cannot be
            written, a link that leads out of the release, a link above a shared
            path, or Git LFS pointers instead of files.
    """
    try:
        return _Inspector(repository, limits, shared, besides).inspect(tree)
    except (KeyError, pygit2.GitError) as error:
        raise ReleaseFailed(
            f"an object of this commit is missing or damaged on the server: {error}",
            hint=f"git -C {repository} fsck --full  says more",
        ) from error


class _Inspector:
    def __init__(
        self,
        repository: Path,
        limits: Limits,
        shared: Collection[str],
        besides: Inspection | None,
    ) -> None:
        self._repository = pygit2.Repository(str(repository))
        self._limits = limits
        self._shared = shared
        self._besides = besides
        self._counts: dict[pygit2.Oid, _Count] = {}

    def inspect(self, tree: str) -> Inspection:
        top = pygit2.Oid(hex=tree)
        total = self._count(top)
        if not total.files:
            raise ReleaseFailed("the commit has no files; there is nothing to deploy")
        if self._besides:
            total.entries += self._besides.files
            total.size_bytes += self._besides.size_bytes
        self._check_totals(total)
        self._refuse_bare_repository(top)
        submodules = tuple(self._look_through(top))
        return Inspection(total.files, total.size_bytes, submodules)

    def _count(self, top: pygit2.Oid) -> _Count:
        """Add up each distinct subtree once, children first, without recursion."""
        pending = [(top, 1)]
        while pending:
            id_, depth = pending[-1]
            if id_ in self._counts:
                pending.pop()
                continue
            if depth > self._limits.depth:
                raise ReleaseFailed(
                    f"the tree is more than {self._limits.depth} directories deep"
                )
            tree = self._tree(id_)
            missing = [
                entry.id
                for entry in tree
                if entry.filemode == _TREE and entry.id not in self._counts
            ]
            if missing:
                pending += [(child, depth + 1) for child in missing]
            else:
                self._counts[id_] = self._add_up(tree)
                pending.pop()
        return self._counts[top]

    def _add_up(self, tree: pygit2.Tree) -> _Count:
        total = _Count()
        for entry in tree:
            name_bytes = len(_name(entry))
            _check_name(_name(entry), self._limits.name_bytes)
            below = self._below(entry)
            slash = below.longest_path > 0
            total.entries += below.entries + 1
            total.files += below.files
            total.size_bytes += below.size_bytes
            total.links += below.links
            total.depth = max(total.depth, below.depth)
            total.longest_path = max(
                total.longest_path, name_bytes + slash + below.longest_path
            )
        total.depth += 1
        return total

    def _below(self, entry: pygit2.Object) -> _Count:
        if entry.filemode == _TREE:
            return self._counts[entry.id]
        if entry.filemode == _SUBMODULE:
            return _Count()
        size = self._size(entry)
        if size > self._limits.file_bytes:
            raise ReleaseFailed(
                f"{_shown(_name(entry))} has {human_bytes(size)}; the limit for one"
                f" file is {human_bytes(self._limits.file_bytes)}"
            )
        return _Count(files=1, size_bytes=size, links=entry.filemode == _LINK)

    def _check_totals(self, total: _Count) -> None:
        limits = self._limits
        for what, have, limit in (
            ("entries", total.entries, limits.entries),
            ("links", total.links, limits.links),
            ("bytes in its longest path", total.longest_path, limits.path_bytes),
            ("directories within each other", total.depth, limits.depth),
        ):
            if have > limit:
                raise ReleaseFailed(
                    f"the tree has {have:,} {what}; the limit is {limit:,}",
                    hint="[limits] in the server's server.toml",
                )
        if total.size_bytes > limits.total_bytes:
            raise ReleaseFailed(
                f"the files have {human_bytes(total.size_bytes)}; the limit is"
                f" {human_bytes(limits.total_bytes)}"
            )

    def _refuse_bare_repository(self, top: pygit2.Oid) -> None:
        """Refuse a tree that git would take for a repository.

        Its `config` could run commands when somebody types `git status` there.
        """
        names = {_name(entry) for entry in self._tree(top)}
        if {b"HEAD", b"objects", b"refs"} <= names:
            raise ReleaseFailed(
                "the commit looks like a bare git repository (HEAD, objects, refs)"
            )

    def _look_through(self, top: pygit2.Oid) -> Iterator[Submodule]:
        """Look at what a whole path is needed for; the tree is small enough by now."""
        pending = [("", top)]
        while pending:
            prefix, id_ = pending.pop()
            for entry in self._tree(id_):
                path = prefix + _decoded(_name(entry))
                if entry.filemode == _TREE:
                    pending.append((f"{path}/", entry.id))
                elif entry.filemode == _SUBMODULE:
                    yield Submodule(path, str(entry.id))
                elif entry.filemode == _LINK:
                    self._check_link(path, entry)
                elif self._size(entry) in _LFS_BYTES:
                    self._check_pointer(path, entry)

    def _check_link(self, path: str, entry: pygit2.Object) -> None:
        if path in self._shared:
            return
        for shared in self._shared:
            if shared.startswith(f"{path}/"):
                raise ReleaseFailed(
                    f"shared path {shared}: {_quoted(path)} is a link in this commit",
                    hint="make it a directory, or share what the link points to",
                )
        target = _decoded(self._read(entry))
        if _leads_out(path, target):
            raise ReleaseFailed(
                f"the link {_quoted(path)} leads out of the release: {_quoted(target)}",
                hint="point it inside, or list it under  [shared]",
            )

    def _check_pointer(self, path: str, entry: pygit2.Object) -> None:
        if self._read(entry).startswith(_LFS_FIRST_LINE):
            raise ReleaseFailed(
                f"{_quoted(path)} is a Git LFS pointer, not the file itself;"
                " Git LFS is not supported",
                hint="commit the file: git lfs migrate export --include='*'",
            )

    def _tree(self, id_: pygit2.Oid) -> pygit2.Tree:
        tree = self._repository[id_]
        if not isinstance(tree, pygit2.Tree):
            raise ReleaseFailed(f"object {id_} should be a tree and is something else")
        return tree

    def _size(self, entry: pygit2.Object) -> int:
        size: int = self._repository.odb.read_header(entry.id)[1]
        return size

    def _read(self, entry: pygit2.Object) -> bytes:
        data: bytes = self._repository.odb.read(entry.id)[1]
        return data


def _leads_out(path: str, target: str) -> bool:
    """Return whether a link may lead out of the tree, also by way of other links.

    A `..` that follows a name counts as leading out: the name may be a link itself,
    and where its parent is cannot be told from the words alone.
    """
    if target.startswith("/"):
        return True
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    return ups > path.count("/") or ".." in parts[ups:]


def _name(entry: pygit2.Object) -> bytes:
    assert entry.raw_name is not None  # it comes from a tree
    return entry.raw_name


def _check_name(name: bytes, limit_bytes: int) -> None:
    if name.lower() == b".git" or name in (b"", b".", b"..") or b"/" in name:
        raise ReleaseFailed(f"{_shown(name)} cannot be the name of a file")
    if len(name) > limit_bytes:
        raise ReleaseFailed(
            f"the name {_shown(name[:40])}… has {len(name)} bytes; the limit is"
            f" {limit_bytes}"
        )


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _shown(name: bytes) -> str:
    return ascii(name)[1:]


def _quoted(path: str) -> str:
    return repr(path)
