"""A step that sees of its release only what it states: its inputs, and steps before it.

It runs in another directory, which is shown to it as the release; what it makes is
moved over. What it reads besides is not there, and cannot be in its outputs.
"""

import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gitdeploy import outputs
from gitdeploy.deploy.blame import MISSED, blame
from gitdeploy.errors import StepFailed
from gitdeploy.system import files
from gitdeploy.system.below import directory_beneath, move_below, status_beneath

__all__ = ["explain_unseen", "only_inputs"]

_MOST_LINKS: Final = 40  # as many as the kernel follows, path_resolution(7)
_KINDS: Final = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)


@contextmanager
def only_inputs(
    release: Path,
    alone: Path,
    inputs: Iterable[str],
    *,
    before: Collection[str],
    made: Collection[str],
) -> Iterator[None]:
    """Let a directory hold, for the body, what a step states of its release.

    Args:
        release: The release; nobody else writes into it.
        alone: The directory, on the same file system; what has its name goes.
        inputs: What the step reads, by its path in both.
        before: What steps before it made; they may change it.
        made: What it makes.

    Changes: copies of `inputs` in `alone`; what was made is moved there and back. Of
        what the body leaves there, nothing else comes into the release.

    Raises:
        SystemFailed: An input cannot be copied.
        OSError: The same, or what was made could not be moved.
    """
    files.remove(alone)  # of one that was killed
    files.make_directory(alone)
    try:
        _fill(release, alone, inputs)
        _move(before, release, alone)
        try:
            yield
        except BaseException:
            with suppress(OSError):  # for a look
                _move({*before, *made}, alone, release)
            raise
        _move({*before, *made}, alone, release)
    finally:
        files.remove(alone)


def explain_unseen(
    error: StepFailed, tail: Iterable[str], release: Path, alone: Path
) -> None:
    """Say which file of the release a step did not find, if its words tell."""
    lines, unseen = [*tail], dict[str, str]()

    def is_unseen(path: str) -> bool:
        if found := _unseen(path, release, alone):
            unseen[path] = found
        return path in unseen

    if path := blame(lines, release, is_unseen, said=MISSED):
        error.hint = f"it sees only its inputs; add  {unseen[path]}  in deploy.toml"
    elif any(map(MISSED.search, lines)):
        error.hint = "it sees only its inputs; name all that it reads in deploy.toml"


def _unseen(path: str, release: Path, alone: Path) -> str:
    """Return what of a path the release has and a step did not see; else nothing."""
    while path:
        with suppress(OSError, ValueError):  # a word is not always a path
            if status_beneath(release, path):
                return "" if status_beneath(alone, path) else path
        path = path.rpartition("/")[0]
    return ""


def _fill(release: Path, alone: Path, inputs: Iterable[str]) -> None:
    with directory_beneath(release, b"") as top:
        reached = {path for name in inputs for path in _reached(top, name)}
    seen = outputs.look(release, _outermost(reached))
    kept = {
        path: one
        for path, one in seen.items()
        if any(is_kind(one.mode) for is_kind in _KINDS)
    }
    outputs.copy_seen(kept, release, alone)


def _reached(top: int, path: str) -> Iterator[str]:
    """Yield the links on the way to a path of a release, and what it leads to there."""
    for _ in range(_MOST_LINKS):
        link = _first_link(top, path)
        if link is None:
            if status_beneath(top, path):
                yield path
            return
        yield link
        above, _, name = link.rpartition("/")
        with directory_beneath(top, above) as folder:
            target = os.readlink(name, dir_fd=folder)
        rest = path.removeprefix(link).lstrip("/")
        path = posixpath.normpath(posixpath.join(above, target, rest))
        if path.startswith(("/", "..")):
            return


def _first_link(top: int, path: str) -> str | None:
    """Return the first part of a path that is a link; None: there is no link."""
    here = ""
    for name in path.split("/"):
        here = posixpath.join(here, name)
        status = status_beneath(top, here)
        if status is None:
            return None
        if stat.S_ISLNK(status.st_mode):
            return here
    return None


def _move(paths: Collection[str], source: Path, destination: Path) -> None:
    for path in _outermost(paths):
        move_below(source, destination, path)


def _outermost(paths: Collection[str]) -> list[str]:
    """Return those of some paths that lie in no other of them, sorted."""
    found: list[str] = []
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not found or not f"{path}/".startswith(f"{found[-1]}/"):
            found.append(path)
    return found
