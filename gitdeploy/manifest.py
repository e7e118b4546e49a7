"""The record of a release's files: what its commit has, and how it lies on the disk.

Whoever makes the next release reads from it what did not change; pure.
"""

import os
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

__all__ = [
    "Below",
    "File",
    "Folder",
    "Manifest",
    "Module",
    "Stamp",
    "decode",
    "encode",
    "joined",
    "stamp_of",
]

_VERSION: Final = 1
"""Counts up when an older record would be misread."""

Stamp: TypeAlias = tuple[int, int, int, int]
"""Inode, size in bytes, time of change in ns, mode: as lstat(2) has them."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells that a file was not touched, as far as its looks tell."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode


class File(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A file or link of the commit."""

    name: bytes
    """In its folder."""
    mode: int
    """git's: 0o100644, 0o100755 or 0o120000, or an odd old one."""
    id: bytes
    """The blob's, 20 bytes."""
    stamp: Stamp | None = None
    """How it lay on the disk when it held just what the commit has; None: not yet,
    or not any more when its release was sealed."""


class Module(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A submodule."""

    name: bytes
    """In its folder."""
    commit: str
    """Full commit id."""


class Below(msgspec.Struct, array_like=True):
    """What a folder and all below it add up to."""

    entries: int = 0
    """Files, links, folders and submodules."""
    files: int = 0
    """Files and links."""
    size_bytes: int = 0
    """Of the blobs."""
    links: int = 0
    depth: int = 0
    """Folders within each other; 0 for a file."""
    longest_path: int = 0
    """Bytes."""


class Folder(msgspec.Struct, array_like=True, frozen=True):
    """A folder of the commit."""

    tree: bytes
    """The tree's id, 20 bytes: two folders with the same one hold the same."""
    below: Below
    files: list[File]
    folders: list[bytes]
    """Names."""
    modules: list[Module]


class Manifest(msgspec.Struct, array_like=True, frozen=True):
    """All that one commit brought into a release."""

    version: int
    path: str
    """The folder of the commit that was deployed; `.` for all of it."""
    rules: str
    """Stands for all that decided whether the commit may be deployed."""
    attributes: str
    """Stands for all that decides how a blob becomes a file, besides its path."""
    folders: dict[bytes, Folder]
    """By path; the release itself is the empty path."""
    has_commands: bool = True
    """Whether deploy.toml declares any, which could write into the release; a record
    of another time, which does not say so, counts as if."""
    made_ns: int = 0
    """When the last of the files was complete, by the clock that stamps files; no
    command had begun yet."""

    @classmethod
    def of(
        cls, folders: dict[bytes, Folder], *, path: str, rules: str, attributes: str
    ) -> "Manifest":
        """Return a record in the present form, which trusts nobody."""
        return cls(_VERSION, path, rules, attributes, folders)

    @property
    def vouched_until_ns(self) -> int | None:
        """Until when a file may have changed, status and all, that is to be trusted.

        Whoever may write can set back a file's time, and not that of its last change
        of status (utimensat(2)). None: nobody may, its stamp is enough.
        """
        return self.made_ns if self.has_commands else None

    def knows(self, path: bytes, tree: bytes) -> bool:
        """Return whether the folder at a path is that tree."""
        folder = self.folders.get(path)
        return folder is not None and folder.tree == tree

    def file(self, path: bytes) -> File | None:
        """Return the file or link at a path."""
        above, _, name = path.rpartition(b"/")
        folder = self.folders.get(above)
        found = (file for file in folder.files if file.name == name) if folder else ()
        return next(iter(found), None)

    def branch(self, top: bytes) -> Iterator[tuple[bytes, Folder]]:
        """Yield a folder and all below it, with their paths."""
        pending = [top]
        while pending:
            path = pending.pop()
            folder = self.folders[path]
            yield path, folder
            pending += (joined(path, name) for name in folder.folders)


def joined(folder: bytes, name: bytes) -> bytes:
    """Return the path of what lies in a folder."""
    return b"%b/%b" % (folder, name) if folder else name


def encode(manifest: Manifest) -> bytes:
    """Return a record as bytes, MessagePack."""
    return msgspec.msgpack.encode(manifest)


def decode(data: bytes) -> Manifest | None:
    """Return what `encode` made bytes of; None for anything else.

    A record is of second rank: without it the next release is written whole.
    """
    try:
        manifest = msgspec.msgpack.decode(data, type=Manifest)
    except (msgspec.DecodeError, RecursionError):
        return None
    return (
        manifest if manifest.version == _VERSION and _hangs_together(manifest) else None
    )


def _hangs_together(manifest: Manifest) -> bool:
    paths: Iterable[bytes] = (
        joined(path, name)
        for path, folder in manifest.folders.items()
        for name in folder.folders
    )
    return {b"", *paths} == manifest.folders.keys()
