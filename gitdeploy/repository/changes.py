"""What differs between two trees, for people who look; no push waits for this.

One process that reads many objects: here libgit2 is worth its import.
"""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

__all__ = ["Changes", "changes"]

_KINDS: Final = {"A": "added", "D": "removed"}


class Changes(Struct):
    """What differs from one tree to another."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    size_bytes: int = 0
    """Of the files that were added or changed, as they are now."""
    paths: list[str] = []
    """All of them, from the folder that was looked at."""


def changes(repository: Path, old: str, new: str, *, below: str = ".") -> Changes:
    """Return which files were added, changed and removed from one tree to another.

    Args:
        repository: The bare repository that has both.
        old: A tree id.
        new: A tree id.
        below: The folder that is looked at.
    """
    import pygit2

    opened = pygit2.Repository(str(repository))
    prefix = "" if below == "." else f"{below}/"
    found = Changes()
    before, after = (opened[id_].peel(pygit2.Tree) for id_ in (old, new))
    for delta in before.diff_to_tree(after).deltas:
        path = os.fsdecode(delta.new_file.raw_path)
        if path.startswith(prefix):
            kind = _KINDS.get(delta.status_char(), "changed")
            setattr(found, kind, getattr(found, kind) + 1)
            found.paths.append(path.removeprefix(prefix))
            blob = opened.get(delta.new_file.id) if kind != "removed" else None
            if isinstance(blob, pygit2.Blob):  # a submodule's commit is not here
                found.size_bytes += blob.size
    return found
