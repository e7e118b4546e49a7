"""The outputs of a step taken from a release that made them from the same inputs.

git has the ids of the inputs, so nothing is hashed: a step is known by its command,
its own environment, and the objects it says it reads.
"""

import hashlib
import json
from fnmatch import fnmatchcase

from gitdeploy.config import Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.model import Release
from gitdeploy.system import files

__all__ = ["reuse", "step_key"]

_GLOB = "*?["


def step_key(app: App, wanted: Wanted, step: Step) -> str | None:
    """Return what a step's outputs are known by; None for a step that always runs."""
    if not step.inputs:
        return None
    environment = sorted(wanted.config.env_for(wanted.chain).items())
    parts = [step.run, environment, step.outputs, _inputs(app, wanted, step)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def reuse(app: App, key: str, step: Step, release: Release) -> Release | None:
    """Copy a step's outputs into a release; return where from.

    None where no ready release holds them all: then the step has to run.

    Changes: the outputs in `release`, replacing what its commit has there.
    """
    into = app.directory(release)
    for donor in app.ledger.releases.holding(key):
        source = app.directory(donor)
        if all((source / output).exists() for output in step.outputs):
            for output in step.outputs:
                files.remove(into / output)
                files.make_directory((into / output).parent)
                files.copy(source / output, into / output)
            return donor
    return None


def _inputs(app: App, wanted: Wanted, step: Step) -> list[tuple[str, str | None]]:
    """Return the inputs with their object ids; None for one that does not exist."""
    base = wanted.config.checkout.path
    prefix = "" if base == "." else f"{base}/"
    plain = [path for path in step.inputs if not set(path) & set(_GLOB)]
    globs = [path for path in step.inputs if set(path) & set(_GLOB)]
    found: list[tuple[str, str | None]] = [
        (path, app.repository.id_at(wanted.tree, prefix + path)) for path in plain
    ]
    listing = app.repository.listing(wanted.tree) if globs else {}
    for pattern in globs:
        found.append((pattern, None))
        found += [
            (path, id_)
            for path, id_ in listing.items()
            if fnmatchcase(path, prefix + pattern)
        ]
    return found
