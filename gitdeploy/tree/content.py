"""What links and small files of a tree hold, where that decides about the tree."""

from collections.abc import Collection, Sequence
from typing import Final

from gitdeploy.errors import ReleaseFailed
from gitdeploy.tree.objects import Objects

__all__ = ["LFS_BYTES", "check_links", "check_pointers", "decoded", "shown"]

_LFS_FIRST_LINE: Final = b"version https://git-lfs.github.com/spec/"

LFS_BYTES: Final = range(100, 1024)
"""A pointer has a version, an oid and a size line, and fewer bytes than the limit:
https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

_MOST_LINK_BYTES: Final = 4095  # symlink(2)


def check_links(
    objects: Objects, links: Sequence[tuple[bytes, bytes]], shared: Collection[str]
) -> None:
    """Say nothing if every link stays in the release, or lies on a shared path.

    Args:
        objects: Reads them.
        links: Paths and blob ids.
        shared: The shared paths.

    Raises:
        ReleaseFailed: One leads out, lies above a shared path, or leads nowhere.
    """
    ids = [id_ for _, id_ in links]
    for (path, _), size in zip(links, objects.sizes(ids), strict=True):
        if size > _MOST_LINK_BYTES:
            raise ReleaseFailed(f"the link {decoded(path)!r} points to {size:,} bytes")
    for (path, _), target in zip(links, objects.blobs(ids), strict=True):
        _check_link(decoded(path), decoded(target), shared)


def check_pointers(objects: Objects, small: Sequence[tuple[bytes, bytes]]) -> None:
    """Say nothing if none of some small files is a pointer of Git LFS.

    Args:
        objects: Reads them.
        small: Paths and blob ids; each has some of `LFS_BYTES`.

    Raises:
        ReleaseFailed: One is: the file itself is somewhere else.
    """
    ids = [id_ for _, id_ in small]
    for (path, _), data in zip(small, objects.blobs(ids), strict=True):
        if data.startswith(_LFS_FIRST_LINE):
            raise ReleaseFailed(
                f"{decoded(path)!r} is a Git LFS pointer, not the file itself;"
                " Git LFS is not supported",
                hint="commit the file: git lfs migrate export --include='*'",
            )


def _check_link(path: str, target: str, shared: Collection[str]) -> None:
    if not target or "\0" in target:  # symlink(2) would take what is before the NUL
        raise ReleaseFailed(f"the link {path!r} points to {target!r}, which is no path")
    if path in shared:
        return
    for below in shared:
        if below.startswith(f"{path}/"):
            raise ReleaseFailed(
                f"shared path {below}: {path!r} is a link in this commit",
                hint="make it a directory, or share what the link points to",
            )
    if _leads_out(path, target):
        raise ReleaseFailed(
            f"the link {path!r} leads out of the release: {target!r}",
            hint="point it inside, or list it under  [shared]",
        )


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


def decoded(name: bytes) -> str:
    """Return a name or path as Python's own calls take and give it."""
    return name.decode("utf-8", "surrogateescape")


def shown(name: bytes) -> str:
    """Return a name so that it cannot act on a terminal, in quotes."""
    return ascii(name)[1:]
