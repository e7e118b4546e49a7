"""A commit made into a ready release: nothing public changes here."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.donor import without_touched, write_manifest
from gitdeploy.deploy.materialise import Made, materialise
from gitdeploy.deploy.moved_shared import check_moved
from gitdeploy.deploy.quota import check_quota
from gitdeploy.deploy.ready import note_links_seen
from gitdeploy.deploy.release_log import log_open
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.still_wanted import check_still_wanted
from gitdeploy.errors import Cancelled, GitdeployError, ReleaseFailed
from gitdeploy.model import Release
from gitdeploy.system import clock, disk, files
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.signals import disturbable

__all__ = ["prepare"]


def prepare(app: App, wanted: Wanted, report: Report) -> Release:
    """Return a ready release made from a commit.

    Changes: the ledger (preparing), the release's directory and log, missing shared
        paths, the disk synced, the ledger (ready). A crash leaves a release in state
        preparing, which the next action marks as failed.

    Raises:
        ReleaseFailed: The commit cannot become a release, or shall not any more; it
            is marked as failed, and its directory and log stay for a look.
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
        with disturbable(), _logged(app, release, wanted, report):
            return _made(app, release, wanted, report)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is
        failure = _as_failure(app, error)
        if app.turn and isinstance(failure.__cause__, KeyboardInterrupt):
            app.turn.stop("a signal")  # what else this push wants is not made either
        with suppress(GitdeployError):
            app.ledger.releases.fail(release, failure.message)
        failure.release = release.number
        raise failure from failure.__cause__


@contextmanager
def _logged(
    app: App, release: Release, wanted: Wanted, report: Report
) -> Iterator[None]:
    """Keep all that is told, and how it ends, in the release's log."""
    with log_open(app, release, report) as log:
        log.heading(f"release {release.name} of {app.name}, {wanted.ref}")
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - as below
            failure = _as_failure(app, error)
            word = "cancelled" if isinstance(failure, Cancelled) else "failed"
            log.heading(f"{word}  {failure.message}")
            raise failure from failure.__cause__


def _made(app: App, release: Release, wanted: Wanted, report: Report) -> Release:
    directory = app.directory(release)
    check_moved(app)
    check_still_wanted(app, wanted.config, report)
    made = materialise(app, wanted, directory, report)
    _link_shared(app, wanted, directory, report)
    if _commands(wanted):
        _check_env(app, wanted)
        _run_commands(app, release, wanted, made, report)
    check_still_wanted(app, wanted.config, report)
    if not directory.is_dir():
        raise ReleaseFailed("a build step removed the release's directory")
    if _commands(wanted):
        _put_links_right(app, wanted, directory, report)
        check_quota(app)
        _check_links(app, wanted, directory, report)
    return _seal(app, release, wanted, made)


def _commands(wanted: Wanted) -> bool:
    """Return whether anything of deploy.toml is run in the release."""
    config = wanted.config
    checks = () if wanted.unchecked else config.checks_for(wanted.chain)
    return bool(config.build.steps or checks)


def _run_commands(
    app: App, release: Release, wanted: Wanted, made: Made, report: Report
) -> None:
    """Build a release, then see whether its checks hold."""
    from gitdeploy.deploy.guard import guarded

    linked = made.manifest if made.linked else None
    with ExitStack() as stack:
        if linked:
            stack.enter_context(guarded(app, app.directory(release), linked))
        if wanted.config.build.steps:
            from gitdeploy.deploy.build import build

            build(app, release, wanted, report, linked=linked)
        if wanted.config.checks_for(wanted.chain) and not wanted.unchecked:
            from gitdeploy.deploy.checks import check

            check(app, release, wanted, report, linked=made.linked)


def _link_shared(app: App, wanted: Wanted, directory: Path, report: Report) -> None:
    config = wanted.config.shared
    if not config.files and not config.dirs:
        return
    from gitdeploy.shared import link_shared

    place = app.shared_of(config.scope, wanted.chain)
    most_bytes = app.server.limits.total_bytes
    names = link_shared(
        directory, place, config, anchor=app.layout.home, most_bytes=most_bytes
    )
    report.line("shared", "  ".join(names))


def _put_links_right(app: App, wanted: Wanted, directory: Path, report: Report) -> None:
    """See that commands left the links to what is shared as they were."""
    config = wanted.config.shared
    if not config.files and not config.dirs:
        return
    from gitdeploy.shared import put_links_right

    place = app.shared_of(config.scope, wanted.chain)
    put = put_links_right(directory, place, config, anchor=app.layout.home)
    if put:
        report.line("shared", f"{'  '.join(put)}: a command replaced it; linked again")


def _check_env(app: App, wanted: Wanted) -> None:
    """See that secrets of the shared .env can be hidden in what commands print."""
    from gitdeploy.shared import ENV, read_env

    read_env(app.shared_of(wanted.config.shared.scope, wanted.chain) / ENV)


def _check_links(app: App, wanted: Wanted, directory: Path, report: Report) -> None:
    from gitdeploy.deploy.release_links import check_links

    check_links(
        app,
        directory,
        wanted.config,
        wanted.chain,
        lambda: check_still_wanted(app, wanted.config, report),
    )


def _seal(app: App, release: Release, wanted: Wanted, made: Made) -> Release:
    """Make a release durable, with the record of its files, and then ready."""
    manifest = made.manifest
    if _commands(wanted):  # what they changed is not shared any further
        manifest = without_touched(app.directory(release), manifest)
    write_manifest(app, release, manifest)
    layout = app.layout
    files.sync_directory(layout.releases)
    shared = app.shared_of(wanted.config.shared.scope, wanted.chain).base
    places = (layout.releases, shared, layout.manifests)
    files.sync_filesystems([place for place in places if place.is_dir()])
    note_links_seen(app, release)
    return app.ledger.releases.seal(
        release, at=clock.now(), files=made.files, size_bytes=made.size_bytes
    )


def _as_failure(app: App, error: Exception | KeyboardInterrupt) -> ReleaseFailed:
    """Return why there is no release; its cause is what was raised, if that differs."""
    if isinstance(error, ReleaseFailed):
        return error
    failure: ReleaseFailed
    if isinstance(error, KeyboardInterrupt):
        by = app.turn.cancelled_by if app.turn else None
        failure = Cancelled(f"cancelled by {by or 'a signal'}")
    else:
        no = foreseen(error)
        hint = no.hint if isinstance(no, GitdeployError) else ""
        failure = ReleaseFailed(disk.blamed(no), hint=hint)
    failure.__cause__ = error
    return failure
