"""A commit's files brought into a release's directory, looked through before."""

import posixpath
from pathlib import Path

from gitdeploy.checkout import check_out
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.room import check_room
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import files
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.git import Git
from gitdeploy.system.terminal import count
from gitdeploy.tree import Inspection, Submodule, inspect

__all__ = ["materialise"]


def materialise(
    app: App, wanted: Wanted, directory: Path, report: Report
) -> Inspection:
    """Write what a commit deploys into a new directory; return what it holds.

    Changes: `directory`, and mirrors of submodules.

    Raises:
        ReleaseFailed: The tree cannot be deployed, or does not fit; where that can
            be known before, nothing was written.
    """
    watch = Stopwatch()
    config = wanted.config
    tree = _deployed_tree(app, wanted)
    shared = (*config.shared.files, *config.shared.dirs)
    limits = app.server.limits
    inspection = inspect(app.repository.path, tree, limits, shared=shared)
    check_room(app, inspection)
    files.make_directory(directory)
    check_out(app.repository.git, wanted.tree, directory, path=config.checkout.path)
    if inspection.submodules:
        inspection = _mount_submodules(app, wanted, inspection, directory)
    report.line("checkout", count(inspection.files, "file"), watch.seconds)
    return inspection


def _deployed_tree(app: App, wanted: Wanted) -> str:
    path = wanted.config.checkout.path
    if path == ".":
        return wanted.tree
    if app.repository.type_at(wanted.tree, path) != "tree":
        raise ReleaseFailed(
            f"checkout.path: {path!r} is not a directory in this commit",
            hint="[checkout] path  in deploy.toml names the folder to deploy",
        )
    return app.repository.id_at(wanted.tree, path) or wanted.tree


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
        path = posixpath.normpath(f"{wanted.config.checkout.path}/{submodule.path}")
        if path not in known:
            raise ReleaseFailed(f".gitmodules does not say where {path!r} comes from")
        mirror = mirrored(
            known[path],
            submodule.commit,
            modules=app.layout.modules,
            git_in=lambda place: Git(place, app.surroundings),
            protocols=app.server.submodules.protocols,
        )
        so_far = _mount(app, mirror, submodule, directory, so_far)
    return so_far


def _mount(
    app: App, mirror: Git, submodule: Submodule, directory: Path, so_far: Inspection
) -> Inspection:
    """Check a submodule out into its place; return what the release holds then."""
    tree = mirror("rev-parse", f"{submodule.commit}^{{tree}}").decode().strip()
    limits = app.server.limits
    inner = inspect(mirror.directory, tree, limits, besides=so_far)
    if inner.submodules:
        raise ReleaseFailed(
            f"submodule {submodule.path!r} has submodules of its own;"
            " that is not supported"
        )
    check_room(app, inner)
    check_out(mirror, tree, directory / submodule.path)
    return Inspection(so_far.files + inner.files, so_far.size_bytes + inner.size_bytes)
