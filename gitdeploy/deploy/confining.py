"""What holds the commands of an app's releases, as its server.toml wants it.

By bubblewrap they see the system, their release and its shared paths, and nothing else.
Without it they see what the server's user sees, and can gain no privileges.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, TypeAlias

from gitdeploy.config import Activation, Check, Config
from gitdeploy.deploy.app import App
from gitdeploy.errors import ReleaseFailed
from gitdeploy.ground import Ground
from gitdeploy.model import CHAINS
from gitdeploy.steps import Bounds, Box, Confinement, Shown, why_no_box
from gitdeploy.system import files

__all__ = [
    "Means",
    "bounds_of",
    "check_allowed",
    "confinement_of",
    "means_of",
]

Means: TypeAlias = Literal["bubblewrap", "kernel", "nothing"]

_OWN: Final = 0o700
_SHM_BYTES: Final = 2**30
_INSTALL: Final = "sudo apt-get install bubblewrap"


def means_of(app: App) -> tuple[Means, str]:
    """Return what holds an app's commands, and why it is no more than that."""
    if app.server.steps.confine == "off":
        return "nothing", 'server.toml says  [steps] confine = "off"'
    why = why_no_box()
    return ("kernel", why) if why else ("bubblewrap", "")


def check_allowed(app: App, config: Config) -> None:
    """Say nothing if the commands of a commit can be run as the server wants it.

    Args:
        app: The app.
        config: deploy.toml of the commit.

    Raises:
        ReleaseFailed: They have to be confined, and cannot be.
    """
    commands = [*config.build.steps, *_around_the_flip(config)]
    if app.server.steps.confine == "require" and commands and (why := why_no_box()):
        raise ReleaseFailed(
            f'commands have to be confined ([steps] confine = "require"): {why}',
            hint=f"{_INSTALL}  # on the server",
        )


def _around_the_flip(config: Config) -> Iterator[Check | Activation]:
    for chain in CHAINS:
        yield from config.checks_for(chain)
        yield from config.activate_for(chain)
        yield from config.deactivate_for(chain)


def confinement_of(  # noqa: PLR0913 - what commands see, part by part
    app: App,
    *,
    release: Path,
    shared: Ground,
    previous: Path | None,
    links: tuple[Path, ...],
    free_environment: dict[str, str],
    looks: bool = False,
) -> Confinement:
    """Return what holds the commands of one release.

    Args:
        app: The app.
        release: The release's directory.
        shared: What outlives it.
        previous: The release before, which they may read; None: there is none.
        links: Public links that they find, as they are.
        free_environment: All the environment of commands that are not held.
        looks: Whether they may write to nothing but the release's directory.

    Changes: makes directories of the app for them, where they are missing.
    """
    steps = app.server.steps
    means, _ = means_of(app)
    if means == "nothing":
        return Confinement()
    free = frozenset(command.strip() for command in steps.unconfined)
    if means == "kernel":
        return Confinement(None, True, free, free_environment)  # noqa: FBT003 - a struct
    for own in (app.layout.cache, app.layout.tmp):
        files.make_directory(own, _OWN)
    around, memory_bytes = app.surroundings, app.server.limits.memory_bytes
    lasting: tuple[Shown, ...] = (shared, *_places(app, steps.writable))
    read: tuple[Shown, ...] = (*_places(app, steps.readable), *filter(None, [previous]))
    box = Box(
        home=Ground(app.layout.cache),
        tmp=app.layout.tmp,
        shm_bytes=min(memory_bytes or _SHM_BYTES, _SHM_BYTES),
        readable=(*read, *(lasting if looks else ())),
        writable=(release, *(() if looks else lasting)),
        looks=looks,
        hidden=(app.layout.root, app.public.target, Path(around.home)),
        links=tuple((link, os.readlink(link)) for link in links if link.is_symlink()),
        network=steps.network,
    )
    return Confinement(box, free=free, free_environment=free_environment)


def bounds_of(app: App) -> Bounds:
    """Return how much one command of an app may use."""
    limits = app.server.limits
    return Bounds(
        limits.steps_time_s,
        limits.cpu_time_s,
        limits.memory_bytes,
        limits.processes,
        limits.tmp_bytes,
    )


def _places(app: App, paths: tuple[str, ...]) -> list[Path]:
    return [app.surroundings.place(path) for path in paths]
