"""What both hooks begin with: the app that git runs them for, and the pusher."""

import os
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.door import acting_key, acting_name, surroundings
from gitdeploy.errors import AccessDenied
from gitdeploy.system.client import Client
from gitdeploy.system.disk import user_name
from gitdeploy.system.lifeline import Lifeline

__all__ = ["app_here", "report_to_pusher"]


def app_here(environ: Mapping[str, str]) -> App:
    """Return the app whose repository git runs this hook in.

    Raises:
        UsageError: The repository is not one that `gitdeploy setup` made.
        AccessDenied: Another user of the machine pushes, and not with a key.
    """
    repository = Path(environ.get("GIT_DIR", ".")).resolve()
    name = repository.name.removesuffix(".git")
    _check_is_ours(repository)
    return App.open(
        repository.parent,
        name,
        surroundings(environ),
        acting_name(environ),
        acting_key(environ),
    )


def _check_is_ours(repository: Path) -> None:
    """Say nothing if we are whom the app belongs to: nobody asks for rights then.

    Also root is refused: what its git has received is root's, and would stay among
    that user's files.

    Raises:
        AccessDenied: We are somebody else, whom the files happen to let in.
    """
    owner, us = repository.stat().st_uid, os.geteuid()
    if us != owner:
        name = repository.name.removesuffix(".git")
        raise AccessDenied(
            f"{name} belongs to {user_name(owner)}, and this is {user_name(us)};"
            " others push with a key of theirs",
            hint="gitdeploy key add NAME FILE  # on the server",
        )


def report_to_pusher() -> Report:
    """Return what tells the pusher: git relays a hook's stderr.

    From here on the pusher's terminal cannot stop us: what becomes of a deployment
    whose pusher is gone is deploy.toml's to say (`[build] on_disconnect`).
    """
    lifeline = Lifeline()
    lifeline.own_session()
    return Report(Client(os.dup(2)), lifeline)
