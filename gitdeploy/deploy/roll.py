"""Moves along the chains that no push asks for: the server's own commands.

Each is called with the app's lock held (`recover.locked`) and moves no ref: what a
branch holds stays what was pushed, and nothing ever puts a release back by itself
that was rolled back here on purpose.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy.chain import Chain
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.facts import Source, content_id, read_source
from gitdeploy.deploy.flip import check_showable, flip, go_back
from gitdeploy.deploy.report import Report
from gitdeploy.errors import (
    Cancelled,
    GitdeployError,
    NothingThere,
    ReleaseFailed,
    UsageError,
)
from gitdeploy.ledger import dumps
from gitdeploy.model import ChainName, Deployment, Entry, Release, VerdictWord
from gitdeploy.system import clock, disk, files
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.signals import undisturbed

__all__ = [
    "Outcome",
    "deploy_directory",
    "redeploy",
    "release_staged",
    "roll_back",
    "roll_forward",
]


_NO_REF: Final = "refs/heads/main"
"""For a commit that no ref put on a chain; what is read depends on the commit."""


class Outcome(Struct, frozen=True):
    """What a move came to."""

    word: VerdictWord
    chain: ChainName
    release: Release
    """The head now."""
    before: Release | None
    """The head before; None where there was none."""


def roll_back(
    app: App, name: ChainName, *, steps: int = 1, to: Release | None = None
) -> Outcome:
    """Make an earlier release of a chain its head again; it can be rolled forward.

    Args:
        app: The app.
        name: The chain.
        steps: How many positions to go back, unless `to` is given.
        to: The release to go back to.

    Raises:
        NothingThere: The chain is not that long.
        UsageError: `to` does not stand on the chain.
    """
    if to is not None:
        steps = _steps_to(app, name, to)
    return _move(
        app,
        name,
        "rollback",
        "rolled back",
        lambda chain: chain.roll_back(steps, clock.now()) if steps else chain,
    )


def roll_forward(app: App, name: ChainName) -> Outcome:
    """Undo the latest roll back of a chain.

    Raises:
        NothingThere: There is none to undo.
    """
    return _move(
        app,
        name,
        "rollforward",
        "rolled forward",
        lambda chain: chain.roll_forward(clock.now()),
    )


def release_staged(app: App, report: Report) -> Outcome:
    """Put what is staged at the head of the prod chain; dev is unchanged.

    Where dev and prod have shared state of their own, prod gets a release of its
    own from the same commit.

    Raises:
        NothingThere: Nothing is staged.
        ReleaseFailed: Prod's own release could not be prepared.
    """
    staged = app.ledger.chains.read("dev").head
    if staged is None:
        raise NothingThere("nothing is staged, so there is nothing to release")
    release = app.ledger.releases.get(staged.release)
    if release.commit:
        source = read_source(app, staged.ref or _NO_REF, release.commit)
        content = content_id(source, "prod")
        if content != release.content:
            ready = app.ready_with(content)
            release = (
                ready[0] if ready else _prepared(app, "release", source, "prod", report)
            )
    return _put(app, "prod", "release", release, staged.commit, None)


def deploy_directory(app: App, path: Path, name: ChainName) -> Outcome:
    """Put any directory at the head of a chain; no git is needed.

    The directory stays where it is and stays its owner's: it is linked, never
    changed and never pruned.

    Raises:
        UsageError: There is no such directory, or it is part of the app itself.
    """
    if not path.is_dir():
        raise UsageError(f"{path} is not a directory, so it cannot be deployed")
    directory = path.resolve()
    if directory.is_relative_to(app.layout.home.resolve()):
        own = _own(app, directory)
        return _put(app, name, "deploy", own, own.commit, None)
    return _put(app, name, "deploy", _adopted(app, directory), None, None)


def redeploy(app: App, name: ChainName, report: Report) -> Outcome:
    """Make the head of a chain anew from its commit, and show the new release.

    Raises:
        NothingThere: The chain is empty, or its head is a directory without a commit.
        ReleaseFailed: The commit did not become a release this time.
    """
    head = app.ledger.chains.read(name).head
    if head is None or head.commit is None:
        raise NothingThere(f"{name} shows no commit that could be deployed again")
    source = read_source(app, head.ref or _NO_REF, head.commit)
    report.title(app.name, name, head.commit[:7])
    release = _prepared(app, "redeploy", source, name, report, anew=True)
    return _put(app, name, "redeploy", release, head.commit, head.ref)


def _own(app: App, directory: Path) -> Release:
    """Return the release whose directory that is."""
    release = app.ledger.releases.find(directory.name)
    if release and release.state == "ready" and app.directory(release) == directory:
        return release
    raise UsageError(f"{directory} is part of {app.name} itself and no ready release")


def _prepared(
    app: App,
    action: str,
    source: Source,
    name: ChainName,
    report: Report,
    *,
    anew: bool = False,
) -> Release:
    """Return a release made for an action; a failure stands in history."""
    from gitdeploy.deploy.prepare import prepare

    if source.trouble:
        raise ReleaseFailed(source.trouble.reason, hint=source.trouble.hint)
    deployments = app.ledger.deployments
    try:
        return prepare(app, Wanted.of(source, name, anew=anew), report)
    except ReleaseFailed as error:
        word: VerdictWord = "cancelled" if isinstance(error, Cancelled) else "failed"
        event = deployments.begin(action, by=app.by, started=clock.now(), chain=name)
        deployments.end(event.id, word, reason=error.message, release=error.release)
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise


def _adopted(app: App, directory: Path) -> Release:
    """Return a release that stands for a directory that is not ours."""
    files.sync_filesystems([directory])
    content = f"directory:{directory}"
    if known := app.ledger.releases.ready_with(content):
        return known[0]
    created = clock.now()
    begun = app.ledger.releases.begin(
        content=content, created=created, suffix=f"{clock.compact(created)}-directory"
    )
    return app.ledger.releases.seal(begun, at=created, path=str(directory))


def _put(
    app: App,
    name: ChainName,
    action: str,
    release: Release,
    commit: str | None,
    ref: str | None,
) -> Outcome:
    entry = Entry(release.number, commit, ref, clock.now())
    return _move(app, name, action, "deployed", lambda chain: _pushed(chain, entry))


def _pushed(chain: Chain, entry: Entry) -> Chain:
    if chain.head and chain.head.release == entry.release:
        return chain
    return chain.push(entry)


def _move(
    app: App,
    name: ChainName,
    action: str,
    word: VerdictWord,
    change: Callable[[Chain], Chain],
) -> Outcome:
    """Write the intent down, flip, write the verdict down."""
    before = app.ledger.chains.read(name)
    after = change(before)
    check_showable(app, after)
    watch = Stopwatch()
    event = _intended(app, action, before, after)
    with undisturbed():
        if after == before:
            word = "unchanged"
        else:
            _flip_or_go_back(app, event, before, after)
        with suppress(GitdeployError):  # it has happened all the same
            app.ledger.deployments.end(event.id, word, seconds=watch.seconds)
    now, then = _head(app, after), _head(app, before)
    assert now is not None
    return Outcome(word, name, now, then)


def _intended(app: App, action: str, before: Chain, after: Chain) -> Deployment:
    """Return a new event whose intent is written down."""
    deployments = app.ledger.deployments
    event = deployments.begin(action, by=app.by, started=clock.now(), chain=before.name)
    _check_not_cancelled(app, event)
    deployments.intend(
        event.id,
        release=after.head.release if after.head else None,
        from_release=before.head.release if before.head else None,
        plan=dumps(before, after),
    )
    return event


def _head(app: App, chain: Chain) -> Release | None:
    return app.ledger.releases.get(chain.head.release) if chain.head else None


def _check_not_cancelled(app: App, event: Deployment) -> None:
    """Say nothing, unless somebody cancelled this while it waited for its turn."""
    if app.turn and (by := app.turn.cancelled_by):
        reason = f"cancelled by {by}"
        app.ledger.deployments.end(event.id, "cancelled", reason=reason)
        raise Cancelled(reason)


def _flip_or_go_back(app: App, event: Deployment, before: Chain, after: Chain) -> None:
    forward = event.action not in ("rollback", "rollforward")
    try:
        flip(app, event.id, after, forward=forward, why=f"{event.action} by {app.by}")
    except (OSError, GitdeployError) as error:
        reason = f"the links could not be replaced: {disk.blamed(error)}"
        reason += go_back(app, before)
        app.ledger.deployments.end(event.id, "failed", reason=reason)
        raise


def _steps_to(app: App, name: ChainName, release: Release) -> int:
    """Return how many positions a release stands behind the head; 0: it is live."""
    position = app.ledger.chains.read(name).position_of([release.number])
    if position is None:
        raise UsageError(
            f"release {release.number} is not on {name}",
            hint=f"gitdeploy status {app.name}",
        )
    return position - 1
