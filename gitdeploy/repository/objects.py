"""What objects the repository has, asked of git's own plumbing; none is written."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gitdeploy.system.git import Git

__all__ = ["DEPLOY_TOML", "Commit", "Objects", "Pushed", "object_of"]

DEPLOY_TOML: Final = "deploy.toml"


class Pushed(Struct, frozen=True):
    """What a pushed object id stands for."""

    type: str
    """commit, tag, tree, blob; `missing` where the repository has no such object."""
    commit: str | None
    """What it peels to; None where that is no commit."""
    tree: str | None
    toml: str | None
    """What is deploy.toml in that commit; None where there is none."""
    toml_bytes: int = 0
    toml_type: str | None = None
    """blob, where it is a file."""


class Commit(Struct, frozen=True):
    """What people want to know about a commit."""

    id: str
    subject: str
    """First line of the message, as it stands; not fit for a terminal yet."""


class Objects:
    """The objects of a bare repository.

    Attributes:
        git: Runs git in it.
        path: Its directory.
    """

    def __init__(self, git: Git) -> None:
        self.git = git
        self.path = git.directory

    def pushed(self, ids: Sequence[str]) -> dict[str, Pushed]:
        """Return what each object id stands for; one git for all of them."""
        questions = [
            question
            for id_ in ids
            for question in (
                id_,
                f"{id_}^{{commit}}",
                f"{id_}^{{tree}}",
                f"{id_}:{DEPLOY_TOML}",
            )
        ]
        answers = [object_of(line) for line in self._batch_check(questions)]
        return {id_: _pushed(*answers[n * 4 : n * 4 + 4]) for n, id_ in enumerate(ids)}

    def blob(self, id_: str) -> bytes:
        """Return a blob's bytes; the caller looked at its size before."""
        return self.git("cat-file", "blob", id_)

    def commit(self, id_: str) -> Commit:
        """Return what people want to know about a commit."""
        subject = self.git("log", "-1", "--no-show-signature", "--format=%s", id_, "--")
        return Commit(id_, subject.decode("utf-8", "replace").strip())

    def type_at(self, tree: str, path: str) -> str | None:
        """Return what lies at `path` in a tree: tree, blob, commit; None: nothing."""
        (answer,) = self._batch_check([f"{tree}:{path}"])
        return object_of(answer)[0]

    def id_at(self, tree: str, path: str) -> str | None:
        """Return the id of what lies at `path` in a tree; None: nothing."""
        (answer,) = self._batch_check([f"{tree}:{path}"])
        return object_of(answer)[1]

    def _batch_check(self, questions: Sequence[str]) -> list[str]:
        stdin = "".join(f"{question}\n" for question in questions).encode(
            "utf-8", "surrogateescape"
        )
        said = self.git("cat-file", "--batch-check", stdin=stdin)
        return said.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")

    def listing(self, tree: str) -> dict[str, str]:
        """Return every file below a tree: paths and blob ids."""
        lines = self.git("ls-tree", "-r", "-z", "--full-tree", tree)
        entries = lines.decode("utf-8", "surrogateescape").split("\0")
        pairs = (entry.split("\t", 1) for entry in entries if entry)
        return {path: words.split(" ")[2] for words, path in pairs}


def object_of(line: str) -> tuple[str | None, str | None, int]:
    """Return type, id and size from a line of `cat-file --batch-check`."""
    words = line.rsplit(" ", 2)
    if len(words) != 3 or not words[2].isdecimal():  # noqa: PLR2004 - "missing", "ambiguous"
        return None, None, 0
    id_, type_, size = words
    return type_, id_, int(size)


def _pushed(
    itself: tuple[str | None, str | None, int],
    commit: tuple[str | None, str | None, int],
    tree: tuple[str | None, str | None, int],
    toml: tuple[str | None, str | None, int],
) -> Pushed:
    if commit[0] != "commit":
        return Pushed(itself[0] or "missing", None, None, None)
    return Pushed(itself[0] or "missing", commit[1], tree[1], *toml[1:], toml[0])
