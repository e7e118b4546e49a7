"""Old releases removed: never one that a link shows, a process uses, or is pinned.

First the ledger says so, with the app's lock held; then directories go, which may take
long and needs no lock but one of its own: that of the one who removes.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.model import CHAINS, Release
from gitdeploy.retention import releases_to_prune
from gitdeploy.running import names_in_use
from gitdeploy.system import files, flock

__all__ = [
    "finish_pruning",
    "mark_pruned",
    "may_prune",
    "prune",
    "pruned_on_disk",
    "remove_all_pruned",
    "remove_pruned",
    "to_prune",
]

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
    mark_pruned(app, gone)
    remove_pruned(app)
    return gone


def mark_pruned(app: App, gone: Sequence[Release]) -> None:
    """Take releases off the chains, and note that their directories are gone.

    Changes: the ledger, in one transaction.
    """
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


def finish_pruning(app: App) -> None:
    """Go on with what was pruned when somebody died. Safe to repeat.

    Where somebody is removing it just now, nobody has to wait for that one; and where
    it cannot be removed, that keeps nobody from deploying.
    """
    if app.ledger.setting(_REMOVING):
        with suppress(OSError):
            remove_pruned(app, wait=False)


def may_prune(app: App) -> bool:
    """Return whether there are releases to prune, unless processes use all of them."""
    return bool(_candidates(app, None))


def to_prune(app: App, keep: int | None) -> list[Release]:
    """Return the releases that `prune` would remove, oldest first."""
    candidates = _candidates(app, keep)
    used = names_in_use(app.layout.releases) if candidates else set()
    return [release for release in candidates if release.name not in used]


def _candidates(app: App, keep: int | None) -> tuple[Release, ...]:
    if keep is None:
        keep = _keep(app)
    return releases_to_prune(
        app.ledger.releases.made_here(), keep=keep, protected=_on_links(app)
    )


def _on_links(app: App) -> set[int]:
    return {
        entry.release
        for name in CHAINS
        for entry in app.ledger.chains.first(name, app.public.positions)
    }


def _keep(app: App) -> int:
    """Return how many to keep, as deploy.toml of the newest deployment said."""
    if said := app.ledger.setting("keep"):
        return int(said)
    from gitdeploy.config import DEFAULTS

    return DEFAULTS.releases.keep


def pruned_on_disk(app: App) -> list[Release]:
    """Return the pruned releases of which a directory or a log is still there."""
    logs = (name.removesuffix(".log") for name in os.listdir(app.layout.logs))
    names = sorted({*os.listdir(app.layout.releases), *logs})
    releases = [app.ledger.releases.find(name) for name in names]
    return [
        release
        for release, name in zip(releases, names, strict=True)
        if release and release.name == name and release.state == "pruned"
    ]


def remove_pruned(app: App, *, wait: bool = True) -> None:
    """Remove what the ledger knows as pruned; a stranger's directory is left.

    Args:
        app: The app.
        wait: Whether to wait for somebody who removes already; else it is left to
            that one.
    """
    fd = files.open_to_hold(app.layout.tidying)
    try:
        if wait:
            flock.hold(fd)
        if wait or flock.try_to_hold(fd):
            remove_all_pruned(app)
    finally:
        os.close(fd)


def remove_all_pruned(app: App) -> None:
    """Do what `remove_pruned` does, for one who holds `layout.tidying`.

    Changes: logs and directories, then the note that there are some: by a
        transaction that looks again, as more may have been pruned meanwhile.
    """
    while gone := pruned_on_disk(app):
        for release in gone:
            files.remove_file(app.layout.outputs / release.name)
            files.remove_file(app.layout.log(release.name))
            files.remove_file(app.layout.manifest(release.name))
            files.remove_tree(app.directory(release))
    with app.ledger.transaction():
        if not pruned_on_disk(app):
            app.ledger.set_setting(_REMOVING, "")
