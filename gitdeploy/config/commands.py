"""The commands of deploy.toml: what has to succeed, how long it may take."""

from typing import Final, Literal, TypeAlias

from msgspec import field

from gitdeploy.config.paths import RelativePath, refuse_overlap
from gitdeploy.config.reading import Table
from gitdeploy.config.rules import placed, refuse_empty
from gitdeploy.config.values import BadValueError, Label, Seconds

__all__ = ["Activation", "Command", "Run", "Step", "called"]

Command: TypeAlias = str | tuple[str, ...]
"""Text goes to `sh -eu`; a list is an argv and sees no shell."""

_TITLE_LENGTH: Final = 40


class Run(Table, frozen=True, kw_only=True):
    """One command that has to succeed."""

    run: Command
    """What to run, in the release directory. Never empty."""
    name: Label | None = None
    """What people call it, 1 to 40 characters; None: see `title`."""
    timeout_s: Seconds | None = field(name="timeout", default=None)
    """Seconds until it is killed; None: `[build] timeout`. See `Config.limit_s`."""

    def __post_init__(self) -> None:
        refuse_empty(self.run, ".run")

    @property
    def title(self) -> str:
        """The name, else the first line of `run`, at most 40 characters."""
        return self.name or called(self.run)


class Step(Run, frozen=True, kw_only=True):
    """[[build.steps]]: one command that makes the release, before it is shown."""

    inputs: tuple[RelativePath, ...] = ()
    """What it reads, patterns as in `globs`; while it is the same, `outputs` are
    reused. Default none."""
    outputs: tuple[RelativePath, ...] = ()
    """Files and folders it makes. Given together with `inputs`, or neither is."""
    tool: Command | None = None
    """What tells the version of what makes `outputs`; None: nothing does."""
    reuse: Literal["copy", "share", "off"] = "copy"
    """How `outputs` come from an earlier release; `off`: never. Default copy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_empty(self.tool, ".tool")
        if self.outputs and not self.inputs:
            raise BadValueError("given where outputs is", "nothing", at=".inputs")
        if self.inputs and not self.outputs:
            raise BadValueError("given where inputs is", "nothing", at=".outputs")
        if self.tool is not None and not self.inputs:
            raise BadValueError("given only where inputs is", "a command", at=".tool")
        refuse_overlap(placed(".outputs", self.outputs))


class Activation(Run, frozen=True, kw_only=True):
    """[[activate]] or [[deactivate]]: a command run around the flip, in the release."""


def called(command: Command) -> str:
    """Return the first line of a command that is not empty, at most 40 characters."""
    text = command if isinstance(command, str) else " ".join(command)
    line = text.strip().splitlines()[0]
    plain = "".join(sign for sign in line if sign.isprintable()) or "command"
    return plain if len(plain) <= _TITLE_LENGTH else plain[: _TITLE_LENGTH - 1] + "…"
