"""Moves along the chains that no push asks for: the server's own commands.

Each is called with the app's lock held (`recover.locked`) and moves no ref: what a
branch holds stays what was pushed, and nothing ever puts a release back by itself
that was rolled back here on purpose.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.chain import Chain
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.facts import Source, content_id, read_source
from gitdeploy.deploy.move import Move, Outcome
from gitdeploy.deploy.placed import NO_REF
from gitdeploy.deploy.ready import check_links_seen, ready_for
from gitdeploy.deploy.report import Report
from gitdeploy.errors import (
    Cancelled,
    NothingThere,
    ReleaseFailed,
    UsageError,
)
from gitdeploy.model import ChainName, Entry, Release, VerdictWord
from gitdeploy.system import clock, files

__all__ = [
    "deploy_directory",
    "redeploy",
    "release_staged",
    "roll_back",
    "roll_forward",
    "take_off",
]


def roll_back(
    app: App,
    name: ChainName,
    report: Report,
    *,
    steps: int = 1,
    to: Release | None = None,
    force: bool = False,
) -> Outcome:
    """Make an earlier release of a chain its head again; it can be rolled forward.

    Args:
        app: The app.
        name: The chain.
        report: Tells how far it is.
        steps: How many positions to go back, unless `to` is given.
        to: The release to go back to.
        force: Whether to go on where a `[[deactivate]]` command fails.

    Raises:
        NothingThere: The chain is not that long.
        UsageError: `to` does not stand on the chain.
        ReleaseFailed: A `[[deactivate]]` command failed, or the earlier release does
            not work; what was live is live.
    """
    if to is not None:
        steps = _steps_to(app, name, to)
    elif name in app.taken_back:  # by whoever mended before us: that is one of them
        steps -= 1
    move = Move(app, name, "rollback", "rolled back", report, force=force)
    return move(lambda chain: chain.roll_back(steps, clock.now()) if steps else chain)


def roll_forward(app: App, name: ChainName, report: Report) -> Outcome:
    """Undo the latest roll back of a chain.

    Raises:
        NothingThere: There is none to undo.
        Withdrawn: It does not work; what was live is live.
    """
    move = Move(app, name, "rollforward", "rolled forward", report)
    return move(lambda chain: chain.roll_forward(clock.now()))


def take_off(app: App, name: ChainName, report: Report, *, why: str) -> Outcome:
    """Roll back the head of a chain that does not work any more, and mark it as bad.

    Nothing is deactivated: what does not work can hardly undo what it did.

    Raises:
        NothingThere: It is the only release of the chain.
        Withdrawn: The release before it does not work either; all is as before.
    """
    bad = app.ledger.chains.read(name).head
    move = Move(app, name, "rollback", "rolled back", report, why=why)
    outcome = move(lambda chain: chain.roll_back(1, clock.now()))
    event = app.ledger.deployments.latest_on(name)
    if bad and event:
        app.ledger.releases.condemn(bad.release, at=clock.now(), why=why)
        shown_s = max(clock.seconds_since(bad.since), 0)
        app.ledger.deployments.withdrawn(event.id, public_seconds=shown_s)
    return outcome


def release_staged(app: App, report: Report) -> Outcome:
    """Put what is staged at the head of the prod chain; dev is unchanged.

    Where dev and prod have shared state of their own, prod gets a release of its
    own from the same commit.

    Raises:
        NothingThere: Nothing is staged.
        AccessDenied: Somebody over ssh asks who may not, or prod wants it signed.
        ReleaseFailed: Prod's own release could not be prepared.
    """
    staged = app.ledger.chains.read("dev").head
    if staged is None:
        raise NothingThere("nothing is staged, so there is nothing to release")
    _check_may(app, "release", "prod", staged)
    _check_signed(app, "prod", staged, promotes=True)
    release = app.ledger.releases.get(staged.release)
    if release.commit:
        source = read_source(app, staged.ref or NO_REF, release.commit)
        _check_permitted(app, source)
        release = _fit_for_prod(app, release, source, report)
    _check_still_head(app, "dev", staged)
    entry = Entry(release.number, staged.commit, None, clock.now())
    return _put(app, "prod", "release", entry, report)


def deploy_directory(app: App, path: Path, name: ChainName, report: Report) -> Outcome:
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
        release = _own(app, directory)
    else:
        release = _adopted(app, directory)
    entry = Entry(release.number, release.commit, None, clock.now())
    return _put(app, name, "deploy", entry, report)


def redeploy(app: App, name: ChainName, report: Report) -> Outcome:
    """Make the head of a chain anew from its commit, and show the new release.

    Raises:
        NothingThere: The chain is empty, or its head is a directory without a commit.
        AccessDenied: Somebody over ssh asks who may not, or the chain wants it signed.
        ReleaseFailed: The commit did not become a release this time.
    """
    head = app.ledger.chains.read(name).head
    if head is None or head.commit is None:
        raise NothingThere(f"{name} shows no commit that could be deployed again")
    _check_may(app, "redeploy", name, head)
    _check_signed(app, name, head, promotes=False)
    source = read_source(app, head.ref or NO_REF, head.commit)
    _check_permitted(app, source)
    report.title(app.name, name, head.commit[:7])
    release = _prepared(app, "redeploy", source, name, report, anew=True)
    _check_still_head(app, name, head)
    entry = Entry(release.number, head.commit, head.ref, clock.now())
    return _put(app, name, "redeploy", entry, report)


def _check_may(app: App, verb: str, name: ChainName, entry: Entry) -> None:
    """Let nobody prepare what they may not show; see `allowed`."""
    if app.key is not None:
        from gitdeploy.deploy.allowed import check_entries

        check_entries(app, verb, name, [entry])


def _check_signed(app: App, name: ChainName, entry: Entry, *, promotes: bool) -> None:
    """Let no verb of a person bring what their push could not; see `signing`."""
    if app.key is not None and app.server.signed.of(name) != "no":
        from gitdeploy.deploy.signing import check_signed

        check_signed(app, name, entry, promotes=promotes)


def _check_permitted(app: App, source: Source) -> None:
    """Let no verb bring what asks more than the server would do."""
    if source.config.asks_the_server:
        from gitdeploy.deploy.permitted import check_permitted

        check_permitted(app, source.config, source.commit)


def _check_still_head(app: App, name: ChainName, head: Entry) -> None:
    """Show nothing that was rolled back while it was prepared (`lending`).

    Raises:
        Cancelled: Another release is at the head of the chain by now.
    """
    if app.ledger.chains.read(name).head != head:
        raise Cancelled(f"cancelled: {name} was rolled back meanwhile")


def _fit_for_prod(
    app: App, release: Release, source: Source, report: Report
) -> Release:
    """Return what prod shows of what is staged: the release itself, where it can."""
    content = content_id(source, "prod")
    ready = ready_for(app, content, source.config, "prod")
    if release in ready:
        ready = [release]
    if not ready:
        return _prepared(app, "release", source, "prod", report)
    wanted = Wanted.of(source, "prod")
    with _failures_noted(app, "release", "prod", ready[0]):
        check_links_seen(app, ready[0], wanted.config, "prod")
    if wanted.config.checks_for("prod"):
        from gitdeploy.deploy.checks import check_ready

        with _failures_noted(app, "release", "prod", ready[0]):
            check_ready(app, ready[0], wanted, report)
    return ready[0]


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
    with _failures_noted(app, action, name):
        return prepare(app, Wanted.of(source, name, anew=anew), report)


@contextmanager
def _failures_noted(
    app: App, action: str, name: ChainName, release: Release | None = None
) -> Iterator[None]:
    """Write into history why an action did not get as far as its intent."""
    deployments = app.ledger.deployments
    try:
        yield
    except ReleaseFailed as error:
        word: VerdictWord = "cancelled" if isinstance(error, Cancelled) else "failed"
        event = deployments.begin(
            action, by=app.by, key=app.key, started=clock.now(), chain=name
        )
        number = error.release or (release.number if release else None)
        deployments.end(event.id, word, reason=error.message, release=number)
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
    app: App, name: ChainName, action: str, entry: Entry, report: Report
) -> Outcome:
    move = Move(app, name, action, "deployed", report)
    return move(lambda chain: _pushed(chain, entry))


def _pushed(chain: Chain, entry: Entry) -> Chain:
    if chain.head and chain.head.release == entry.release:
        return chain
    return chain.push(entry)


def _steps_to(app: App, name: ChainName, release: Release) -> int:
    """Return how many positions a release stands behind the head; 0: it is live."""
    position = app.ledger.chains.read(name).position_of([release.number])
    if position is None:
        raise UsageError(
            f"release {release.number} is not on {name}",
            hint=f"gitdeploy status {app.name}",
        )
    return position - 1
