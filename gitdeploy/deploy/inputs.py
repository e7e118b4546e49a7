"""What the steps of a commit read, as git has it: no file is opened for that."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from gitdeploy.config import Step
from gitdeploy.globs import Glob, is_glob
from gitdeploy.repository import Entry, Repository

__all__ = ["Read", "read_by"]

_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_ATTRIBUTES: Final = ".gitattributes"

_Entries = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class Read:
    """What one step reads."""

    objects: tuple[tuple[str, str, str], ...]
    """Path, mode and object id, sorted; all that decides what is on the disk."""
    missing: tuple[str, ...]
    """Inputs that name one file or folder, and the commit has none."""
    idle: tuple[str, ...]
    """Patterns that match nothing."""


def read_by(
    repository: Repository, tree: str, base: str, steps: Collection[Step]
) -> list[Read]:
    """Return what each of some steps reads; two gits for all, a third for links.

    Args:
        repository: The one that has the tree.
        tree: The whole tree of a commit.
        base: The folder of it that is deployed; `.` for all.
        steps: Those that state inputs.
    """
    prefix = "" if base == "." else f"{base}/"
    globs = {
        prefix + path: Glob(prefix + path)
        for step in steps
        for path in step.inputs
        if is_glob(path)
    }
    named = {prefix + path for step in steps for path in (*step.inputs, *step.outputs)}
    entries = repository.entries(tree, _with_attributes(named))
    below = (
        repository.entries_below(tree, {glob.base for glob in globs.values()})
        if globs
        else {}
    )
    found = _Found({**entries, **below}, below, globs)
    wanted = [found.by(step, prefix) for step in steps]
    links = {path for read in wanted for path, mode, _ in read.objects if mode == _LINK}
    links |= {prefix + path for read in wanted for path in read.missing}
    behind = repository.behind_links(tree, sorted(links))
    return [_followed(read, prefix, behind) for read in wanted]


def _with_attributes(paths: Collection[str]) -> set[str]:
    """Return paths, the folders they lie in, and what git may know about each.

    A file on the disk is made of its blob and the .gitattributes above it; a folder
    above may turn out to be a submodule.
    """
    above = {folder for path in paths for folder in _above(path)}
    rules = {f"{folder}/{_ATTRIBUTES}" for folder in above}
    return {*paths, *above, *rules, _ATTRIBUTES}


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in, the outermost first."""
    parts = path.split("/")[:-1]
    return accumulate(parts, lambda folder, part: f"{folder}/{part}")


@dataclass(frozen=True, slots=True)
class _Found:
    """What git said about all the steps."""

    entries: _Entries
    below: _Entries
    """What lies below the globs' bases."""
    globs: Mapping[str, Glob]

    def by(self, step: Step, prefix: str) -> Read:
        """Return what a step reads."""
        paths, missing, idle = set[str](), list[str](), list[str]()
        for name in step.inputs:
            path = prefix + name
            hits = self._hits(path)
            paths |= hits
            if not hits:
                (idle if path in self.globs else missing).append(name)
        # What the commit has where outputs go is part of what the step leaves there.
        paths |= {hit for name in step.outputs for hit in self._plain(prefix + name)}
        paths |= {rules for path in paths for rules in self._rules(path)}
        objects = [(p, self.entries[p].mode, self.entries[p].id) for p in sorted(paths)]
        return Read(tuple(objects), tuple(missing), tuple(idle))

    def _hits(self, path: str) -> set[str]:
        """Return what an input stands for; a name with brackets may be just a name."""
        hits = set(self._plain(path))
        if glob := self.globs.get(path):
            hits |= {folder for folder in _above(path) if self._is_module(folder)}
            hits |= set(self._matching(glob))
        return hits

    def _matching(self, glob: Glob) -> Iterator[str]:
        """Yield what a pattern matches, and submodules, in which it might."""
        covered = "/"
        for path, entry in self.below.items():  # a folder before what it holds
            if path.startswith(covered):
                continue
            if entry.mode == _SUBMODULE or glob.matches(path):
                yield path
                covered = f"{path}/"

    def _plain(self, path: str) -> Iterator[str]:
        """Yield what has a path: itself, else the submodule that it lies in."""
        if path in self.entries:
            yield path
        else:
            yield from (folder for folder in _above(path) if self._is_module(folder))

    def _is_module(self, path: str) -> bool:
        return path in self.entries and self.entries[path].mode == _SUBMODULE

    def _rules(self, path: str) -> Iterator[str]:
        """Yield the files of attributes that hold for a path."""
        for folder in ("", *_above(path)):
            rules = f"{folder}/{_ATTRIBUTES}".removeprefix("/")
            if rules in self.entries:
                yield rules


def _followed(read: Read, prefix: str, behind: Mapping[str, str]) -> Read:
    """Return it with what its links lead to, and less of it missing."""
    found = [
        (path, "", behind[path]) for path, mode, _ in read.objects if path in behind
    ]
    names = [name for name in read.missing if prefix + name in behind]
    found += [(prefix + name, "", behind[prefix + name]) for name in names]
    missing = tuple(name for name in read.missing if name not in names)
    return Read((*read.objects, *found), missing, read.idle)
