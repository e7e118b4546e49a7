"""Every failure gitdeploy foresees, one class per person who can mend it.

    GitdeployError
    ├── UsageError        who typed the command (2)
    ├── ConfigError       the author of deploy.toml or server.toml (2)
    ├── ReleaseFailed     the app's author: this commit cannot become a release (1)
    │   ├── StepFailed    a step of deploy.toml did not succeed (1)
    │   ├── Unhealthy     what is live does not answer as it should (1)
    │   ├── Withdrawn     it did not work, live; what was there before is back (1)
    │   └── Cancelled     nobody: somebody wanted it to stop (1)
    ├── AccessDenied      whoever may grant it: this key may not do that (1)
    ├── SystemFailed      the operator: disk, permission, a program missing (1)
    ├── NothingThere      nobody: there is nothing to roll back or forward to (5)
    ├── LockHeld          nobody: wait (75)
    └── StateError        the operator: ledger and disk contradict each other (4)

A decision that says no is a value (`decide.Refuse`), not one of these.
"""

from typing import ClassVar

__all__ = [
    "AccessDenied",
    "Cancelled",
    "ConfigError",
    "GitdeployError",
    "LockHeld",
    "NothingThere",
    "ReleaseFailed",
    "StateError",
    "StepFailed",
    "SystemFailed",
    "Unhealthy",
    "UsageError",
    "Withdrawn",
]


class GitdeployError(Exception):
    """A failure gitdeploy foresaw; never raised as itself.

    Attributes:
        message: What could not be done and why, one sentence, no full stop.
        hint: The one command or edit that mends it; empty where there is none.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GitdeployError):
    """The command line asks for something that does not exist or cannot be."""

    exit_code = 2


class ConfigError(GitdeployError):
    """deploy.toml or server.toml is wrong."""

    exit_code = 2


class ReleaseFailed(GitdeployError):
    """A commit could not be made into a release.

    Attributes:
        release: The number of the release that failed; None where none was begun.
    """

    release: int | None = None


class StepFailed(ReleaseFailed):
    """A step of deploy.toml failed.

    Attributes:
        step: The step's name.
        outcome: How it ended: `exit 1`, `timed out after 10 min`, ….
    """

    def __init__(self, step: str, outcome: str, *, hint: str = "") -> None:
        super().__init__(f"{step} failed: {outcome}", hint=hint)
        self.step = step
        self.outcome = outcome


class Unhealthy(ReleaseFailed):
    """What is live does not answer as `[health]` wants it."""


class Withdrawn(ReleaseFailed):
    """A release was shown, did not work, and is not shown any more.

    Attributes:
        unfinished: Whether it could not be taken back; whoever comes next tries again.
        cancelled: Whether somebody did not want to wait until it works.
    """

    def __init__(self, message: str, *, unfinished: bool = False) -> None:
        super().__init__(message)
        self.unfinished = unfinished
        self.cancelled = False


class Cancelled(ReleaseFailed):
    """Somebody wanted it to stop, or nobody waits for it any more."""


class AccessDenied(GitdeployError):
    """Somebody who came over ssh asks for what they have no right to."""


class SystemFailed(GitdeployError):
    """The machine said no: a full disk, a missing right, a missing program."""


class NothingThere(GitdeployError):
    """A chain has no release to roll back or forward to."""

    exit_code = 5


class LockHeld(GitdeployError):
    """Another action works on this app and did not end in time."""

    exit_code = 75


class StateError(GitdeployError):
    """Ledger and disk contradict each other; a person must look."""

    exit_code = 4
