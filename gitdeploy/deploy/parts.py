"""Where the files of a release come from: its commit, and each of its submodules."""

import os
import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.deploy.gitattributes import attribute_files
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import File, Module, joined
from gitdeploy.model import Release
from gitdeploy.system.git import Git
from gitdeploy.tree import listed
from gitdeploy.unchanged import Folders

__all__ = ["Part", "deployed_tree", "part_of", "parts_of", "submodule_path"]


class Part(NamedTuple):
    """What one tree brought into a release."""

    git: Git
    """Runs in the repository that has it."""
    at: bytes
    """Where in the release it lies; empty for the release itself."""
    path: str
    """The folder of the tree that lies there; `.` for all of it."""
    folders: Folders
    attributes: tuple[tuple[bytes, File], ...]
    """Every .gitattributes that holds for it, by its path in the tree."""

    @property
    def has_attributes(self) -> bool:
        """Whether any attribute may hold for it."""
        own = self.git.directory / "info/attributes"
        return bool(self.attributes) or own.exists()

    def place(self, path: bytes) -> bytes:
        """Return where in the release a path of it lies."""
        return joined(self.at, path) if self.at and path else self.at or path

    def files(self) -> Iterator[tuple[bytes, File]]:
        """Yield all its files by their paths in it."""
        for path, folder in self.folders.items():
            for file in folder.files:
                yield joined(path, file.name), file


def deployed_tree(app: App, tree: str, config: Config) -> str:
    """Return the tree that becomes a release, which may be a folder of a tree.

    Raises:
        ReleaseFailed: There is no such folder.
    """
    path = config.checkout.path
    if path == ".":
        return tree
    if app.repository.type_at(tree, path) != "tree":
        raise ReleaseFailed(
            f"checkout.path: {path!r} is not a directory in this commit",
            hint="[checkout] path  in deploy.toml names the folder to deploy",
        )
    return app.repository.id_at(tree, path) or tree


def submodule_path(config: Config, path: str) -> str:
    """Return the path in the commit of what lies at `path` in a release."""
    return posixpath.normpath(f"{config.checkout.path}/{path}")


def part_of(app: App, tree: str, path: str, folders: Folders) -> Part:
    """Return what a commit itself brought into a release.

    Args:
        app: The app.
        tree: The commit's.
        path: The folder of it that was deployed.
        folders: What is in that folder.
    """
    attributes = tuple(attribute_files(app, tree, path, folders))
    return Part(app.repository.git, b"", path, folders, attributes)


def parts_of(
    app: App, release: Release, config: Config
) -> tuple[list[Part], list[bytes]]:
    """Return where a release's files come from, the commit itself first.

    And where submodules lie of which nobody knows what they brought: their mirrors
    were lost.

    Args:
        app: The app.
        release: One that came from git.
        config: Its deploy.toml.

    Raises:
        ReleaseFailed: An object is missing or damaged.
    """
    assert release.tree is not None
    folders = listed(app.repository.git, deployed_tree(app, release.tree, config))
    parts = [part_of(app, release.tree, str(config.checkout.path), folders)]
    unknown: list[bytes] = []
    modules = [
        (joined(path, module.name), module)
        for path, folder in folders.items()
        for module in folder.modules
    ]
    known = _urls(app, release.tree) if modules else {}
    for at, module in modules:
        url = known.get(submodule_path(config, os.fsdecode(at)))
        if part := _submodule(app, at, url, module):
            parts.append(part)
        else:
            unknown.append(at)
    return parts, unknown


def _urls(app: App, tree: str) -> dict[str, str]:
    from gitdeploy.submodules import urls

    return urls(app.repository.git, tree)


def _submodule(app: App, at: bytes, url: str | None, module: Module) -> Part | None:
    from gitdeploy.submodules import mirror_of

    if url is None:
        return None
    git = mirror_of(
        url, module.commit, modules=app.layout.modules, git_in=app.repository.git.at
    )
    if git is None:
        return None
    tree = git("rev-parse", f"{module.commit}^{{tree}}").decode().strip()
    folders = listed(git, tree)
    inside = tuple(
        (joined(path, file.name), file)
        for path, folder in folders.items()
        for file in folder.files
        if file.name == b".gitattributes"
    )
    return Part(git, at, ".", folders, inside)
