"""What no tree may have, however it is made; each raises `ReleaseFailed`."""

import re
from collections.abc import Sequence
from typing import Final

from gitdeploy.config import Limits
from gitdeploy.config.paths import OURS
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import Below, Folder
from gitdeploy.system.terminal import human_bytes
from gitdeploy.tree.content import shown

__all__ = [
    "check_name",
    "check_names",
    "check_totals",
    "refuse_bare_repository",
    "too_much",
]

_REPOSITORY: Final = {b"HEAD", b"objects", b"refs"}

# What other file systems take for the same name, as git's path.c and utf8.c have it:
# NTFS knows short names, trailing dots and blanks, and streams behind a colon; HFS+
# passes over some characters.
_NTFS_END: Final = rb"[ .]*(?:[:\\].*)?"
_DOT_GIT: Final = re.compile(rb"(?:\.git|git~1)" + _NTFS_END, re.IGNORECASE | re.DOTALL)
_DOT_GITMODULES: Final = re.compile(
    rb"(?:\.gitmodules|gitmod~[1-4]|gi7eba~[1-9])" + _NTFS_END,
    re.IGNORECASE | re.DOTALL,
)
_HFS_PASSES_OVER: Final = re.compile(
    rb"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf"
)


def check_totals(total: Below, limits: Limits) -> None:
    """Say nothing if a tree, all of it, is within the limits."""
    for what, have, limit in (
        ("entries", total.entries, limits.entries),
        ("links", total.links, limits.links),
        ("bytes in its longest path", total.longest_path, limits.path_bytes),
        ("directories within each other", total.depth, limits.depth),
    ):
        if have > limit:
            raise too_much(f"{have:,} {what}", limit)
    if total.size_bytes > limits.total_bytes:
        raise ReleaseFailed(
            f"the files have {human_bytes(total.size_bytes)}; the limit is"
            f" {human_bytes(limits.total_bytes)}"
        )


def too_much(has: str, limit: int) -> ReleaseFailed:
    """Return the refusal of a tree that has more of something than it may."""
    return ReleaseFailed(
        f"the tree has {has}; the limit is {limit:,}",
        hint="[limits] in the server's server.toml",
    )


def refuse_bare_repository(top: Folder) -> None:
    """Refuse a tree that git would take for a repository.

    Its `config` could run commands when somebody types `git status` there.
    """
    names = {*(file.name for file in top.files), *top.folders}
    if names >= _REPOSITORY:
        raise ReleaseFailed(
            "the commit looks like a bare git repository (HEAD, objects, refs)"
        )


def check_name(name: bytes, limit_bytes: int, *, is_link: bool = False) -> None:
    """Say nothing if a file or folder may have this name."""
    if name in (b"", b".", b"..") or b"/" in name or _is(_DOT_GIT, name):
        raise ReleaseFailed(f"{shown(name)} cannot be the name of a file")
    if OURS.fullmatch(name.decode("utf-8", "surrogateescape")):
        raise ReleaseFailed(
            f"{shown(name)} cannot be deployed: gitdeploy itself makes files by such"
            " names (.gitdeploy-…, ..….new)"
        )
    if is_link and _is(_DOT_GITMODULES, name):
        raise ReleaseFailed(f"{shown(name)} cannot be a link")
    if len(name) > limit_bytes:
        raise ReleaseFailed(
            f"the name {shown(name[:40])}… has {len(name)} bytes; the limit is"
            f" {limit_bytes}"
        )


def check_names(names: Sequence[bytes]) -> None:
    """Say nothing if each name of a folder is there once."""
    if len(set(names)) == len(names):
        return
    seen = set[bytes]()
    for name in names:
        if name in seen:
            raise ReleaseFailed(f"one folder has two entries called {shown(name)}")
        seen.add(name)


def _is(pattern: re.Pattern[bytes], name: bytes) -> bool:
    if not name.isascii():
        name = _HFS_PASSES_OVER.sub(b"", name)
    return pattern.fullmatch(name) is not None
