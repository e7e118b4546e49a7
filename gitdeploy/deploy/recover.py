"""What a crash left is finished or abandoned; whoever comes next does it.

It hinders nobody: what cannot be finished is said, and the one who came acts.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

from gitdeploy.decide import RESERVED
from gitdeploy.deploy.app import App
from gitdeploy.deploy.finishing import Finisher, end_commands_of
from gitdeploy.deploy.prune import finish_pruning
from gitdeploy.deploy.relocate import finish_relocating
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.reserve import give_up_reserve, keep_reserve
from gitdeploy.errors import GitdeployError
from gitdeploy.lock import Amid, at_work, lender, lock_held, waiting
from gitdeploy.model import CHAINS, ChainName, Deployment, Entry, RefUpdate
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.client import Client
from gitdeploy.system.disk import blamed

__all__ = ["locked", "missed", "recover", "unheard", "working_on"]


@contextmanager
def locked(  # noqa: PLR0913 - as `lock_held`, and what is mended first
    app: App,
    what: str,
    *,
    wait_s: float,
    tell: Callable[[str], None],
    wants: Mapping[str, str] | None = None,
    report: Report | None = None,
    rolls_back: ChainName | None = None,
) -> Iterator[None]:
    """Hold the app's lock for the body, with nothing half done left by a crash.

    Args:
        app: The app.
        what: What for, as somebody who waits shall read it.
        wait_s: How long to wait for somebody else.
        tell: Called with a sentence when there is somebody to wait for.
        wants: Refs that are to move, and where to.
        report: Told what is finished first that a crash left; None: nobody is.
        rolls_back: The chain that is to be rolled back: that goes before all that has
            not flipped, and what a crash left is tried out afterwards.

    Raises:
        LockHeld: Somebody else still holds it after `wait_s`.
    """
    with working_on(
        app, what, wait_s=wait_s, tell=tell, wants=wants, rolls_back=rolls_back
    ):
        shown = _heads(app)
        recover(app, report, tries=rolls_back is None)
        now = {name: app.ledger.chains.read(name).entries for name in CHAINS}
        app.taken_back = {
            name for name, head in shown.items() if head and head not in now[name]
        }
        try:
            yield
        finally:
            if app.leaves_trials:  # of what the body went past nothing is left
                recover(app, report, tries=False)


def _heads(app: App) -> dict[ChainName, Entry | None]:
    return {name: app.ledger.chains.read(name).head for name in CHAINS}


@contextmanager
def working_on(
    app: App,
    what: str,
    *,
    wait_s: float,
    tell: Callable[[str], None],
    wants: Mapping[str, str] | None = None,
    rolls_back: ChainName | None = None,
) -> Iterator[None]:
    """Hold the app's lock for the body, as `locked` does; what a crash left stays.

    Changes: the reserve, which is given up where the disk is full.
    """
    with lock_held(
        app.layout.lock,
        by=app.by,
        what=what,
        wait_s=wait_s,
        tell=tell,
        wants=wants,
        rolls_back=rolls_back,
    ) as turn:
        app.turn = turn
        give_up_reserve(app)
        try:
            yield
        finally:
            app.turn = None
        keep_reserve(app)


def recover(
    app: App,
    report: Report | None = None,
    *,
    tries: bool = True,
    amid: Amid | None = None,
) -> list[str]:
    """Finish or abandon what died half done; return sentences about what was.

    What was intended is finished where its ref has moved, and abandoned where it
    has not: the ref is what the pusher was told. What is shown and was not tried out
    to the end is tried out, and taken back where it does not work.

    Whatever cannot be finished keeps nobody from what they came for: each part is
    done by itself, and says why it could not be.

    Args:
        app: The app, whose lock is held.
        report: Told how far that is; None: nobody is.
        tries: Whether to wait for what is tried out; else that is left, and
            `App.leaves_trials` says so.
        amid: What is not ours to finish; None: what somebody is in the middle of who
            lends us the lock.

    Changes: lock files that a killed git left; the ledger, the links,
        `refs/deploy/*`; links and directories that were about to go. Safe to repeat.
    """
    _ = app.ledger  # where that is broken nobody can do anything, and is told so
    return _by_itself(lambda: _recovered(app, report, amid, tries=tries))


def _recovered(
    app: App, report: Report | None, amid: Amid | None, *, tries: bool
) -> list[str]:
    finish = Finisher(app, report or Report(Client(None)), tries)
    if amid is None:
        lent = lender(app.layout.lock)
        amid = lent[1] if lent else Amid()
    parts = (
        partial(_finish_events, app, finish, amid),
        partial(_fail_releases, app, amid),
        partial(_finish_links, app),
        partial(_finish_removals, app),
    )
    return [sentence for part in parts for sentence in _by_itself(part)]


def _by_itself(part: Callable[[], list[str]]) -> list[str]:
    """Return what a part of recovery says, or why it could not be done."""
    try:
        return part()
    except Exception as error:  # noqa: BLE001 - the verb that was asked for acts
        with suppress(Exception):
            no = foreseen(error)
            hint = no.hint if isinstance(no, GitdeployError) else ""
            return [f"not mended: {'; '.join(filter(None, (blamed(no), hint)))}"]
        return [f"not mended: {type(error).__name__}"]


def _finish_events(app: App, finish: Finisher, amid: Amid) -> list[str]:
    unfinished = _left(app, amid)
    done: list[str] = []
    if unfinished:  # its gits may have died with it, on whatever ref
        done += _by_itself(lambda: _removed_locks(app))
        for event in unfinished:
            done += _by_itself(partial(_finished, finish, event))
    app.leaves_trials = not finish.tries and bool(unfinished and _left(app, amid))
    return done


def _left(app: App, amid: Amid) -> list[Deployment]:
    """Return the events that nobody is at who lives."""
    unfinished = app.ledger.deployments.unfinished()
    return [event for event in unfinished if event.id not in amid.events]


def _finished(finish: Finisher, event: Deployment) -> list[str]:
    return [finish(event)]


def _removed_locks(app: App) -> list[str]:
    app.repository.remove_stale_locks()
    return []


def _fail_releases(app: App, amid: Amid) -> list[str]:
    """Mark what was being prepared when its maker died; its commands end."""
    done: list[str] = []
    for release in app.ledger.releases.preparing():
        if release.number in amid.releases:
            continue
        done += _by_itself(partial(end_commands_of, app, release.number))
        app.ledger.releases.fail(release, "interrupted")
        done.append(f"release {release.number} was interrupted; marked as failed")
    return done


def _finish_links(app: App) -> list[str]:
    return [f"removed {path}" for path in finish_relocating(app)]


def _finish_removals(app: App) -> list[str]:
    finish_pruning(app)
    return []


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
    known = [*waiting(app.layout.lock), *at_work(app.layout.lock)]
    brought = {pair for one in known for pair in one.wants.items()}
    return [update for update in missed(app) if (update.ref, update.new) not in brought]


def _differ(one: str, other: str) -> bool:
    return one != other and bool(one.strip("0") or other.strip("0"))
