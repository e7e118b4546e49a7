"""A tree's files written into a directory, by git itself.

git applies .gitattributes (eol, ident, working-tree-encoding), modes and links, in
parallel, and refuses names that mean harm.
"""

from pathlib import Path
from typing import Final

from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import files
from gitdeploy.system.git import Git
from gitdeploy.system.process import CommandFailed

__all__ = ["check_out"]

_SETTINGS: Final = (
    "checkout.workers=0",  # as many as there are processors
    "core.fsync=none",  # the release is synced as a whole when it is sealed
    "core.hooksPath=/dev/null",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.symlinks=true",
    "core.fileMode=true",
    "protocol.allow=never",
)


def check_out(git: Git, tree: str, destination: Path, *, path: str = ".") -> None:
    """Write a tree's files into `destination`, which exists and is empty.

    Args:
        git: Runs git in the repository that has the tree.
        tree: The whole tree, so that attributes above `path` hold too.
        destination: Where the files go.
        path: The folder of the tree whose files these are.

    Called with the app's lock held: the index has one name.

    Changes: only `destination`, and an index beside the repository's own files that
        is gone afterwards.

    Raises:
        ReleaseFailed: git could not write a file; its own words say which.
    """
    index = git.directory / "gitdeploy.index"
    _remove(index)  # of one that was killed
    work_tree = destination if path == "." else destination / ".gitdeploy-checkout"
    files.make_directory(work_tree)
    environment = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(work_tree)}
    try:
        if path == ".":
            _git(git, environment, "read-tree", "--reset", "-u", tree)
        else:
            _git(git, environment, "read-tree", tree)
            inside = _git(git, environment, "ls-files", "-z", "--", path)
            _git(
                git,
                environment,
                "checkout-index",
                "-z",
                "--stdin",
                stdin=inside,
            )
            files.move_up(work_tree / path, destination)
            files.remove_tree(work_tree)
    finally:
        _remove(index)


def _remove(index: Path) -> None:
    files.remove_file(index)
    files.remove_file(index.with_name(f"{index.name}.lock"))


def _git(
    git: Git,
    environment: dict[str, str],
    *arguments: str,
    stdin: bytes = b"",
) -> bytes:
    try:
        return git(
            *arguments,
            stdin=stdin,
            config=_SETTINGS,
            environment={**environment, "GIT_LITERAL_PATHSPECS": "1"},
        )
    except CommandFailed as error:
        said = error.stderr.splitlines() or ["git said nothing"]
        raise ReleaseFailed(f"checkout: {said[0].removeprefix('error: ')}") from error
