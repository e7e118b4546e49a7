"""Whether a deploy.toml declares a command at all: whatever is run may write."""

from collections.abc import Iterator

from gitdeploy.config.commands import Run
from gitdeploy.config.probing import Check
from gitdeploy.config.reading import Table
from gitdeploy.config.schema import Config
from gitdeploy.config.services import Service

__all__ = ["declares_commands"]


def declares_commands(config: Config) -> bool:
    """Return whether any command is declared, for any chain and any moment.

    Every table is looked at, wherever it lies, so that a new place for commands
    counts from its first day on.
    """
    return any(isinstance(table, Run | Check | Service) for table in _tables(config))


def _tables(top: Table) -> Iterator[Table]:
    """Yield a table and all that lie in it."""
    pending: list[object] = [top]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending += value
        elif isinstance(value, Table):
            yield value
            pending += (getattr(value, name) for name in value.__struct_fields__)
