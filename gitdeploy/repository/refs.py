"""The repository's refs: read as they are, moved by compare-and-swap only."""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.model import RefUpdate
from gitdeploy.repository.locks import GitLocked, Locks
from gitdeploy.repository.objects import object_of
from gitdeploy.system import files
from gitdeploy.system.process import CommandFailed

__all__ = ["Refs", "RefsMoved"]

_NO_ID: Final = "0" * 40
_OF_THE_DISK: Final = (
    r"(Permission denied|No space left on device|Read-only file system"
    r"|Input/output error|Too many open files|Disk quota exceeded)$"
)


class RefsMoved(SystemFailed):
    """A ref is not where it was expected, so nothing of the transaction was done."""


class GitKilled(RefsMoved):
    """git did not live to say what it had done."""


class Refs(Locks):
    """The refs of a bare repository, and the objects they stand on."""

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Return ref names and the object ids they hold.

        Args:
            *prefixes: `refs/heads/`, or a full name; none for all refs.
        """
        entries = self._listing(*prefixes).split("\n")
        pairs = (entry.partition(" ") for entry in entries if entry)
        return {ref: id_ for id_, _, ref in pairs}

    def are(self, listing: str, *, besides: str) -> bool:
        """Return whether the refs are exactly those of a listing.

        It is asked at every push, so that ten thousand refs are compared as one text.

        Args:
            listing: A line for each ref, its value before its name, in order of names.
            besides: What the names of further refs begin with.
        """
        have = self._listing()
        first, last = have.find(f" {besides}"), have.rfind(f" {besides}")
        if first >= 0:  # they lie together, since git sorts by name
            begin = have.rfind("\n", 0, first) + 1
            have = have[:begin] + have[have.index("\n", last) + 1 :]
        return have == listing

    def _listing(self, *prefixes: str) -> str:
        """Return a line for each ref, value before name, in order of names."""
        words = ("for-each-ref", "--format=%(objectname) %(refname)", "--", *prefixes)
        return self.git(*words).decode("utf-8", "surrogateescape")

    def find(self, words: str) -> RefUpdate | None:
        """Return what a person's words for a ref or commit stand for, as a creation.

        A commit id by itself stands for the first stage branch people think of: its
        ref is `refs/heads/main`.
        """
        names = (words, f"refs/heads/{words}", f"refs/tags/{words}")
        refs = self.refs(*names)
        for name in names:
            if name in refs:
                return RefUpdate(name, _NO_ID, refs[name])
        if not words.isprintable():
            return None
        (answer,) = self._batch_check([f"{words}^{{commit}}"])
        type_, id_, _size = object_of(answer)
        if type_ != "commit" or id_ is None:
            return None
        return RefUpdate("refs/heads/main", _NO_ID, id_)

    def holds(self, update: RefUpdate) -> bool:
        """Return whether the ref is where the update wants it."""
        return self.refs(update.ref).get(update.ref, _NO_ID) == (
            _NO_ID if update.deletes else update.new
        )

    def contains(self, commit: str, earlier: str) -> bool:
        """Return whether a commit has an earlier one in its history, or is it."""
        try:
            self.git("merge-base", "--is-ancestor", earlier, commit)
        except CommandFailed:  # it has not, or one of them is no commit
            return False
        return True

    def move(self, updates: Iterable[RefUpdate], *, why: str) -> None:
        """Move refs by compare-and-swap: all of them, durably, or none.

        Changes: the refs and their logs. Safe to repeat: a second call finds the
        refs moved and says so.

        Raises:
            RefsMoved: A ref is not at its old value, or its name cannot be used.
            SystemFailed: The disk or a right said no.
        """
        updates = tuple(updates)
        try:
            self._transaction(updates, "commit", why)
        except GitKilled:
            if not self._moved_all_the_same(updates):
                raise
        self.sync()

    def _moved_all_the_same(self, updates: Sequence[RefUpdate]) -> bool:
        """Return whether a git that was killed had moved the refs; else none has moved.

        It moves one after the other: those that it did move are put back.
        """
        moved = [update for update in updates if self.holds(update)]
        if len(moved) < len(updates) and moved:
            reverse = [update.reversed() for update in moved]
            self._transaction(reverse, "commit", "put back")
        return len(moved) == len(updates)

    def sync(self) -> None:
        """Make objects and refs durable; git syncs no ref's directory itself."""
        files.sync_filesystems([self.path])

    def adopt_head(self, ref: str) -> None:
        """Make a clone of this repository check out `ref`, unless its branch exists."""
        default = self.git("symbolic-ref", "HEAD").decode().strip()
        if default != ref and default not in self.refs(default):
            with self.rewriting("HEAD", f"ref: {ref}\n".encode()):
                pass

    def objection(self, updates: Iterable[RefUpdate]) -> RefsMoved | None:
        """Return why git would not move the refs now; None where it would.

        Known before a release is built in vain: a ref that has moved on, a name
        that is too long, a branch `a/b` where there is a branch `a`.
        """
        try:
            self._transaction(updates, "abort", "")
        except RefsMoved as error:
            return error
        return None

    def publish(
        self,
        prefix: str,
        wanted: Mapping[str, str],
        *,
        had: Mapping[str, str] | None = None,
    ) -> None:
        """Make the refs below `prefix` exactly `wanted`: names to commit ids.

        Args:
            prefix: `refs/deploy/`.
            wanted: Names and what they shall hold.
            had: What they probably hold; then git is asked only where that is wrong.

        Changes: the refs that differ. Safe to repeat.
        """
        if had is not None:
            with suppress(RefsMoved):
                self._replace(had, wanted)
                return
        self._replace(self.refs(prefix), wanted)

    def _replace(self, have: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Make refs that hold `have`, all of which git looks at, hold `wanted`."""
        updates = [
            RefUpdate(ref, have.get(ref, _NO_ID), wanted.get(ref, _NO_ID))
            for ref in sorted({*have, *wanted})
        ]
        if any(update.old != update.new for update in updates):
            self._transaction(updates, "commit", "published")

    def _transaction(self, updates: Iterable[RefUpdate], end: str, why: str) -> None:
        words = ["start\0"]
        for update in updates:
            if update.old == update.new:
                words += [f"verify {update.ref}\0{update.old}\0"]
            else:
                words += [f"update {update.ref}\0{update.new}\0{update.old}\0"]
        words += ["prepare\0", f"{end}\0"]
        try:
            self.unlocked(
                "update-ref",
                "-z",
                "--stdin",
                "--create-reflog",
                "-m",
                f"gitdeploy: {why}",
                stdin="".join(words).encode("utf-8", "surrogateescape"),
            )
        except GitLocked as error:
            raise RefsMoved(error.message, hint=error.hint) from error
        except CommandFailed as error:
            said = _last_clause(error.stderr)
            if error.code < 0:
                raise GitKilled(error.message) from error
            if re.search(_OF_THE_DISK, said):
                raise SystemFailed(said) from error
            raise RefsMoved(said) from error


def _last_clause(stderr: str) -> str:
    """Return git's reason without the words before it that only repeat the ref."""
    lines = stderr.splitlines() or ["git did not say why"]
    line = next((x for x in lines if x.startswith(("fatal: ", "error: "))), lines[-1])
    for word in ("fatal: ", "error: ", "prepare: "):
        line = line.removeprefix(word)
    return line
