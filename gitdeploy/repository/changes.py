"""What differs between two trees, for people who look; no push waits for this.

One process that reads many objects: here libgit2 is worth its import.
"""

import os
from pathlib import Path
from typing import Final

__all__ = ["changes"]

_WORDS: Final = {"A": "added", "D": "removed"}


def changes(
    repository: Path, old: str, new: str, *, below: str = "."
) -> dict[str, int]:
    """Return how many files were added, changed and removed from one tree to another.

    Args:
        repository: The bare repository that has both.
        old: A tree id.
        new: A tree id.
        below: The folder that is looked at.
    """
    import pygit2

    opened = pygit2.Repository(str(repository))
    prefix = "" if below == "." else f"{below}/"
    found = {"added": 0, "changed": 0, "removed": 0}
    before, after = (opened[id_].peel(pygit2.Tree) for id_ in (old, new))
    for delta in before.diff_to_tree(after).deltas:
        if os.fsdecode(delta.new_file.raw_path).startswith(prefix):
            found[_WORDS.get(delta.status_char(), "changed")] += 1
    return found
