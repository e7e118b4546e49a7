"""Shared files and directories that a live release cannot reach any more."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gitdeploy.config import Shared
from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding, seen_by
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.report import Report
from gitdeploy.ground import Ground
from gitdeploy.model import CHAINS, ChainName, Entry
from gitdeploy.shared import targets, way_out
from gitdeploy.system import ground
from gitdeploy.system.below import link_below

__all__ = ["findings"]

_NO_REF = "refs/heads/main"


def findings(app: App) -> Iterator[Finding]:
    """Yield every shared path that a release on a link does not reach."""
    if app.shared_is_unmoved:
        yield Finding(
            "shared-not-apart",
            f"{app.layout.shared} still holds what is only dev's or only prod's",
            "whoever may stage reaches prod's secrets, and each build is refused",
            f"gitdeploy setup {app.name}",
        )
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
    shared = app.shared_of(config.scope, chain)
    wanted = targets(directory, shared, config, anchor=app.layout.home)
    for path, target in wanted.items():
        if finding := _link(directory, path, target, who):
            yield finding
    yield from _behind(shared, config, who)


def _link(directory: Path, path: str, target: str, who: str) -> Finding | None:
    """Return what is wrong with a release's link to a shared path."""
    place = Ground(directory, path)
    if ground.link_at(place) == target:
        return None
    kind = _kind_of(place)
    if kind not in ("missing", "link"):
        return Finding(
            "shared-link-replaced",
            f"{place} is not the link to what is shared any more",
            f"{who} get it instead, and it goes when the release goes",
            f"mv {place} {place}.old && ln -s {target} {place}",
        )
    found = "points elsewhere" if kind == "link" else "is missing"
    return Finding(
        "shared-link-missing",
        f"{place} {found}; it shall be a link to {target}",
        f"{who} do without the shared {path}",
        fix=partial(_relink, directory=directory, path=path, target=target),
    )


def _kind_of(place: Ground) -> ground.Kind:
    """Return what is at a place; `other` where it lies behind a link or a file."""
    try:
        return ground.kind_of(place)
    except OSError:
        return "other"


def _behind(shared: Ground, config: Shared, who: str) -> Iterator[Finding]:
    """Yield the shared paths that are not there to be linked to."""
    for path in config.dirs:
        place = shared / path
        if (kind := _kind_of(place)) == "directory":
            continue
        taken = kind != "missing"
        yield Finding(
            "shared-directory-missing",
            f"{place} is {'no directory' if taken else 'missing'}",
            f"{who} do without the shared {path}; what it should keep is lost",
            f"mv {place} {place}.old" if taken else "",
            fix=None if taken else partial(_make, place=place),
        )
    for path in config.files:
        place = shared / path
        if (kind := _kind_of(place)) != "file":
            taken = kind != "missing"
            yield Finding(
                "shared-file-missing",
                f"{place} is {'no file' if taken else 'missing'}",
                f"{who} do without the shared {path}; the next push is refused",
                f"mv {place} {place}.old" if taken else way_out(place),
            )


def _relink(
    _app: App, _report: Report, *, directory: Path, path: str, target: str
) -> None:
    if _kind_of(Ground(directory, path)) in ("missing", "link"):
        link_below(directory, path, target)


def _make(_app: App, _report: Report, *, place: Ground) -> None:
    ground.make_directory(place)
