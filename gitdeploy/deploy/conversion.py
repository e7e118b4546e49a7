"""How large files may become that git writes otherwise than their blobs are.

The limits hold what is on the disk. What attributes do to a file is not known before it
is written, but how much at the most is: a bomb is refused while nothing is there yet.
"""

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from gitdeploy import unchanged
from gitdeploy.checkout import conversions
from gitdeploy.config import Limits
from gitdeploy.deploy.app import App
from gitdeploy.deploy.donor import Donor
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import File, joined
from gitdeploy.system import files
from gitdeploy.system.git import Git
from gitdeploy.system.scratch import held_scratch
from gitdeploy.system.terminal import human_bytes
from gitdeploy.tree import Inspection
from gitdeploy.tree.content import shown
from gitdeploy.tree.objects import Objects

__all__ = ["Attributes", "growth"]

Attributes: TypeAlias = Sequence[tuple[bytes, File]]
"""Every .gitattributes that holds, by its path in the tree."""

_TIMES: Final = {"ident": 18, "eol": 2, "working-tree-encoding": 8}
"""How many bytes one byte becomes at the most: `$Id$` gets an object's id, 64 digits of
SHA-256; a line end gets a second byte; four bytes of UTF-32 stand for one of UTF-8, and
what an encoding lacks may be written by several characters (iconv(1), //TRANSLIT)."""
_MARK_BYTES: Final = 16  # that an encoding begins with, converted like the rest
_WORDS: Final = re.compile(rb"ident|eol\s*=\s*crlf|working-tree-encoding")
_READ_BYTES: Final = 2**20
_OWN: Final = 0o700


class _Grown(Struct, frozen=True):
    """A file that git converts, and what it may become."""

    name: bytes
    by: str
    was_bytes: int
    most_bytes: int


def growth(
    app: App,
    git: Git,
    inspection: Inspection,
    attributes: Attributes,
    *,
    path: str = ".",
    donor: Donor | None = None,
) -> int:
    """Return how many bytes more than its blobs a release may take, at the most.

    Args:
        app: The app.
        git: Runs git in the repository that has the files.
        inspection: What they are.
        attributes: What holds for them.
        path: The folder of the tree that they are in.
        donor: Whose files count no more: they are on the disk.

    Raises:
        ReleaseFailed: A file, or all of them, may become larger than the limits allow.
    """
    if not _may_convert(git, attributes):
        return 0
    grown = list(_grown(app, git, inspection, attributes, path))
    _check(grown, inspection.size_bytes, app.server.limits)
    had = donor.manifest.folders if donor else {}
    there = {name for name, _ in unchanged.same(had, inspection.folders)}
    return sum(one.most_bytes - one.was_bytes for one in grown if one.name not in there)


def _check(grown: Sequence[_Grown], size_bytes: int, limits: Limits) -> None:
    for one in grown:
        if one.most_bytes > limits.file_bytes:
            raise ReleaseFailed(
                f"{shown(one.name)} may have {human_bytes(one.most_bytes)} as git"
                f" writes it ({one.by}); the limit for one file is"
                f" {human_bytes(limits.file_bytes)}",
                hint=f"take {one.by} from it in .gitattributes, or  [limits] file_bytes"
                "  in server.toml",
            )
    most_bytes = size_bytes + sum(one.most_bytes - one.was_bytes for one in grown)
    if grown and most_bytes > limits.total_bytes:
        worst = max(grown, key=lambda one: one.most_bytes - one.was_bytes)
        raise ReleaseFailed(
            f"the files may have {human_bytes(most_bytes)} as git writes them"
            f" ({shown(worst.name)}: {worst.by}); the limit is"
            f" {human_bytes(limits.total_bytes)}",
            hint=f"take {worst.by} from them in .gitattributes, or  [limits]"
            " total_bytes  in server.toml",
        )


def _may_convert(git: Git, attributes: Attributes) -> bool:
    """Return whether a word stands in any of them that changes a file's size."""
    own = git.directory / "info/attributes"
    if own.exists() and _WORDS.search(own.read_bytes()):
        return True
    ids = list({file.id for _, file in attributes})
    with Objects(git) as objects:
        sizes = dict(zip(ids, objects.sizes(ids), strict=True))
        small = [id_ for id_ in ids if sizes[id_] <= _READ_BYTES]
        return len(small) < len(ids) or any(
            _WORDS.search(data) for data in objects.blobs(small)
        )


def _grown(
    app: App, git: Git, inspection: Inspection, attributes: Attributes, path: str
) -> Iterator[_Grown]:
    """Yield the files that git converts."""
    regular = {
        joined(folder, file.name): file
        for folder, content in inspection.folders.items()
        for file in content.files
        if stat.S_ISREG(file.mode)
    }
    files.make_directory(app.layout.tmp, _OWN)
    with held_scratch(app.layout.tmp) as scratch:
        found = conversions(
            git, regular, scratch / "files", attributes=attributes, path=path
        )
    ids = [regular[name].id for name in found]
    with Objects(git) as objects:
        for (name, by), size_bytes in zip(
            found.items(), objects.sizes(ids), strict=True
        ):
            yield _Grown(name, _words(by), size_bytes, _most(size_bytes, by))


def _most(size_bytes: int, by: Mapping[str, str]) -> int:
    times = 1
    for attribute in by:
        times *= _TIMES.get(attribute, 1)
    return size_bytes * times + (_MARK_BYTES if "working-tree-encoding" in by else 0)


def _words(by: Mapping[str, str]) -> str:
    return " ".join(
        name if value == "set" else f"{name}={value}" for name, value in by.items()
    )
