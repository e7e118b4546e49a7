"""What decides, besides its path, how a blob becomes a file (gitattributes(5))."""

import hashlib
import os
import posixpath
from collections.abc import Iterator
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.manifest import File, joined
from gitdeploy.unchanged import Folders

__all__ = ["attribute_files", "fingerprint"]

_NAME: Final = b".gitattributes"
_MODE: Final = 0o100644

_RECIPE: Final = 1
"""Counts up when git is told otherwise how to write files."""


def attribute_files(
    app: App, tree: str, path: str, folders: Folders
) -> Iterator[tuple[bytes, File]]:
    """Yield every .gitattributes that holds for a release, by its path in the tree.

    Args:
        app: The app.
        tree: The whole tree.
        path: The folder of it that is deployed.
        folders: What is in that folder.
    """
    prefix = b"" if path == "." else os.fsencode(path)
    for folder, content in folders.items():
        for file in content.files:
            if file.name == _NAME:
                yield joined(joined(prefix, folder) if folder else prefix, _NAME), file
    above = prefix
    while above:
        above = os.fsencode(posixpath.dirname(os.fsdecode(above)))
        found = joined(above, _NAME)
        if id_ := app.repository.id_at(tree, os.fsdecode(found)):
            yield found, File(_NAME, _MODE, bytes.fromhex(id_))


def fingerprint(app: App, tree: str, path: str, folders: Folders) -> str:
    """Return what stands for all attributes of a release's files.

    Two releases with the same one have the same file for the same blob at a path.
    The arguments are those of `attribute_files`.
    """
    inside = attribute_files(app, tree, path, folders)
    found = sorted((name, file.id) for name, file in inside)
    parts = (_RECIPE, path, found, _own(app))
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _own(app: App) -> bytes:
    """Return the attributes that the repository itself has."""
    try:
        return (app.layout.repository / "info/attributes").read_bytes()
    except OSError:
        return b""
