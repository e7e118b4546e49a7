"""An app's links moved to another target, or made more or fewer; none is forgotten."""

import json
import os
from pathlib import Path
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.flip import show
from gitdeploy.layout import Public
from gitdeploy.model import CHAINS
from gitdeploy.system import files

__all__ = ["finish_relocating", "relocate"]

_LEAVING: Final = "leaving"
"""The setting that remembers links which may still have to be removed."""


def relocate(app: App, target: Path, positions: int) -> tuple[list[str], list[Path]]:
    """Let an app have its links in `target`; return those made and those removed.

    Args:
        app: The app, whose lock is held.
        target: Absolute, and exists.
        positions: How many links each chain has.

    Changes: the settings, in one transaction; the new links; then the old ones. What
        a crash leaves is finished by whoever comes next. Safe to repeat.
    """
    ledger = app.ledger
    with ledger.transaction():
        if ledger.setting("target") and not ledger.setting(_LEAVING):
            old = [str(app.public.target), app.public.positions]
            ledger.set_setting(_LEAVING, json.dumps(old))
        ledger.set_setting("target", os.path.relpath(target, app.layout.root))
        ledger.set_setting("links", str(positions))
    del app.public
    return show(app), finish_relocating(app)


def finish_relocating(app: App) -> list[Path]:
    """Remove the links that an app had and has no more; return them.

    Changes: links that are ours and that no position has. Safe to repeat.
    """
    leaving = app.ledger.setting(_LEAVING)
    if not leaving:
        return []
    target, positions = json.loads(leaving)
    keep = _paths(app.public)
    old = Public(Path(target), app.name, positions)
    gone = [path for path in _paths(old) if path not in keep and path.is_symlink()]
    if gone:
        show(app)  # what takes their place is there before they go
    for path in gone:
        files.remove_file(path)
    app.ledger.set_setting(_LEAVING, "")
    return gone


def _paths(public: Public) -> list[Path]:
    names = [name for chain in CHAINS for name in public.names(chain)]
    return [public.target / name for name in (*names, *public.heads)]
