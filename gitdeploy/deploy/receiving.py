"""How git is told to ask us: the hooks and settings of an app's repository."""

import os
from collections.abc import Mapping
from typing import Final

from gitdeploy.deploy.hook_files import install
from gitdeploy.repository import GATE, Repository
from gitdeploy.system import process
from gitdeploy.system.git import BOUNDED
from gitdeploy.system.surroundings import Surroundings

__all__ = [
    "GATE_FROM",
    "HARMLESS",
    "HOOKS",
    "git_version",
    "set_gate",
    "settings",
    "wire",
]

HOOKS: Final = ("proc-receive", "post-receive")
GATE_FROM: Final = (2, 29)
"""The first git that has proc-receive."""

_PUSH_LIMIT: Final = "receive.maxInputSize"
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
    "receive.advertisePushOptions": "true",
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


def wire(repository: Repository) -> list[str]:
    """Make hooks and settings as they shall be; return sentences about what changed.

    Changes: settings, then hooks, each only where it differs. Safe to repeat.
    """
    done = []
    if changed := repository.configure(settings(repository.settings())):
        done.append(f"configured {repository.path}: {', '.join(changed)}")
    places = [(hook, repository.path / "hooks" / hook) for hook in HOOKS]
    done += [f"installed {place}" for hook, place in places if install(hook, place)]
    return done


def set_gate(repository: Repository, *, closed: bool) -> list[str]:
    """Make a failed deployment reject the push, or not; say so where that is new."""
    key, value = GATE
    if closed and repository.configure({key: value}):
        return ["the gate is closed: a failed deployment is rejected"]
    if not closed and repository.unset(key):
        return ["the gate is open: a failed deployment is put back"]
    return []


def settings(have: Mapping[str, str]) -> dict[str, str]:
    """Return what a repository shall have; how large a push may be is kept.

    So is the secret by which git knows that a push certificate was made for it.

    Args:
        have: What it has, names in lower case.
    """
    limit = have.get(_PUSH_LIMIT.lower()) or "2g"
    seed = have.get(_NONCE_SEED.lower()) or os.urandom(_SEED_BYTES).hex()
    return {**_SETTINGS, _PUSH_LIMIT: limit, _NONCE_SEED: seed}


def git_version(surroundings: Surroundings) -> tuple[int, ...]:
    """Return the machine's git as numbers: `(2, 39, 5)`."""
    said = process.run(["git", "version"], env=surroundings.environment()).decode()
    numbers = said.split()[2].split(".")[:3]
    return tuple(int(number) for number in numbers if number.isdecimal())
