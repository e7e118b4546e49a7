"""Where and as what a command runs, what holds it there, and how it is started."""

import contextlib
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from gitdeploy.config import Command
from gitdeploy.steps.binding import bindings
from gitdeploy.steps.bounds import Begun, Bounds
from gitdeploy.steps.box import Box
from gitdeploy.steps.privileges import setpriv
from gitdeploy.system import process
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.programs import program
from gitdeploy.system.scratch import held_scratch

__all__ = ["Confinement", "Place", "started", "words_of"]


class Confinement(Struct, frozen=True):
    """What holds the commands of a release back."""

    box: Box | None = None
    """What they may see and write; None: what the server's user does."""
    no_new_privileges: bool = False
    """Whether setuid programs, such as sudo, give them nothing."""
    free: frozenset[str] = frozenset()
    """Commands that are not held, as `words_of` has them."""
    free_environment: Mapping[str, str] = field(default_factory=dict)
    """All of those commands' environment: nothing of it is a pusher's to say."""


class Place(Struct, frozen=True):
    """Where and as what the commands of a release run."""

    directory: Path
    """Where they run."""
    environment: Mapping[str, str]
    """All of their environment."""
    confinement: Confinement = field(default_factory=Confinement)
    """What they may see, and do."""
    bounds: Bounds = Bounds()
    """How much they may use."""
    unprivileged: bool = False
    """Whether they run without the privilege to write into files that are read-only;
    `can_be_unprivileged` has said that this works."""
    running: Stopwatch = field(default_factory=Stopwatch)
    """Runs since the first of them began."""

    @property
    def left_s(self) -> float:
        """How many seconds all commands together have left."""
        return max(self.bounds.time_s - self.running.seconds, 0.0)

    def also_writable(self, *places: Path) -> Self:
        """Return this place, where commands may write to more."""
        box = self.confinement.box
        if box is None:
            return self
        return replace(
            self, confinement=replace(self.confinement, box=box.also(*places))
        )

    def standing_in(self, directory: Path, *, unseen: Collection[Path] = ()) -> Self:
        """Return this place, where commands find a directory instead of their release.

        Args:
            directory: What they find.
            unseen: What they may not read there.
        """
        box = self.confinement.box
        assert box is not None
        box = replace(
            box,
            stands_in=(directory, self.directory),
            readable=tuple(path for path in box.readable if path not in unseen),
        )
        return replace(self, confinement=replace(self.confinement, box=box))

    def only_reading(self) -> Self:
        """Return this place, where commands only read what is their release."""
        box = self.confinement.box
        if box is None:
            return self
        box = replace(
            box,
            readable=(*box.readable, self.directory),
            writable=tuple(path for path in box.writable if path != self.directory),
        )
        return replace(self, confinement=replace(self.confinement, box=box))

    def holds(self, command: Command) -> bool:
        """Return whether a command is run in a box."""
        confinement = self.confinement
        return confinement.box is not None and words_of(command) not in confinement.free


def _argv_of(command: Command) -> list[str]:
    """Return what starts a command of deploy.toml."""
    return ["sh", "-euc", command] if isinstance(command, str) else list(command)


def words_of(command: Command) -> str:
    """Return a command as one line, as the server's own file names it."""
    if isinstance(command, str):
        return command.strip()
    import shlex

    return shlex.join(command)


@contextlib.contextmanager
def started(
    command: Command, place: Place, *, stderr: int = subprocess.STDOUT
) -> Iterator[Begun]:
    """Start a command for the body, which ends it.

    Args:
        command: As deploy.toml has it.
        place: Where, and what holds it.
        stderr: As for `process.start`.

    Raises:
        SystemFailed: It cannot be started.
    """
    box = place.confinement.box
    is_free = words_of(command) in place.confinement.free
    with contextlib.ExitStack() as stack:
        environment: Mapping[str, str] = place.environment
        opened = stack.enter_context(bindings())
        prefix, scratch = _held(place, is_free=is_free), tuple[Path, ...]()
        if is_free:
            environment = place.confinement.free_environment
        elif box:
            tmp = stack.enter_context(held_scratch(box.tmp))
            scratch = (tmp, *box.scratch)
            environment = box.environment(environment)
            boxed = box.words(
                place.directory, tmp, opened, unprivileged=place.unprivileged
            )
            prefix = [*boxed, *prefix]
        within = None if is_free else stack.enter_context(place.bounds.group())
        prefix = [*(within.words if within else ()), *prefix]
        argv, first = _handed_over(prefix, environment)
        begun = _argv_of(command)
        if is_free or not box:  # in a box other programs are there
            process.check_found(begun[0], environment.get("PATH", ""))
        child = process.start_command(
            [*argv, *begun],
            env=first,
            cwd=place.directory,
            stderr=stderr,
            keeps=opened.fds,
        )
        yield Begun(child, scratch, within)


def _held(place: Place, *, is_free: bool) -> list[str]:
    """Return what limits a command, and takes from it what it must not have."""
    boxed = place.confinement.box is not None and not is_free
    bounds = place.bounds.words(boxed=boxed)
    if boxed:
        return bounds
    no_new = place.confinement.no_new_privileges and not is_free
    return [*bounds, *setpriv(unprivileged=place.unprivileged, no_new=no_new)]


def _handed_over(
    prefix: list[str], environment: Mapping[str, str]
) -> tuple[list[str], Mapping[str, str]]:
    """Return what comes before a command, and the environment that it begins with.

    What holds a command must not be told how to behave by it (LD_PRELOAD, ld.so(8)):
    the command's own environment is its own only when it is held.
    """
    if not prefix:
        return [], environment
    # By these the leftovers of a crash are known.
    ours = {k: v for k, v in environment.items() if k.startswith("GITDEPLOY_")}
    given = (f"{name}={value}" for name, value in environment.items())
    return [*prefix, program("env"), "-i", *given], ours
