"""A commit's files brought into a release's directory, looked through before.

What an earlier release has as well is shared with it; git writes the rest.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from gitdeploy import unchanged
from gitdeploy.checkout import check_out, check_out_some
from gitdeploy.config import Config
from gitdeploy.config.declared import declares_commands
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.conversion import growth
from gitdeploy.deploy.donor import (
    Donor,
    find_donor,
    may_give,
    rules_of,
    until_ns_of,
    way_of,
)
from gitdeploy.deploy.gitattributes import attribute_files, fingerprint
from gitdeploy.deploy.parts import deployed_tree, submodule_path
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.room import check_room
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import Manifest
from gitdeploy.sharing import Way
from gitdeploy.system import clock, files
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.git import Git
from gitdeploy.system.terminal import count
from gitdeploy.tree import Inspection, Submodule, inspect
from gitdeploy.unchanged import Folders

__all__ = ["Made", "materialise"]


@dataclass(frozen=True, slots=True)
class Made:
    """What is in a release's directory before any step ran."""

    files: int
    """Files and links."""
    size_bytes: int
    manifest: Manifest
    linked: bool
    """Whether a file may be another release's file under one more name."""


def materialise(app: App, wanted: Wanted, directory: Path, report: Report) -> Made:
    """Write what a commit deploys into a new directory; return what it holds.

    Changes: `directory`, and mirrors of submodules.

    Raises:
        ReleaseFailed: The tree cannot be deployed, or does not fit; where that can
            be known before, nothing was written.
    """
    watch = Stopwatch()
    rules, donor = rules_of(app, wanted.config), find_donor(app, wanted.chain)
    inspection = _inspected(app, wanted, donor, rules)
    path = str(wanted.config.checkout.path)
    attributes = fingerprint(app, wanted.tree, path, inspection.folders)
    holding = list(attribute_files(app, wanted.tree, path, inspection.folders))
    way = way_of(app, wanted.config)
    _tell_if_copied(app, wanted.config, way, report)
    if donor and not (
        may_give(donor, wanted.config, way) and donor.manifest.attributes == attributes
    ):
        donor = None
    git = app.repository.git
    more = growth(app, git, inspection, holding, path=path, donor=donor)
    check_room(app, inspection, donor, more_bytes=more)
    files.make_directory(directory, files.FOR_ALL_TO_VISIT)
    folders = _written(app, wanted, inspection.folders, directory, donor, way)
    written = sum(1 for _ in unchanged.unwritten(folders))
    if inspection.submodules:
        inspection = _mount_submodules(app, wanted, inspection, directory)
    folders = unchanged.stamp(directory, folders, read_only=way == "hardlink")
    made_ns = files.stamp_now(directory)
    clock.wait_past(made_ns)  # a step's changes shall show
    report.line("checkout", _said(inspection.files, written, donor), watch.seconds)
    manifest = msgspec.structs.replace(
        Manifest.of(folders, path=path, rules=rules, attributes=attributes),
        has_commands=declares_commands(wanted.config),
        made_ns=made_ns,
    )
    return Made(inspection.files, inspection.size_bytes, manifest, way == "hardlink")


def _inspected(app: App, wanted: Wanted, donor: Donor | None, rules: str) -> Inspection:
    """Look through the tree; what a release inspected by the same rules had is fine."""
    shared = wanted.config.shared
    same_rules = donor is not None and donor.manifest.rules == rules
    return inspect(
        app.repository.git,
        deployed_tree(app, wanted.tree, wanted.config),
        app.server.limits,
        shared=(*shared.files, *shared.dirs),
        before=donor.manifest if donor and same_rules else None,
    )


def _written(
    app: App,
    wanted: Wanted,
    folders: Folders,
    directory: Path,
    donor: Donor | None,
    way: Way,
) -> Folders:
    """Bring every file into the directory; return which are shared, by their stamps."""
    git, path = app.repository.git, wanted.config.checkout.path
    if donor is None:
        check_out(git, wanted.tree, directory, path=path)
        return unchanged.unstamped(folders)
    source = app.directory(donor.release)
    folders = unchanged.keep(
        source,
        donor.manifest.folders,
        directory,
        folders,
        clones=way == "reflink",
        until_ns=until_ns_of(donor, way),
    )
    rest = list(unchanged.unwritten(folders))
    if rest:
        attributes = attribute_files(app, wanted.tree, path, folders)
        check_out_some(git, rest, directory, attributes=attributes, path=path)
    return folders


def _tell_if_copied(app: App, config: Config, way: Way, report: Report) -> None:
    """Say what the server would have to allow for what deploy.toml asks for."""
    asked = config.checkout.share == "always" and way == "copy"
    if asked and not app.server.sharing.hard_links:
        report.line("sharing", "files are copied: [sharing] hard_links of server.toml")


def _said(files: int, written: int, donor: Donor | None) -> str:
    if donor is None:
        return count(files, "file")
    return f"{written:,} of {count(files, 'file')} changed"


def _mount_submodules(
    app: App, wanted: Wanted, inspection: Inspection, directory: Path
) -> Inspection:
    from gitdeploy.submodules import mirrored, urls

    if not wanted.config.checkout.submodules:
        raise ReleaseFailed(
            f"{inspection.submodules[0].path!r} is a submodule",
            hint="write  [checkout] submodules = true  into deploy.toml",
        )
    known = urls(app.repository.git, wanted.tree)
    so_far = inspection
    for submodule in inspection.submodules:
        path = submodule_path(wanted.config, submodule.path)
        if path not in known:
            raise ReleaseFailed(f".gitmodules does not say where {path!r} comes from")
        mirror = mirrored(
            known[path],
            submodule.commit,
            modules=app.layout.modules,
            git_in=lambda place: Git(place, app.surroundings),
            sources=app.server.submodules,
        )
        so_far = _mount(app, mirror, submodule, directory, so_far)
    return so_far


def _mount(
    app: App, mirror: Git, submodule: Submodule, directory: Path, so_far: Inspection
) -> Inspection:
    """Check a submodule out into its place; return what the release holds then."""
    tree = mirror("rev-parse", f"{submodule.commit}^{{tree}}").decode().strip()
    limits = app.server.limits
    inner = inspect(mirror, tree, limits, besides=so_far)
    if inner.submodules:
        raise ReleaseFailed(
            f"submodule {submodule.path!r} has submodules of its own;"
            " that is not supported"
        )
    check_room(app, inner, None, more_bytes=_grown(app, mirror, inner))
    check_out(mirror, tree, directory / submodule.path)
    return Inspection(so_far.files + inner.files, so_far.size_bytes + inner.size_bytes)


def _grown(app: App, mirror: Git, inner: Inspection) -> int:
    attributes = list(attribute_files(app, "", ".", inner.folders))
    return growth(app, mirror, inner, attributes)
