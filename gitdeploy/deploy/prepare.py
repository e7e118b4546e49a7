"""A commit made into a ready release: nothing public changes here."""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitdeploy.checkout import check_out
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.reuse import reuse, step_key
from gitdeploy.errors import GitdeployError, ReleaseFailed
from gitdeploy.logs import Log
from gitdeploy.model import Release
from gitdeploy.shared import link_shared
from gitdeploy.steps import Mask, run_step
from gitdeploy.system import clock, files
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.git import Git
from gitdeploy.system.terminal import count, for_humans, human_bytes
from gitdeploy.tree import Inspection, Submodule, inspect

__all__ = ["prepare"]


def prepare(app: App, wanted: Wanted, report: Report) -> Release:
    """Return a ready release made from a commit.

    Changes: the ledger (preparing), the release's directory and log, missing shared
        paths, the disk synced, the ledger (ready). A crash leaves a release in state
        preparing, which the next action marks as failed.

    Raises:
        ReleaseFailed: The commit cannot become a release; it is marked as failed,
            and its directory and log stay for a look.
    """
    created = clock.now()
    release = app.ledger.releases.begin(
        content=wanted.content,
        created=created,
        suffix=f"{clock.compact(created)}-{wanted.commit[:7]}",
        commit=wanted.commit,
        tree=wanted.tree,
    )
    try:
        with _logged(app, release, wanted, report):
            return _made(app, release, wanted, report)
    except (GitdeployError, OSError) as error:
        failure = _as_failure(error)
        with suppress(GitdeployError):
            app.ledger.releases.fail(release, failure.message)
        failure.release = release.number
        raise failure from error


@contextmanager
def _logged(
    app: App, release: Release, wanted: Wanted, report: Report
) -> Iterator[None]:
    """Keep all that is told, and how it ends, in the release's log."""
    limit_bytes = app.server.limits.log_bytes
    with Log(app.layout.log(release.name), limit_bytes=limit_bytes) as log:
        report.log = log
        log.heading(f"release {release.name} of {app.name}, {wanted.ref}")
        try:
            yield
        except (GitdeployError, OSError) as error:
            log.heading(f"failed  {_as_failure(error).message}")
            raise
        finally:
            report.log = None


def _made(app: App, release: Release, wanted: Wanted, report: Report) -> Release:
    directory = app.directory(release)
    inspection = _check_out(app, wanted, directory, report)
    _link_shared(app, wanted, directory, report)
    _run_steps(app, release, wanted, report)
    return _seal(app, release, inspection)


def _check_out(app: App, wanted: Wanted, directory: Path, report: Report) -> Inspection:
    watch = Stopwatch()
    config = wanted.config
    tree = _deployed_tree(app, wanted)
    shared = (*config.shared.files, *config.shared.dirs)
    limits = app.server.limits
    inspection = inspect(app.repository.path, tree, limits, shared=shared)
    _check_room(app, inspection)
    files.make_directory(directory)
    check_out(app.repository.git, wanted.tree, directory, path=config.checkout.path)
    if inspection.submodules:
        inspection = _mount_submodules(app, wanted, inspection, directory)
    report.line("checkout", count(inspection.files, "file"), watch.seconds)
    return inspection


def _check_room(app: App, inspection: Inspection) -> None:
    """Refuse before anything is written that would not fit."""
    free_bytes, free_inodes = files.room(app.layout.releases)
    hint = f"make room: gitdeploy prune {app.name} --keep 1"
    if inspection.size_bytes > free_bytes:
        need, have = human_bytes(inspection.size_bytes), human_bytes(free_bytes)
        raise ReleaseFailed(
            f"the files need {need}; the server's disk has {have} free", hint=hint
        )
    if inspection.files > free_inodes:
        raise ReleaseFailed(
            f"{count(inspection.files, 'file')} are too many: the server's disk can"
            f" hold {free_inodes:,} more",
            hint=hint,
        )


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
    check_out(mirror, tree, directory / submodule.path)
    return Inspection(so_far.files + inner.files, so_far.size_bytes + inner.size_bytes)


def _link_shared(app: App, wanted: Wanted, directory: Path, report: Report) -> None:
    config = wanted.config.shared
    if not config.files and not config.dirs:
        return
    place = app.layout.shared_of(config.scope, wanted.chain)
    names = link_shared(directory, place, config, anchor=app.layout.home)
    report.line("shared", "  ".join(names))


def _run_steps(app: App, release: Release, wanted: Wanted, report: Report) -> None:
    steps = wanted.config.build.steps
    if not steps:
        return
    assert report.log is not None
    environment = _environment(app, release, wanted)
    mask = _mask(Path(environment["GITDEPLOY_SHARED_DIR"]))
    for step in steps:
        key = step_key(app, wanted, step)
        if key and not wanted.anew and (donor := reuse(app, key, step, release)):
            report.line(step.title, f"reused from release {donor.number}")
            app.ledger.releases.made(release.number, key)
            continue
        report.begin(step.title, for_humans(step.run) if step.name else "")
        seconds = run_step(
            step,
            directory=app.directory(release),
            environment=environment,
            timeout_s=wanted.config.limit_s(step),
            log=report.log,
            tell=report.output,
            mask=mask,
        )
        report.end(seconds)
        if key:
            app.ledger.releases.made(release.number, key)


def _environment(app: App, release: Release, wanted: Wanted) -> dict[str, str]:
    head = app.ledger.chains.read(wanted.chain).head
    before = app.ledger.releases.get(head.release) if head else None
    shared = app.layout.shared_of(wanted.config.shared.scope, wanted.chain)
    return {
        **app.surroundings.environment(),
        **wanted.config.env_for(wanted.chain),
        "GITDEPLOY_APP": app.name,
        "GITDEPLOY_CHAIN": wanted.chain,
        "GITDEPLOY_COMMIT": wanted.commit,
        "GITDEPLOY_REF": wanted.ref,
        "GITDEPLOY_RELEASE": release.name,
        "GITDEPLOY_RELEASE_DIR": str(app.directory(release)),
        "GITDEPLOY_SHARED_DIR": str(shared),
        "GITDEPLOY_PREVIOUS_DIR": str(app.directory(before)) if before else "",
    }


def _mask(shared: Path) -> Mask:
    """Return what hides the values of the shared .env in what steps print."""
    env_file = shared / ".env"
    if not env_file.is_file():
        return Mask()
    from gitdeploy.envfile import values

    return Mask(values(env_file).values())


def _seal(app: App, release: Release, inspection: Inspection) -> Release:
    files.sync_directory(app.layout.releases)
    files.sync_filesystems([app.layout.releases, app.layout.shared])
    return app.ledger.releases.seal(
        release,
        at=clock.now(),
        files=inspection.files,
        size_bytes=inspection.size_bytes,
    )


def _as_failure(error: GitdeployError | OSError) -> ReleaseFailed:
    if isinstance(error, ReleaseFailed):
        return error
    if isinstance(error, GitdeployError):
        return ReleaseFailed(error.message, hint=error.hint)
    return ReleaseFailed(files.blamed(error))
