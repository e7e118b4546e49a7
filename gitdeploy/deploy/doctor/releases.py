"""Releases whose directories are not as the ledger says."""

import os
import shlex
from collections.abc import Iterator
from functools import partial

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import NOBODY, Finding, seen_by, way_back
from gitdeploy.deploy.flip import show
from gitdeploy.deploy.prune import mark_pruned, pruned_on_disk, remove_pruned
from gitdeploy.deploy.report import Report
from gitdeploy.model import CHAINS, ChainName, Entry, Release
from gitdeploy.sharing import TRIALS
from gitdeploy.system import flock
from gitdeploy.system.disk import user_name

__all__ = ["findings", "pruned_findings"]


def findings(app: App) -> Iterator[Finding]:
    """Yield every release that is missing, or not ours."""
    ready = [r for r in app.ledger.releases.on_disk() if r.state == "ready"]
    gone = [release for release in ready if not app.directory(release).is_dir()]
    for release in gone:
        yield _missing(app, release, all_gone=len(gone) == len(ready))
    for name in sorted({*os.listdir(app.layout.releases)} - {*TRIALS}):
        release_ = app.ledger.releases.find(name)
        passing = name.startswith((app.layout.scratch.name, app.layout.alone.name))
        if not passing and (release_ is None or release_.name != name):
            place = shlex.quote(str(app.layout.releases / name))
            yield Finding(
                "unknown-release",
                f"{app.layout.releases / name} is no release that the ledger knows",
                "nobody: it is not ours, so it is left alone",
                f"mv {place} ~/",
            )


def pruned_findings(app: App) -> Iterator[Finding]:
    """Yield what prune did not come to remove, unless somebody is at it."""
    if flock.is_held(app.layout.tidying):
        return
    for release in pruned_on_disk(app):
        what = f"release {release.number} was pruned, and parts of it are still there"
        if mend := _not_ours(app, release):
            yield Finding("pruned-left", what, NOBODY, mend)
        else:
            yield Finding("pruned-left", what, NOBODY, fix=_remove)


def _remove(app: App, _report: Report) -> None:
    remove_pruned(app)


def _not_ours(app: App, release: Release) -> str:
    """Return what makes a pruned release ours again; empty where we can remove it."""
    if os.geteuid() == 0:
        return ""
    for path in (app.directory(release), app.layout.log(release.name)):
        if os.path.lexists(path) and os.lstat(path).st_uid != os.geteuid():
            us = user_name(os.geteuid())
            return f"chown -R {us}: {shlex.quote(str(path))}"
    return ""


def _missing(app: App, release: Release, *, all_gone: bool) -> Finding:
    what = f"{app.directory(release)} is missing"
    places = list(_places(app, release))
    for chain, position, entry in places:
        if position == 1:
            return _head_missing(app, chain, entry, what)
    if all_gone:
        return Finding(
            "release-missing",
            f"{what}, as all releases are",
            "nobody can go back to it; perhaps a disk is not mounted",
            f"ls -l {app.layout.releases}",
        )
    means = "nobody: it is on no link"
    for chain, position, _ in places:
        if position <= app.public.positions:
            means = (
                f"nobody yet; {way_back(app, chain, position)}, and it shows nothing"
            )
    return Finding(
        "release-missing", what, means, fix=partial(_forget, number=release.number)
    )


def _head_missing(app: App, chain: ChainName, entry: Entry, what: str) -> Finding:
    link = app.public.name(chain, 1)
    there = "an empty directory" if (app.public.target / link).exists() else "nothing"
    way_out = f"gitdeploy rollback {app.name} {chain}"
    if entry.commit:
        way_out = f"gitdeploy redeploy {app.name} {chain}"
    return Finding(
        "release-missing", what, f"{seen_by(app, link)} get {there}", way_out
    )


def _places(app: App, release: Release) -> Iterator[tuple[ChainName, int, Entry]]:
    for chain in CHAINS:
        entries = app.ledger.chains.read(chain).entries
        for position, entry in enumerate(entries, start=1):
            if entry.release == release.number:
                yield chain, position, entry


def _forget(app: App, _report: Report, *, number: int) -> None:
    """Take a release that is gone off the chains, as prune would have done."""
    release = app.ledger.releases.get(number)
    if release.state == "ready" and not app.directory(release).is_dir():
        mark_pruned(app, [release])
        show(app)
        remove_pruned(app)
