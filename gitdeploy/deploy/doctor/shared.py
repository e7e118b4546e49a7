"""Shared files and directories that a live release cannot reach any more."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gitdeploy.config import Shared
from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding, seen_by
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.report import Report
from gitdeploy.model import CHAINS, ChainName, Entry
from gitdeploy.shared import targets, way_out
from gitdeploy.system import files
from gitdeploy.system.below import link_below

__all__ = ["findings"]

_NO_REF = "refs/heads/main"


def findings(app: App) -> Iterator[Finding]:
    """Yield every shared path that a release on a link does not reach."""
    told: set[str] = set()
    for chain, position, entry in _shown(app):
        who = seen_by(app, app.public.name(chain, position))
        for finding in _of_release(app, chain, entry, who):
            if finding.what not in told:
                told.add(finding.what)
                yield finding


def _shown(app: App) -> list[tuple[ChainName, int, Entry]]:
    """Return what stands on a link, the heads first: they matter most."""
    places = [
        (chain, position, entry)
        for chain in reversed(CHAINS)
        for position, entry in enumerate(app.ledger.chains.read(chain).entries, 1)
        if position <= app.public.positions
    ]
    return sorted(places, key=lambda place: place[1])


def _of_release(
    app: App, chain: ChainName, entry: Entry, who: str
) -> Iterator[Finding]:
    release = app.ledger.releases.get(entry.release)
    directory = app.directory(release)
    if release.commit is None or release.path or not directory.is_dir():
        return
    config = read_source(app, entry.ref or _NO_REF, release.commit).config.shared
    shared = app.layout.shared_of(config.scope, chain)
    wanted = targets(directory, shared, config, anchor=app.layout.home)
    for path, target in wanted.items():
        if finding := _link(directory, path, target, who):
            yield finding
    yield from _behind(shared, config, who)


def _link(directory: Path, path: str, target: str, who: str) -> Finding | None:
    """Return what is wrong with a release's link to a shared path."""
    place = directory / path
    if place.is_symlink() and os.readlink(place) == target:
        return None
    if os.path.lexists(place) and not place.is_symlink():
        return Finding(
            "shared-link-replaced",
            f"{place} is not the link to what is shared any more",
            f"{who} get it instead, and it goes when the release goes",
            f"mv {place} {place}.old && ln -s {target} {place}",
        )
    found = "points elsewhere" if place.is_symlink() else "is missing"
    return Finding(
        "shared-link-missing",
        f"{place} {found}; it shall be a link to {target}",
        f"{who} do without the shared {path}",
        fix=partial(_relink, directory=directory, path=path, target=target),
    )


def _behind(shared: Path, config: Shared, who: str) -> Iterator[Finding]:
    """Yield the shared paths that are not there to be linked to."""
    for path in config.dirs:
        place = shared / path
        if place.is_dir():
            continue
        taken = os.path.lexists(place)
        yield Finding(
            "shared-directory-missing",
            f"{place} is {'no directory' if taken else 'missing'}",
            f"{who} do without the shared {path}; what it should keep is lost",
            f"mv {place} {place}.old" if taken else "",
            fix=None if taken else partial(_make, place=place),
        )
    for path in config.files:
        place = shared / path
        if not place.is_file():
            yield Finding(
                "shared-file-missing",
                f"{place} is {'no file' if os.path.lexists(place) else 'missing'}",
                f"{who} do without the shared {path}; the next push is refused",
                way_out(place),
            )


def _relink(
    _app: App, _report: Report, *, directory: Path, path: str, target: str
) -> None:
    if not os.path.lexists(directory / path) or (directory / path).is_symlink():
        link_below(directory, path, target)


def _make(_app: App, _report: Report, *, place: Path) -> None:
    files.make_directory(place, files.FOR_ALL_TO_VISIT)
