"""Commands run without the privileges by which root writes into read-only files.

This keeps commands from accidents, not from malice: who may push may run anything as
the same user. And without the ones that setuid programs, such as sudo, would give.
"""

import os
from pathlib import Path
from typing import Final

from gitdeploy.errors import SystemFailed
from gitdeploy.system import process
from gitdeploy.system.programs import program
from gitdeploy.system.surroundings import BARE

__all__ = ["can_be_unprivileged", "setpriv"]

# Their numbers as in linux/capability.h; what each allows, in capabilities(7).
_PRIVILEGES: Final = {"chown": 0, "dac_override": 1, "fowner": 3}
_SETS: Final = ("CapInh", "CapPrm", "CapAmb")
_TRIAL_S: Final = 5.0


def setpriv(*, unprivileged: bool = False, no_new: bool = False) -> list[str]:
    """Return what goes in front of a command's argv; nothing where nothing is needed.

    Args:
        unprivileged: Whether it shall not write into read-only files.
        no_new: Whether what it executes gives it no privileges, for good.

    Source:
        setpriv(1) of util-linux. What is taken out of the bounding set and of the
        inheritable one does not come back, whatever the command executes.
    """
    words = ["--no-new-privs"] if no_new else []
    if unprivileged and _privileged():
        less = ",".join(f"-{name}" for name in _PRIVILEGES)
        words += [f"--bounding-set={less}", f"--inh-caps={less}"]
    return [program("setpriv"), *words, "--"] if words else []


def can_be_unprivileged() -> bool:
    """Return whether that works here, by trying."""
    prefix = setpriv(unprivileged=True)
    if not prefix:
        return True
    try:
        process.run([*prefix, program("true")], env=BARE, timeout_s=_TRIAL_S)
    except SystemFailed:
        return False
    return True


def _privileged() -> bool:
    """Return whether what we start would have one of the privileges.

    For root, what execve(2) gives is all that the bounding set leaves.
    """
    sets = (*_SETS, "CapBnd") if os.geteuid() == 0 or os.getuid() == 0 else _SETS
    lines = Path("/proc/self/status").read_text().splitlines()
    held = (line.partition(":\t") for line in lines)
    mask = sum(1 << number for number in _PRIVILEGES.values())
    return any(name in sets and int(value, 16) & mask for name, _, value in held)
