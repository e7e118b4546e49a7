"""What objects the repository has, asked of git's own plumbing; none is written."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import dropwhile, takewhile
from typing import Final, NamedTuple

from msgspec import Struct

from gitdeploy.system.git import Git

__all__ = ["DEPLOY_TOML", "Entry", "Objects", "Pushed", "object_of", "subject_of"]

DEPLOY_TOML: Final = "deploy.toml"

_LINK: Final = "120000"
_COMMAND_BYTES: Final = 100_000
_LEADS_AWAY: Final = rb"(?:symlink|dangling|loop|notdir) (\d+)"


class Entry(NamedTuple):
    """What has a name in a tree."""

    mode: str
    """Six octal digits."""
    type: str
    """blob, tree, or commit: a submodule."""
    id: str


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
    commit_bytes: int = 0


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

    def contents(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Return what each object holds; one git for all of them.

        Args:
            ids: Full ids of objects that are there; the caller looked at their sizes.
        """
        questions = "".join(f"{id_}\n" for id_ in ids).encode()
        rest = self.git("cat-file", "--batch", stdin=questions) if questions else b""
        found = {}
        while rest:
            header, _, rest = rest.partition(b"\n")
            _, id_, size_bytes = object_of(header.decode())
            assert id_ is not None
            found[id_], rest = rest[:size_bytes], rest[size_bytes + 1 :]
        return found

    def type_at(self, tree: str, path: str) -> str | None:
        """Return what lies at `path` in a tree: tree, blob, commit; None: nothing."""
        (answer,) = self._batch_check([f"{tree}:{path}"])
        return object_of(answer)[0]

    def id_at(self, tree: str, path: str) -> str | None:
        """Return the id of what lies at `path` in a tree; None: nothing."""
        (answer,) = self._batch_check([f"{tree}:{path}"])
        return object_of(answer)[1]

    def is_link_at(self, tree: str, path: str) -> bool:
        """Return whether what lies at `path` in a tree is a link."""
        found = self.entries(tree, [path]).get(path)
        return found is not None and found.mode == _LINK

    def _batch_check(self, questions: Sequence[str]) -> list[str]:
        said = self._asked(questions)
        return said.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")

    def _asked(self, questions: Sequence[str], *options: str) -> bytes:
        stdin = "".join(f"{question}\n" for question in questions).encode(
            "utf-8", "surrogateescape"
        )
        return self.git("cat-file", "--batch-check", *options, stdin=stdin)

    def entries(self, tree: str, paths: Collection[str]) -> dict[str, Entry]:
        """Return what lies at some paths of a tree; what is missing is left out.

        Folders on the way are among them; one git for all.
        """
        found: dict[str, Entry] = {}
        for some in _in_commands(sorted(paths)):
            found |= self._listed("-t", tree, some)
        return found

    def entries_below(self, tree: str, folders: Collection[str]) -> dict[str, Entry]:
        """Return all that lies in some folders of a tree, folders themselves too.

        Args:
            tree: A tree id.
            folders: Their paths; the empty one is the tree itself.
        """
        if "" in folders:
            return self._listed("-rt", tree, ())
        found: dict[str, Entry] = {}
        for some in _in_commands(sorted(folders)):
            found |= self._listed("-rt", tree, some)
        return found

    def behind_links(self, tree: str, paths: Sequence[str]) -> dict[str, str]:
        """Return the ids of what is found at paths when links are followed.

        What leads out of the tree, or nowhere, is left out.
        """
        asked = [path for path in paths if "\n" not in path]
        if not asked:
            return {}
        said = self._asked([f"{tree}:{path}" for path in asked], "--follow-symlinks")
        found = {}
        for path in asked:
            line, _, said = said.partition(b"\n")
            if away := re.fullmatch(_LEADS_AWAY, line):  # git names the place after it
                said = said[int(away[1]) + 1 :]
            elif (id_ := object_of(line.decode("utf-8", "replace"))[1]) is not None:
                found[path] = id_
        return found

    def _listed(self, how: str, tree: str, paths: Collection[str]) -> dict[str, Entry]:
        lines = self.git(
            "ls-tree",
            how,
            "-z",
            "--full-tree",
            tree,
            "--",
            *paths,
            environment={"GIT_LITERAL_PATHSPECS": "1"},
        )
        entries = lines.decode("utf-8", "surrogateescape").split("\0")
        pairs = (entry.split("\t", 1) for entry in entries if entry)
        return {path: Entry(*words.split(" ")) for words, path in pairs}


def _in_commands(paths: Sequence[str]) -> Iterator[list[str]]:
    """Yield the paths in as few groups as fit into a command line (execve(2))."""
    some: list[str] = []
    size = 0
    for path in paths:
        if some and size > _COMMAND_BYTES:
            yield some
            some, size = [], 0
        some.append(path)
        size += len(path)
    if some:
        yield some


def object_of(line: str) -> tuple[str | None, str | None, int]:
    """Return type, id and size from a line of `cat-file --batch-check`."""
    words = line.rsplit(" ", 2)
    if len(words) != 3 or not words[2].isdecimal():  # noqa: PLR2004 - "missing", "ambiguous"
        return None, None, 0
    id_, type_, size = words
    return type_, id_, int(size)


def subject_of(commit: bytes) -> str:
    """Return the first paragraph of a commit's message in one line, as git log does.

    It stands as it is; it is not fit for a terminal yet.

    Args:
        commit: The whole object: headers, an empty line, the message.
    """
    headers, _, message = commit.partition(b"\n\n")
    encoding = "utf-8"
    for line in headers.split(b"\n"):
        if line.startswith(b"encoding "):  # git-commit(1), i18n.commitEncoding
            encoding = line.removeprefix(b"encoding ").decode("ascii", "replace")
    try:
        text = message.decode(encoding, "replace")
    except (LookupError, ValueError):  # none that Python knows, or takes for text
        text = message.decode("utf-8", "replace")
    lines = (line.rstrip() for line in text.split("\n"))
    return " ".join(takewhile(bool, dropwhile(lambda line: not line, lines))).strip()


def _pushed(
    itself: tuple[str | None, str | None, int],
    commit: tuple[str | None, str | None, int],
    tree: tuple[str | None, str | None, int],
    toml: tuple[str | None, str | None, int],
) -> Pushed:
    if commit[0] != "commit":
        return Pushed(itself[0] or "missing", None, None, None)
    kind = itself[0] or "missing"
    return Pushed(kind, commit[1], tree[1], *toml[1:], toml[0], commit[2])
