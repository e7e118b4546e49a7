"""`gitdeploy completion`: what makes a shell complete verbs, apps and releases."""

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

__all__ = ["command"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that makes a shell complete words.

    It completes verbs, apps and releases. For example, in ~/.bashrc:

    eval "$(gitdeploy completion bash)"
    """
    from gitdeploy.cli.main import gitdeploy

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(gitdeploy, {}, "gitdeploy", "_GITDEPLOY_COMPLETE")
    # Without bash's own look at which bash there is: that may be another machine.
    sys.stdout.write(f"{ShellComplete.source(script).strip()}\n")
