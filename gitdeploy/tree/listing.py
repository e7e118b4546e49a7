"""A tree as it is, whatever it holds: it was looked through when it was pushed."""

from gitdeploy.manifest import Below, File, Folder, Module, joined
from gitdeploy.system.git import Git
from gitdeploy.tree.objects import Entry, Objects

__all__ = ["listed"]


def listed(git: Git, tree: str) -> dict[bytes, Folder]:
    """Return every folder of a tree by its path; nothing is added up.

    Raises:
        ReleaseFailed: An object of it is missing or damaged.
    """
    folders: dict[bytes, Folder] = {}
    level = {b"": bytes.fromhex(tree)}
    with Objects(git) as objects:
        while level:
            trees = list(objects.trees(level.values()))
            below: dict[bytes, bytes] = {}
            for (path, id_), entries in zip(level.items(), trees, strict=True):
                folders[path] = _folder(id_, entries)
                below |= {joined(path, e.name): e.id for e in entries if e.is_folder}
            level = below
    return folders


def _folder(id_: bytes, entries: list[Entry]) -> Folder:
    files = [e for e in entries if not e.is_folder and not e.is_module]
    return Folder(
        id_,
        Below(),
        [File(entry.name, entry.mode, entry.id) for entry in files],
        [entry.name for entry in entries if entry.is_folder],
        [Module(e.name, e.id.hex()) for e in entries if e.is_module],
    )
