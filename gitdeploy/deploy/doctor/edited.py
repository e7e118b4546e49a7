"""Live releases whose files do not look as they were made; told by stat alone."""

import os
from collections.abc import Iterator

from gitdeploy import unchanged
from gitdeploy.comparison import is_below
from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding, seen_by
from gitdeploy.deploy.donor import read_manifest
from gitdeploy.deploy.facts import read_source
from gitdeploy.model import CHAINS, Release

__all__ = ["findings"]

_NO_REF = "refs/heads/main"


def findings(app: App) -> Iterator[Finding]:
    """Yield each head of a chain that somebody edited."""
    told: set[int] = set()
    for chain in reversed(CHAINS):  # prod first: it matters most
        head = app.ledger.chains.read(chain).head
        if head is None or head.release in told:
            continue
        told.add(head.release)
        release = app.ledger.releases.get(head.release)
        if paths := _edited(app, release):
            more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
            yield Finding(
                "release-edited",
                f"{app.directory(release)}: {os.fsdecode(paths[0])!r}{more}"
                " changed since it was made",
                f"{seen_by(app, app.public.name(chain, 1))} may get something else"
                " than was pushed",
                f"gitdeploy verify {app.name} {release.number}",
            )


def _edited(app: App, release: Release) -> list[bytes]:
    directory = app.directory(release)
    if release.path or release.commit is None or not directory.is_dir():
        return []
    record = read_manifest(app, release)
    if record is None:
        return []
    config = read_source(app, _NO_REF, release.commit).config.shared
    shared = {os.fsencode(path) for path in (*config.files, *config.dirs)}
    found = unchanged.edited(directory, record.folders)
    return sorted(path for path in found if not is_below(path, shared))
