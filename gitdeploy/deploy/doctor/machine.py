"""What the machine lacks, or soon may."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.confining import means_of
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.receiving import GATE_FROM, git_version
from gitdeploy.errors import ConfigError
from gitdeploy.system import disk
from gitdeploy.system.terminal import human_bytes

__all__ = ["findings", "little_room"]

_LITTLE_BYTES: Final = 256 * 1024 * 1024
_FEW_INODES: Final = 5000
_SOUND_GIT: Final = (2, 39, 5)


def findings(app: App) -> Iterator[Finding]:
    """Yield what there is to say of the disk, of git, and of bubblewrap."""
    for path in (app.layout.home, app.layout.repository):
        if path.is_dir() and (short := little_room(*disk.room(path))):
            yield Finding(
                "disk-nearly-full",
                f"the disk of {path} has only {short} left",
                "nobody yet: a push that needs more is refused",
                f"gitdeploy prune {app.name} --keep 1",
                severity="note",
            )
            break
    version = git_version(app.surroundings)
    if version < _SOUND_GIT:
        said = ".".join(map(str, version))
        gate = "; it has no gate" if version < GATE_FROM else ""
        yield Finding(
            "git-is-old",
            f"git is {said}{gate}",
            "whoever may push could use faults that git 2.39.5 has mended",
            "apt-get install git",
            severity="note",
        )
    with suppress(ConfigError):  # `people` tells it
        yield from _unconfined(app)


def _unconfined(app: App) -> Iterator[Finding]:
    """Yield that nothing confines commands, where the server would like it."""
    means, why = means_of(app)
    if means != "kernel":
        return
    needed = app.server.steps.confine == "require"
    yield Finding(
        "commands-are-not-confined",
        f"nothing confines the commands of deploy.toml: {why}",
        "every push that has commands is refused"
        if needed
        else "who may stage can read what the server's user can, other apps too",
        "apt-get install bubblewrap",
        severity="trouble" if needed else "note",
    )


def little_room(free_bytes: int, free_inodes: int) -> str:
    """Return what is left, where that is little; else nothing."""
    if free_bytes < _LITTLE_BYTES:
        return human_bytes(free_bytes)
    return f"room for {free_inodes:,} files" if free_inodes < _FEW_INODES else ""
