"""click's way of failing turned into ours: what it dislikes is a `UsageError`."""

import sys

import click

from gitdeploy.cli.inputs import check_words
from gitdeploy.errors import UsageError

__all__ = ["invoked"]

_WRONG: int = UsageError.exit_code


def invoked(command: click.Command, name: str) -> int:
    """Run a command with the words of this process; return its exit status.

    Args:
        command: What to run.
        name: What it is called, in help and in hints.

    Raises:
        GitdeployError: As the command does.
        UsageError: The words make no sense to the command, or one is too long.
        KeyboardInterrupt: The person had enough.
    """
    check_words(sys.argv[1:])
    try:
        status = command.main(prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return _WRONG
    except click.ClickException as error:
        raise _translated(error, name) from error
    except click.Abort as error:
        raise KeyboardInterrupt from error
    return status if isinstance(status, int) else 0


def _translated(error: click.ClickException, name: str) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else name
    sentence = " ".join(error.format_message().split()).rstrip(".")
    message = f"{sentence[:1].lower()}{sentence[1:]}".replace(
        "no such command", "no such verb"
    )
    return UsageError(message, hint=f"{path} --help")
