"""Old releases removed: never one that a link shows, a process uses, or is pinned."""

import os
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.model import CHAINS, Release
from gitdeploy.retention import releases_to_prune
from gitdeploy.running import names_in_use
from gitdeploy.system import files

__all__ = ["finish_pruning", "prune", "to_prune"]

_REMOVING: Final = "removing"
"""The setting that says that directories may still have to be removed."""


def prune(app: App, *, keep: int | None, dry_run: bool) -> list[Release]:
    """Remove releases that nobody needs, oldest first; return them.

    Args:
        app: The app, whose lock is held.
        keep: How many ready releases to keep besides those on a link; None: as
            deploy.toml of the newest deployment said.
        dry_run: Only return what would be removed.

    Changes: the ledger, the chains first, then directories and logs. Safe to
        repeat: a directory that a crash left is removed by whoever comes next.
    """
    gone = to_prune(app, keep)
    if dry_run:
        return gone
    numbers = {release.number for release in gone}
    with app.ledger.transaction():
        if gone:
            app.ledger.set_setting(_REMOVING, "yes")
        for name in CHAINS:
            chain = app.ledger.chains.read(name)
            if (shorter := chain.without(numbers)) != chain:
                app.ledger.chains.write(shorter)
        for release in gone:
            app.ledger.releases.prune(release)
    _remove_directories(app)
    return gone


def finish_pruning(app: App) -> None:
    """Go on with what was pruned when somebody died. Safe to repeat."""
    if app.ledger.setting(_REMOVING):
        _remove_directories(app)


def _remove_directories(app: App) -> None:
    """Remove what the ledger knows as pruned; a stranger's directory is left."""
    logs = (name.removesuffix(".log") for name in os.listdir(app.layout.logs))
    for name in {*os.listdir(app.layout.releases), *logs}:
        release = app.ledger.releases.find(name)
        if release and release.name == name and release.state == "pruned":
            files.remove_file(app.layout.log(name))
            files.remove_tree(app.directory(release))
    app.ledger.set_setting(_REMOVING, "")


def to_prune(app: App, keep: int | None) -> list[Release]:
    """Return the releases that `prune` would remove, oldest first."""
    releases, shown = app.ledger.releases.on_disk(), _on_links(app)
    if keep is None:
        keep = _keep(app)
    candidates = releases_to_prune(releases, keep=keep, protected=shown)
    used = names_in_use(app.layout.releases) if candidates else set()
    return [release for release in candidates if release.name not in used]


def _on_links(app: App) -> set[int]:
    return {
        entry.release
        for name in CHAINS
        for entry in app.ledger.chains.read(name).entries[: app.public.positions]
    }


def _keep(app: App) -> int:
    """Return how many to keep, as deploy.toml of the newest deployment said."""
    if said := app.ledger.setting("keep"):
        return int(said)
    from gitdeploy.config import DEFAULTS

    return DEFAULTS.releases.keep
