"""`gitdeploy`: the verbs by name; a verb's file is imported when it is used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

from gitdeploy import __version__
from gitdeploy.cli.invoking import invoked
from gitdeploy.door import guarded

__all__ = ["VERBS", "gitdeploy", "main"]

VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "Begin": ("setup", "server", "demo", "completion"),
    "Look": ("status", "releases", "history", "logs", "plan", "verify"),
    "Act": ("rollback", "rollforward", "release", "deploy", "redeploy", "cancel"),
    "Let in": ("key", "access"),
    "Keep": (
        "lock",
        "unlock",
        "maintenance",
        "env",
        "pin",
        "prune",
        "service",
        "notify",
        "doctor",
        "repair",
    ),
}
"""Every verb once, under the heading that `gitdeploy --help` gives it."""


class _Verbs(click.Group):
    """Finds a verb in the file of its name, which is not imported before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [verb for verbs in VERBS.values() for verb in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = import_module(f"gitdeploy.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for heading, verbs in VERBS.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{verb:<{width}}", self._about(ctx, verb)) for verb in verbs]
                )

    def _about(self, ctx: click.Context, verb: str) -> str:
        command = self.get_command(ctx, verb)
        assert command is not None
        return command.get_short_help_str(limit=62)


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="VERB [ARGS]…",
)
@click.version_option(__version__, message="gitdeploy %(version)s")
def gitdeploy() -> None:
    """Deploy with git push: a branch stages, a tag releases, a revert goes back.

    The verbs here are for the server; `gitdeploy VERB --help` tells more of each.
    The exit status is 0 when done, 1 after a refusal or failure, 2 for a wrong
    command or configuration, 4 where ledger and disk contradict each other, 5 where
    there is nothing to roll back or forward to, 75 while somebody else works on
    the app.
    """


def main() -> int:
    """Run the command line; return its exit status."""
    return guarded(lambda: invoked(gitdeploy, "gitdeploy"))
