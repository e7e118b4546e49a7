"""What a crash left is finished or abandoned; whoever comes next does it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.decide import RESERVED
from gitdeploy.deploy.app import App
from gitdeploy.deploy.flip import show
from gitdeploy.deploy.prune import finish_pruning
from gitdeploy.deploy.relocate import finish_relocating
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.reserve import give_up_reserve, keep_reserve
from gitdeploy.deploy.trial import try_out, withdraw
from gitdeploy.errors import Withdrawn
from gitdeploy.ledger import loads
from gitdeploy.lock import holder, lock_held, waiting
from gitdeploy.model import Deployment, RefUpdate, VerdictWord
from gitdeploy.system import clock
from gitdeploy.system.client import Client
from gitdeploy.system.clock import Stopwatch

__all__ = ["locked", "missed", "recover", "unheard", "working_on"]


@contextmanager
def locked(
    app: App,
    what: str,
    *,
    wait_s: float,
    tell: Callable[[str], None],
    wants: Mapping[str, str] | None = None,
    report: Report | None = None,
) -> Iterator[None]:
    """Hold the app's lock for the body, with nothing half done left by a crash.

    Args:
        app: The app.
        what: What for, as somebody who waits shall read it.
        wait_s: How long to wait for somebody else.
        tell: Called with a sentence when there is somebody to wait for.
        wants: Refs that are to move, and where to.
        report: Told what is finished first that a crash left; None: nobody is.

    Raises:
        LockHeld: Somebody else still holds it after `wait_s`.
    """
    with working_on(app, what, wait_s=wait_s, tell=tell, wants=wants):
        recover(app, report)
        yield


@contextmanager
def working_on(
    app: App,
    what: str,
    *,
    wait_s: float,
    tell: Callable[[str], None],
    wants: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Hold the app's lock for the body, as `locked` does; what a crash left stays.

    Changes: the reserve, which is given up where the disk is full.
    """
    with lock_held(
        app.layout.lock, by=app.by, what=what, wait_s=wait_s, tell=tell, wants=wants
    ) as turn:
        app.turn = turn
        give_up_reserve(app)
        try:
            yield
        finally:
            app.turn = None
        keep_reserve(app)


def recover(app: App, report: Report | None = None) -> list[str]:
    """Finish or abandon what died half done; return sentences about what was.

    What was intended is finished where its ref has moved, and abandoned where it
    has not: the ref is what the pusher was told. What is shown and was not tried out
    to the end is tried out, and taken back where it does not work.

    Args:
        app: The app, whose lock is held.
        report: Told how far that is; None: nobody is.

    Changes: lock files that a killed git left; the ledger, the links,
        `refs/deploy/*`; links and directories that were about to go. Safe to repeat.
    """
    unfinished = app.ledger.deployments.unfinished()
    if unfinished:  # its gits may have died with it, on whatever ref
        app.repository.remove_stale_locks()
    report = report or Report(Client(None))
    done = [_finish(app, event, report) for event in unfinished]
    for release in app.ledger.releases.preparing():
        _end_commands_of(app.directory(release))
        app.ledger.releases.fail(release, "interrupted")
        done.append(f"release {release.number} was interrupted; marked as failed")
    done += [f"removed {path}" for path in finish_relocating(app)]
    finish_pruning(app)
    return done


def missed(app: App) -> list[RefUpdate]:
    """Return the updates that no deployment of ours has seen.

    A ref can move without a hook of ours: the pusher is gone at the wrong moment,
    the hooks are disabled, somebody works in the repository itself.
    """
    deployments = app.ledger.deployments
    if app.repository.are(deployments.last_listing(), besides=RESERVED):
        return []
    last = deployments.last_values()
    have = {
        ref: id_
        for ref, id_ in app.repository.refs().items()
        if not ref.startswith(RESERVED) and ref.isprintable()
    }
    nothing = "0" * 40
    return [
        RefUpdate(ref, last.get(ref, nothing), have.get(ref, nothing))
        for ref in sorted({*last, *have})
        if _differ(last.get(ref, nothing), have.get(ref, nothing))
    ]


def unheard(app: App) -> list[RefUpdate]:
    """Return what of `missed` nobody brings who works on the app or waits to."""
    known = [*waiting(app.layout.lock), holder(app.layout.lock)]
    brought = {pair for one in known if one for pair in one.wants.items()}
    return [update for update in missed(app) if (update.ref, update.new) not in brought]


def _end_commands_of(directory: Path) -> None:
    """Kill what commands of a release still run, whoever started them died."""
    from gitdeploy.steps.session import end_leftovers

    end_leftovers(directory)


def _finish(app: App, event: Deployment, report: Report) -> str:
    what = f"{event.action} of {event.ref or event.chain}"
    report.title(app.name, f"finishing the {what}, which was interrupted")
    if event.state == "condemned":
        why = _withdraw(app, event, report)
        return f"{what} was interrupted while it was taken back: {why}"
    if not _has_happened(app, event):
        _go_back(app, event)
        app.ledger.deployments.end(event.id, "abandoned", reason="interrupted")
        return f"{what} was interrupted; abandoned"
    if event.state == "intended":
        _change(app, event)
    show(app)
    try:
        _try_out(app, event, report)
    except Withdrawn as error:
        return f"{what} was finished, and taken back: {_failed(app, event, error)}"
    verdict = _verdict(event)
    app.ledger.deployments.end(event.id, verdict, reason="finished after a crash")
    return f"{what} was finished: {verdict}"


def _try_out(app: App, event: Deployment, report: Report) -> None:
    """See whether what an event shows works: nobody has told its pusher that it does.

    Raises:
        Withdrawn: It does not; chain and links are what they were before.
    """
    plan = app.ledger.deployments.plan(event.id)
    if not plan:
        return
    before, after = loads(plan)
    if after.head:
        _end_commands_of(app.directory(app.ledger.releases.get(after.head.release)))
    is_new = event.action not in ("rollback", "rollforward")
    try_out(app, event.id, before, after, report, is_new=is_new)


def _withdraw(app: App, event: Deployment, report: Report) -> str:
    """Go on with what was taken back, as it does not work; return why."""
    plan = app.ledger.deployments.plan(event.id)
    assert plan is not None
    before, after = loads(plan)
    since = after.head.since if after.head else clock.now()
    shown = Stopwatch(max(clock.seconds_since(since), 0))
    why = event.reason or "it did not work"
    return _failed(
        app, event, withdraw(app, event.id, before, why, report, shown=shown)
    )


def _failed(app: App, event: Deployment, error: Withdrawn) -> str:
    """End an event that was taken back: its ref goes back as well."""
    if error.unfinished:
        return error.message
    update = _update(event)
    if update and app.repository.holds(update):
        app.repository.move([update.reversed()], why="put back")
    app.ledger.deployments.end(event.id, "failed", reason=error.message)
    return error.message


def _has_happened(app: App, event: Deployment) -> bool:
    """Return whether what was intended has happened: the ref tells, where one moves.

    A chain that was changed and put back again has not happened, whatever its ref.
    """
    if event.state == "begun":
        return False
    if event.state == "changed" and _is_back(app, event):
        return False
    update = _update(event)
    if update is None:
        return event.state == "changed"
    if event.state == "changed":
        return not app.repository.holds(update.reversed())
    return app.repository.holds(update)


def _go_back(app: App, event: Deployment) -> None:
    """Undo a change that was half undone: the chain and its links, then the ref."""
    plan = app.ledger.deployments.plan(event.id)
    if event.state != "changed" or not plan:
        return
    before, _ = loads(plan)
    app.ledger.rewrite(before, at=clock.now(), why="interrupted")
    show(app, forward=False)
    update = _update(event)
    if update and app.repository.holds(update):
        app.repository.move([update.reversed()], why="put back")


def _is_back(app: App, event: Deployment) -> bool:
    """Return whether the chain is again what it was before."""
    plan = app.ledger.deployments.plan(event.id)
    if not plan:
        return False
    before, after = loads(plan)
    return app.ledger.chains.read(before.name) == before != after


def _update(event: Deployment) -> RefUpdate | None:
    if event.ref is None or event.old is None or event.new is None:
        return None
    return RefUpdate(event.ref, event.old, event.new)


def _change(app: App, event: Deployment) -> None:
    plan = app.ledger.deployments.plan(event.id)
    if plan:
        _, after = loads(plan)
        app.ledger.change(event.id, after, at=clock.now(), why=event.action)


def _verdict(event: Deployment) -> VerdictWord:
    if event.action == "rollback":
        return "rolled back"
    if event.action == "rollforward":
        return "rolled forward"
    if event.release is None:
        return "accepted"
    return "unchanged" if event.release == event.from_release else "deployed"


def _differ(one: str, other: str) -> bool:
    return one != other and bool(one.strip("0") or other.strip("0"))
