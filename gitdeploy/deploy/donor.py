"""The earlier release that a new one shares its unchanged files with."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from gitdeploy import manifest, unchanged
from gitdeploy.config import Config
from gitdeploy.config.declared import declares_commands
from gitdeploy.deploy.app import App
from gitdeploy.manifest import Manifest
from gitdeploy.model import CHAINS, ChainName, Release
from gitdeploy.sharing import Way, way_in
from gitdeploy.system import files

__all__ = [
    "Donor",
    "find_donor",
    "may_give",
    "read_manifest",
    "rewrite_manifest",
    "rules_of",
    "until_ns_of",
    "way_of",
    "without_touched",
    "write_manifest",
]

_RECIPE: Final = 1
"""Counts up when what was fit to be deployed is not any more."""


@dataclass(frozen=True, slots=True)
class Donor:
    """A ready release and the record of its files."""

    release: Release
    manifest: Manifest


def find_donor(app: App, chain: ChainName) -> Donor | None:
    """Return the release that one for `chain` probably has most in common with."""
    for release in _candidates(app, chain):
        if release.path is None and (record := read_manifest(app, release)):
            return Donor(release, record)
    return None


def _candidates(app: App, chain: ChainName) -> Iterator[Release]:
    for name in sorted(CHAINS, key=lambda name: name != chain):
        if head := app.ledger.chains.read(name).head:
            yield app.ledger.releases.get(head.release)
    yield from app.ledger.releases.newest_ready(1)


def read_manifest(app: App, release: Release) -> Manifest | None:
    """Return the record of a release's files; None where there is no sound one."""
    try:
        return manifest.decode(app.layout.manifest(release.name).read_bytes())
    except OSError:
        return None


def write_manifest(app: App, release: Release, record: Manifest) -> None:
    """Keep the record of a release's files; durable once the disk is synced."""
    files.make_directory(app.layout.manifests)
    files.write(app.layout.manifest(release.name), manifest.encode(record))


def rewrite_manifest(app: App, release: Release, record: Manifest) -> None:
    """Replace the record of a release that is ready: readers see old or new."""
    files.make_directory(app.layout.manifests)
    place = app.layout.manifest(release.name)
    files.write_whole(place, manifest.encode(record), durable=False)


def without_touched(directory: Path, record: Manifest) -> Manifest:
    """Return a record that does not vouch for files which are not as they were made."""
    gone = {path for path, _, _ in unchanged.touched(directory, record.folders)}
    folders = unchanged.forget(record.folders, gone)
    return msgspec.structs.replace(record, folders=folders)


def way_of(app: App, config: Config) -> Way:
    """Return how a release shares its unchanged files: `copy` if it does not.

    The same file is in two releases only where nobody writes: it is read-only, and
    deploy.toml declares no command at all, unless the server takes that upon itself.
    """
    share = config.checkout.share
    if share == "never":
        return "copy"
    try:
        hard_links = not declares_commands(config) or (
            share == "always"
            and app.server.sharing.hard_links
            and _can_be_unprivileged()
        )
        return way_in(app.layout.releases, hard_links=hard_links)
    except OSError:  # a full disk, say: whoever writes next says it well
        return "copy"


def may_give(donor: Donor, config: Config, way: Way) -> bool:
    """Return whether a release may share a donor's files that way.

    One in which commands may still write gives away no file of its own; clones are
    others. `share = "always"` has been looked at by `way_of`.
    """
    if way == "hardlink" and config.checkout.share != "always":
        return not donor.manifest.has_commands
    return way != "copy"


def until_ns_of(donor: Donor, way: Way) -> int | None:
    """Return what `unchanged.keep` trusts of a donor.

    One more name is a change of status, too: it tells nothing where files have many.
    """
    return None if way == "hardlink" else donor.manifest.vouched_until_ns


def _can_be_unprivileged() -> bool:
    from gitdeploy.steps import can_be_unprivileged

    return can_be_unprivileged()


def rules_of(app: App, config: Config) -> str:
    """Return what stands for all that decides whether a tree may be deployed."""
    shared = sorted((*config.shared.files, *config.shared.dirs))
    parts = (_RECIPE, app.server.limits, shared, config.checkout.path)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
