"""The app's bare repository: its objects and refs, through git's own plumbing.

Object ids are full, never words; refs move by compare-and-swap only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.model import RefUpdate
from gitdeploy.system import files
from gitdeploy.system.git import Git
from gitdeploy.system.process import CommandFailed

__all__ = ["DEPLOY_TOML", "Commit", "Pushed", "RefsMoved", "Repository"]

DEPLOY_TOML: Final = "deploy.toml"

_NO_ID: Final = "0" * 40
_MANY_LOOSE: Final = 2000


class RefsMoved(SystemFailed):
    """A ref is not where it was expected, so nothing of the transaction was done."""


@dataclass(frozen=True, slots=True)
class Pushed:
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


@dataclass(frozen=True, slots=True)
class Commit:
    """What people want to know about a commit."""

    id: str
    subject: str
    """First line of the message, as it stands; not fit for a terminal yet."""


class Repository:
    """A bare repository.

    Attributes:
        git: Runs git in it.
        path: Its directory.
    """

    def __init__(self, git: Git) -> None:
        self.git = git
        self.path = git.directory

    # --- objects ------------------------------------------------------------------

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
        answers = [_object(line) for line in self._batch_check(questions)]
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
        return _object(answer)[0]

    def id_at(self, tree: str, path: str) -> str | None:
        """Return the id of what lies at `path` in a tree; None: nothing."""
        (answer,) = self._batch_check([f"{tree}:{path}"])
        return _object(answer)[1]

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

    # --- refs ---------------------------------------------------------------------

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Return ref names and the object ids they hold.

        Args:
            *prefixes: `refs/heads/`, or a full name; none for all refs.
        """
        lines = self.git(
            "for-each-ref", "--format=%(objectname) %(refname)", "--", *prefixes
        )
        entries = lines.decode("utf-8", "surrogateescape").split("\n")
        pairs = (entry.partition(" ") for entry in entries if entry)
        return {ref: id_ for id_, _, ref in pairs}

    def find(self, words: str) -> RefUpdate | None:
        """Return what a person's words for a ref or commit stand for, as a creation.

        A commit id by itself stands for the first stage branch people think of: its
        ref is `refs/heads/main`.
        """
        names = (words, f"refs/heads/{words}", f"refs/tags/{words}")
        refs = self.refs()
        for name in names:
            if name in refs:
                return RefUpdate(name, _NO_ID, refs[name])
        if not words.isprintable():
            return None
        (answer,) = self._batch_check([f"{words}^{{commit}}"])
        type_, id_, _size = _object(answer)
        if type_ != "commit" or id_ is None:
            return None
        return RefUpdate("refs/heads/main", _NO_ID, id_)

    def holds(self, update: RefUpdate) -> bool:
        """Return whether the ref is where the update wants it."""
        return self.refs(update.ref).get(update.ref, _NO_ID) == (
            _NO_ID if update.deletes else update.new
        )

    def move(self, updates: Iterable[RefUpdate], *, why: str) -> None:
        """Move refs by compare-and-swap: all of them, durably, or none.

        Changes: the refs and their logs. Safe to repeat: a second call finds the
        refs moved and says so.

        Raises:
            RefsMoved: A ref is not at its old value, or its name cannot be used.
        """
        self._transaction(updates, "commit", why)
        self.sync()

    def sync(self) -> None:
        """Make objects and refs durable; git syncs no ref's directory itself."""
        files.sync_filesystems([self.path])

    def adopt_head(self, ref: str) -> None:
        """Make a clone of this repository check out `ref`, unless its branch exists."""
        default = self.git("symbolic-ref", "HEAD").decode().strip()
        if default != ref and default not in self.refs(default):
            self.git("symbolic-ref", "HEAD", ref)

    def objection(self, updates: Iterable[RefUpdate]) -> str | None:
        """Return why git would not move the refs now; None where it would.

        Known before a release is built in vain: a ref that has moved on, a name
        that is too long, a branch `a/b` where there is a branch `a`.
        """
        try:
            self._transaction(updates, "abort", "")
        except RefsMoved as error:
            return error.message
        return None

    def publish(self, prefix: str, wanted: Mapping[str, str]) -> None:
        """Make the refs below `prefix` exactly `wanted`: names to commit ids.

        Changes: the refs that differ. Safe to repeat.
        """
        have = self.refs(prefix)
        updates = [
            RefUpdate(ref, have.get(ref, _NO_ID), id_)
            for ref, id_ in wanted.items()
            if have.get(ref) != id_
        ]
        updates += [
            RefUpdate(ref, id_, _NO_ID)
            for ref, id_ in have.items()
            if ref not in wanted
        ]
        if updates:
            self._transaction(updates, "commit", "published")

    def _transaction(self, updates: Iterable[RefUpdate], end: str, why: str) -> None:
        words = ["start\0"]
        for update in updates:
            words += [f"update {update.ref}\0{update.new}\0{update.old}\0"]
        words += ["prepare\0", f"{end}\0"]
        try:
            self.git(
                "update-ref",
                "-z",
                "--stdin",
                "--create-reflog",
                "-m",
                f"gitdeploy: {why}",
                stdin="".join(words).encode("utf-8", "surrogateescape"),
            )
        except CommandFailed as error:
            raise RefsMoved(_last_clause(error.stderr)) from error

    # --- upkeep -------------------------------------------------------------------

    def maintain(self, *, detached: bool = True) -> None:
        """Pack what many pushes left loose, if it is much.

        git's own way of doing so within a push is switched off: it would hold the
        push up (git-gc(1), gc.auto).

        Args:
            detached: Whether the packing goes on after the call.
        """
        settings = (f"gc.auto={_MANY_LOOSE}", f"gc.autoDetach={str(detached).lower()}")
        self.git("gc", "--auto", "--quiet", config=settings)

    # --- configuration ------------------------------------------------------------

    def setting(self, key: str) -> str | None:
        """Return one of the repository's own settings; None where it is not set."""
        return self._settings().get(key.lower())

    def configure(self, wanted: Mapping[str, str]) -> list[str]:
        """Make the repository's own settings as wanted; return what changed."""
        have = self._settings()
        changed = [
            key for key, value in wanted.items() if have.get(key.lower()) != value
        ]
        for key in changed:
            self.git("config", "--local", "--replace-all", key, wanted[key])
        return changed

    def _settings(self) -> dict[str, str]:
        listing = self.git("config", "--local", "--list", "-z").decode()
        entries = (entry.partition("\n") for entry in listing.split("\0"))
        return {key: value for key, _, value in entries}

    def unset(self, key: str) -> bool:
        """Take a setting away; return whether it was there."""
        try:
            self.git("config", "--local", "--unset-all", key)
        except CommandFailed:
            return False
        return True


def _object(line: str) -> tuple[str | None, str | None, int]:
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


def _last_clause(stderr: str) -> str:
    """Return git's reason without the words before it that only repeat the ref."""
    lines = stderr.splitlines() or ["git did not say why"]
    line = next((x for x in lines if x.startswith(("fatal: ", "error: "))), lines[-1])
    for word in ("fatal: ", "error: ", "prepare: "):
        line = line.removeprefix(word)
    return line
