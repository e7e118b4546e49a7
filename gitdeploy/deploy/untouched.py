"""Outputs that several releases share: no step may write into them.

They are read-only, and steps run without the privilege to override that. But their
owner can make them writable again; so they are looked at after each step.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gitdeploy import outputs
from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.errors import StepFailed
from gitdeploy.model import Release
from gitdeploy.outputs import Made, Seen
from gitdeploy.system import files

__all__ = ["Untouched"]


class _Shared(NamedTuple):
    origin: Release
    """The release whose names for the files are looked at."""
    outputs: Sequence[str]
    made: Made
    """As they lie in that release."""


class Untouched:
    """What one release's steps must leave alone."""

    def __init__(self, app: App, release: Release, report: Report) -> None:
        self._app = app
        self._release = release
        self._report = report
        self._shared: list[_Shared] = []

    def __bool__(self) -> bool:
        return bool(self._shared)

    def add(self, origin: Release, paths: Sequence[str], made: Made) -> None:
        """Look after the outputs of a release from now on."""
        self._shared.append(_Shared(origin, paths, made))

    def __contains__(self, path: str) -> bool:
        name = os.fsencode(path)
        return any(name in shared.made.entries for shared in self._shared)

    def check(self, title: str) -> None:
        """Say nothing if a step, which has just ended, wrote into none of them.

        Changes: the mode of a file whose mode alone was changed is put back.

        Raises:
            StepFailed: It did; what an earlier release lost by that was told.
        """
        broken = [
            (shared.origin, path)
            for shared in self._shared
            for path in self._changed(shared)
        ]
        if not broken:
            return
        origin, path = broken[0]
        also = "" if origin == self._release else f", which release {origin.number} has"
        raise StepFailed(
            title,
            f"it changed {path} in place{also}",
            hint=f'write a new file and rename it over {path}, or set  reuse = "copy"',
        )

    def _changed(self, shared: _Shared) -> Iterator[str]:
        """Yield what was changed, having put back what can be, and told what cannot."""
        directory = self._app.directory(shared.origin)
        now = outputs.look(directory, shared.outputs)
        lost = []
        for path in outputs.changed_in_place(shared.made.entries, now):
            name = os.fsdecode(path)
            if not _put_back(directory / name, shared.made.entries[path], now[path]):
                lost.append(name)
            yield name
        if lost and shared.origin != self._release:
            some = lost[0] if len(lost) == 1 else f"{lost[0]} and {len(lost) - 1} more"
            self._report.line(
                "DAMAGED",
                f"release {shared.origin.number} and those that share with it lost"
                f" {some}; where one is live:  gitdeploy redeploy {self._app.name}",
            )


def _put_back(path: Path, then: Seen, now: Seen) -> bool:
    """Give a file its mode again; return whether that is all it takes."""
    files.change_mode(path, then.mode & 0o7777)
    return (then.size, then.mtime_ns, then.uid, then.gid) == (
        now.size,
        now.mtime_ns,
        now.uid,
        now.gid,
    )
