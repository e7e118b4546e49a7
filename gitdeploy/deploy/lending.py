"""The app's lock, lent to roll backs while a pusher's choice is waited for.

See `lock.lending`. What waits (a command, a check, health, a service) looks now and
then (`still_wanted`); what somebody left meanwhile who died is mended right after.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gitdeploy.deploy.app import App
from gitdeploy.lock import Amid
from gitdeploy.model import ChainName
from gitdeploy.system.process import looking_meanwhile

__all__ = ["amid_of", "lending"]


@contextmanager
def lending(app: App, *, trial: ChainName | None = None) -> Iterator[None]:
    """Let roll backs go first while the body only waits, and changes nothing.

    After the body the lock is ours as before, and what was read before the body is
    only a hint where `Turn.was_lent` says so.

    Args:
        app: The app; where nobody holds its lock, nothing is lent.
        trial: The chain whose release is tried out; None: nothing is shown yet.
    """
    if app.turn is None:
        yield
        return
    amid = Amid()

    def now() -> Amid:
        nonlocal amid
        amid = amid_of(app)
        return amid

    was_lent, app.turn.was_lent = app.turn.was_lent, False
    try:
        with app.turn.lending(now, trial):
            yield
    finally:
        if app.turn.was_lent:
            from gitdeploy.deploy.recover import recover

            with looking_meanwhile(lambda: None):  # nobody cancels what is mended
                recover(app, amid=amid)
        app.turn.was_lent |= was_lent


def amid_of(app: App) -> Amid:
    """Return all that whoever holds the lock has begun and not ended."""
    ledger = app.ledger
    return Amid(
        frozenset(event.id for event in ledger.deployments.unfinished()),
        frozenset(release.number for release in ledger.releases.preparing()),
    )
