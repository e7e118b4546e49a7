"""How git is told to ask us: the hooks and settings of an app's repository."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.hook_files import install, keep
from gitdeploy.errors import ConfigError
from gitdeploy.repository import GATE, Repository
from gitdeploy.system import process
from gitdeploy.system.git import BOUNDED
from gitdeploy.system.surroundings import Surroundings

__all__ = [
    "GATE_FROM",
    "HARMLESS",
    "HOOKS",
    "PACK_LIMIT",
    "git_version",
    "set_gate",
    "settings",
    "wire",
]

HOOKS: Final = ("pre-receive", "proc-receive", "post-receive")
GATE_FROM: Final = (2, 29)
"""The first git that has proc-receive."""
PACK_LIMIT: Final = "receive.maxInputSize"
"""How many bytes one push may send."""
_OPTIONS: Final = "receive.advertisePushOptions"
"""Without the gate, hooks that have to judge are handed them by their environment:
enough of them, and they cannot be started any more (execve(2), E2BIG)."""
_NONCE_SEED: Final = "receive.certNonceSeed"  # with one, git takes push --signed
_SEED_BYTES: Final = 32

# Findings of fsck that old, honest repositories have; they harm nobody here.
HARMLESS: Final = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)

_SETTINGS: Final = {
    "core.bare": "true",  # as init made it; without it a push is refused
    "core.hooksPath": "hooks",  # a global one would switch the hooks off
    "core.fsync": "all",
    "core.fsyncMethod": "fsync",
    "core.logAllRefUpdates": "always",
    "gc.auto": "0",
    "gpg.ssh.allowedSignersFile": "../allowed_signers",  # git is in the repository
    "receive.autogc": "false",
    "receive.denyDeletes": "false",  # the rule book decides, for tags as well
    "receive.denyNonFastForwards": "false",
    "receive.fsckObjects": "true",
    "receive.hideRefs": "refs/deploy",  # clients read them, only the server writes
    "receive.keepAlive": "1",
    "receive.unpackLimit": "1",  # a loose file of 1 GB is mapped whole, a pack is not
    **{f"receive.fsck.{finding}": "warn" for finding in HARMLESS},
    **BOUNDED,
}


def wire(app: App) -> list[str]:
    """Make hooks and settings as they shall be; return sentences about what changed.

    A hook that somebody wrote for this repository is kept beside ours.

    Changes: settings, then hooks, each only where it differs. Safe to repeat.
    """
    done, repository = [], app.repository
    if changed := repository.configure(settings(app, repository.settings())):
        done.append(f"configured {repository.path}: {', '.join(changed)}")
    for hook in HOOKS:
        place = repository.path / "hooks" / hook
        if kept := keep(place):
            done.append(
                f"kept {kept}, which was {place.name} and does not run any more"
            )
        if install(hook, place):
            done.append(f"installed {place}")
    return done


def set_gate(repository: Repository, *, closed: bool) -> list[str]:
    """Make a failed deployment reject the push, or not; say so where that is new."""
    key, value = GATE
    repository.configure({_OPTIONS: "true" if closed else "false"})
    if closed and repository.configure({key: value}):
        return ["the gate is closed: a failed deployment is rejected"]
    if not closed and repository.unset(key):
        return ["the gate is open: a failed deployment is put back"]
    return []


def settings(app: App, have: Mapping[str, str]) -> dict[str, str]:
    """Return what the repository of an app shall have.

    How large one push may be is server.toml's to say; a broken one says nothing. The
    secret by which git knows that a push certificate was made for it is kept.

    Args:
        app: The app.
        have: What its repository has, names in lower case.
    """
    seed = have.get(_NONCE_SEED.lower()) or os.urandom(_SEED_BYTES).hex()
    options = "false" if app.ledger.setting("gate") == "no" else "true"
    wanted = {**_SETTINGS, _OPTIONS: options, _NONCE_SEED: seed}
    with suppress(ConfigError):
        wanted[PACK_LIMIT] = str(app.server.limits.pack_bytes)
    return wanted


def git_version(surroundings: Surroundings) -> tuple[int, ...]:
    """Return the machine's git as numbers: `(2, 39, 5)`."""
    argv = [surroundings.program("git"), "version"]
    said = process.run(argv, env=surroundings.environment()).decode()
    numbers = said.split()[2].split(".")[:3]
    return tuple(int(number) for number in numbers if number.isdecimal())
