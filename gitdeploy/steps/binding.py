"""What a box shows of the machine, opened first and mounted by that descriptor.

So what is mounted is what was looked at, whatever takes its name meanwhile.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

from gitdeploy.errors import SystemFailed
from gitdeploy.ground import Ground
from gitdeploy.steps.bubblewrap import knows
from gitdeploy.system.below import open_beneath

__all__ = ["Bindings", "Kind", "Shown", "bindings"]

Shown: TypeAlias = Path | Ground
"""What a box shows: a place that the server names, or one that others write to."""

Kind: TypeAlias = Literal["--bind", "--ro-bind"]


@contextmanager
def bindings() -> Iterator["Bindings"]:
    """Give what opens places for the body, in which a command with them is started."""
    with ExitStack() as stack:
        yield Bindings(stack)


class Bindings:
    """Places that are opened to be shown.

    Attributes:
        fds: Their descriptors, which bwrap has to have, and closes.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.fds: list[int] = []

    def words(self, kind: Kind, place: Shown, at: Path | None = None) -> Iterator[str]:
        """Yield what mounts a place; nothing where it is not there.

        Args:
            kind: Whether it may be written to.
            place: What is mounted.
            at: Where; None: where it is.

        Raises:
            SystemFailed: It is a link by now, or behind one, where others write.
        """
        try:
            fd = _opened(place)
        except (FileNotFoundError, NotADirectoryError) as error:
            if isinstance(place, Ground) and os.path.lexists(str(place)):
                raise _led_astray(place) from error
            return
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise _led_astray(place) from error
        self._stack.callback(os.close, fd)
        if _takes_descriptors():
            self.fds.append(fd)
            yield from (f"{kind}-fd", str(fd), str(at or place))
        else:
            yield from (kind, str(place), str(at or place))


def _opened(place: Shown) -> int:
    if isinstance(place, Ground):
        return open_beneath(*place, os.O_PATH | os.O_DIRECTORY)
    return os.open(place, os.O_PATH | os.O_CLOEXEC)


def _led_astray(place: Shown) -> SystemFailed:
    return SystemFailed(
        f"{place} is no directory of its own, but a link: it is not shown to commands",
        hint=f"on the server: ls -l {place}",
    )


def _takes_descriptors() -> bool:
    """Return whether this bwrap(1) mounts what it is given as a descriptor.

    One of before 2024 does not. It mounts by name what was just looked at, in a
    directory that commands cannot write to. It could not reach /proc/PID/fd, for want
    of rights, and would hand /proc/self/fd on to the command.
    """
    return knows("--ro-bind-fd")
