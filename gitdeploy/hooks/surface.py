"""What both hooks begin with: the app that git runs them for, and the pusher."""

import os
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.door import acting_key, acting_name, surroundings
from gitdeploy.system.client import Client
from gitdeploy.system.lifeline import Lifeline

__all__ = ["app_here", "report_to_pusher"]


def app_here(environ: Mapping[str, str]) -> App:
    """Return the app whose repository git runs this hook in.

    Raises:
        UsageError: The repository is not one that `gitdeploy setup` made.
    """
    repository = Path(environ.get("GIT_DIR", ".")).resolve()
    name = repository.name.removesuffix(".git")
    return App.open(
        repository.parent,
        name,
        surroundings(environ),
        acting_name(environ),
        acting_key(environ),
    )


def report_to_pusher() -> Report:
    """Return what tells the pusher: git relays a hook's stderr.

    From here on the pusher's terminal cannot stop us: what becomes of a deployment
    whose pusher is gone is deploy.toml's to say (`[build] on_disconnect`).
    """
    lifeline = Lifeline()
    lifeline.own_session()
    return Report(Client(os.dup(2)), lifeline)
