"""What the outputs of a step are known by: all that decides what they are.

That is its command and environment, what its tool says, the git objects it reads, and
the same of every step before it: nobody says which of those it builds upon. A step that
does not state what it reads counts as reading all of the commit.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gitdeploy.config import Command, Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.inputs import Read, read_by
from gitdeploy.ground import Ground
from gitdeploy.shared import read_shared
from gitdeploy.steps import Place, what_tool_says

__all__ = ["Key", "StepKeys", "names_variable"]

_VERSION: Final = 2
"""Counts up when what a key is made of changes."""
_MOST_SHARED_BYTES: Final = 64 * 2**20
_OURS: Final = re.compile(r"GITDEPLOY_[A-Z_]+")


@dataclass(frozen=True, slots=True)
class Key:
    """What a step is known by, or why it is not."""

    value: str | None
    """None for a step that always runs."""
    remark: str = ""
    """What the step's author should know; for the log."""
    reads: tuple[str, ...] | None = None
    """Where in the release lies all that it knows; None: it knows all of the commit."""


class StepKeys:
    """The keys of a commit's steps, asked for in their order."""

    def __init__(self, app: App, wanted: Wanted, place: Place) -> None:
        self._shared = app.shared_of(wanted.config.shared.scope, wanted.chain)
        self._wanted = wanted
        self._place = place
        self._before: list[str] = []
        self._open: str | None = None
        self._made: set[str] = set()
        steps = [step for step in wanted.config.build.steps if step.inputs]
        base = wanted.config.checkout.path
        read = read_by(app.repository, wanted.tree, base, steps) if steps else []
        self._reads = dict(zip(map(id, steps), read, strict=True))

    def of(self, step: Step, *, read_only: bool) -> Key:
        """Return the key of the next step; those before it have run.

        Args:
            step: The next step of the commit.
            read_only: Whether its outputs are read-only.

        Raises:
            StepFailed: Its tool did not say anything.
        """
        read = self._reads.get(id(step))
        missing = self._missing(read) if read else []
        if read is None or missing or len(read.idle) == len(step.inputs):
            self._before.append(_digest(self._command(step), self._wanted.tree))
            self._open = self._open or step.title
            return Key(None, _why_none(read, missing))
        share = self._wanted.config.checkout.share  # decides what may be written to
        value = _digest(
            *(_VERSION, read_only, share, self._command(step), self._tool(step)),
            *(step.outputs, read.objects, self._shared_content(step), self._before),
        )
        self._before.append(value)
        self._made |= set(step.outputs)
        reads = None if self._open else tuple(self._known(read))
        return Key(value, self._remark(read), reads)

    def _known(self, read: Read) -> Iterator[str]:
        """Yield what of a release a key says all about, and the links to shared state.

        What is shared is no secret to any step, and changes nothing in a key but for
        files that are inputs.
        """
        config = self._wanted.config
        base = "" if config.checkout.path == "." else f"{config.checkout.path}/"
        for path, _, _ in read.objects:
            if path.startswith(base):
                yield path.removeprefix(base)
        yield from (*config.shared.files, *config.shared.dirs)

    def _missing(self, read: Read) -> list[str]:
        """Return the inputs that neither the commit has nor a step before made."""
        known = {*self._made, *self._wanted.config.shared.files}
        return [
            path
            for path in read.missing
            if not any(f"{path}/".startswith(f"{place}/") for place in known)
        ]

    def _remark(self, read: Read) -> str:
        remarks = [f"no file matches {', '.join(read.idle)}"] if read.idle else []
        if self._open:
            why = f"every change counts, as {self._open} before it states no inputs"
            remarks.append(why)
        return "; ".join(remarks)

    def _command(self, step: Step) -> list[object]:
        """Return what is run, and with which variables.

        Of ours, those that the command names: it is another one for each commit
        where it names GITDEPLOY_COMMIT.
        """
        named = set(_OURS.findall(_words(step.run)))
        config = self._wanted.config.env_for(self._wanted.chain)
        known = self._place.environment
        ours = {name: known[name] for name in named & {*known}}
        return [step.run, sorted({**config, **ours}.items())]

    def _tool(self, step: Step) -> str | None:
        if step.tool is None:
            return None
        return what_tool_says(step, self._place.only_reading())

    def _shared_content(self, step: Step) -> list[tuple[str, str | None]]:
        """Return what shared files that it reads hold: git knows nothing of them."""
        files = sorted({*step.inputs} & {*self._wanted.config.shared.files})
        return [(name, _hash_of(self._shared / name)) for name in files]


def _why_none(read: Read | None, missing: list[str]) -> str:
    if read is None:
        return ""
    if missing:
        return f"always runs: the commit has no {', '.join(missing)}"
    return f"always runs: no file matches {', '.join(read.idle)}"


def names_variable(command: Command, name: str) -> bool:
    """Return whether a command's own text names a variable of ours."""
    return name in _OURS.findall(_words(command))


def _words(command: Command) -> str:
    return command if isinstance(command, str) else "\n".join(command)


def _hash_of(place: Ground) -> str | None:
    """Return the hash of a shared file; None where there is none.

    Raises:
        ReleaseFailed: It cannot be read as a file, or is too large to be an input.
    """
    data = read_shared(place, most_bytes=_MOST_SHARED_BYTES)
    return None if data is None else hashlib.sha256(data).hexdigest()


def _digest(*parts: object) -> str:
    text = json.dumps(parts, default=list)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
