"""The public links in the target directory; only links are ever touched."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitdeploy.errors import StateError
from gitdeploy.system import disk, files

__all__ = ["check", "read", "show"]


def read(target: Path, names: Iterable[str]) -> dict[str, str | None]:
    """Return what each link holds; None where there is no such link."""
    return {name: _held(target / name) for name in names}


def show(target: Path, wanted: Mapping[str, str]) -> list[str]:
    """Make links hold what they should, in the order given; return those that changed.

    At every instant each name resolves to what it held before or to what it holds
    afterwards: a link is made beside and renamed over the name (rename(2)).

    Args:
        target: The directory of the links.
        wanted: Names and what they shall hold. The one that people look at goes
            last on the way forward and first on the way back.

    Changes: the links that differ, then syncs their directory. Safe to repeat.

    Raises:
        StateError: Something that is not a link has the name; it is left alone.
    """
    check(target, wanted)
    _sweep(target, wanted)
    changed = [name for name, held in wanted.items() if _held(target / name) != held]
    for name in changed:
        files.replace_link(target / name, wanted[name])
    if changed:
        files.sync_directory(target)
    return changed


def check(target: Path, names: Iterable[str]) -> None:
    """Say nothing if every name is free or a link's, and links can be made.

    Raises:
        StateError: Something that is not a link has a name; it is not ours.
        PermissionError: We may not write to the directory.
    """
    disk.check_writable(target)
    for path in (target / name for name in names):
        if os.path.lexists(path) and not path.is_symlink():
            raise StateError(
                f"{path} is not a link, so it is not ours to replace",
                hint=f"move it away: mv {path} {path}.old",
            )


def _sweep(target: Path, names: Iterable[str]) -> None:
    """Remove what a crash left of links that were just being made."""
    half_made = {files.beside(target / name).name for name in names}
    for name in half_made & set(os.listdir(target)):
        files.remove_file(target / name)


def _held(link: Path) -> str | None:
    try:
        return os.readlink(link)
    except OSError:  # missing, or no link
        return None
