"""One move of a chain that no push asks for, from its intent to its verdict.

It is made with the app's lock held, and moves no ref.
"""

from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from gitdeploy.chain import Chain
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import verdict_on
from gitdeploy.deploy.flip import check_showable, flip, go_back
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.trial import try_out
from gitdeploy.errors import Cancelled, GitdeployError, ReleaseFailed, Withdrawn
from gitdeploy.ledger import dumps
from gitdeploy.model import ChainName, Deployment, Release, VerdictWord
from gitdeploy.system import clock, disk
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.signals import undisturbed

__all__ = ["Move", "Outcome"]


class Outcome(Struct, frozen=True):
    """What a move came to."""

    word: VerdictWord
    chain: ChainName
    release: Release
    """The head now."""
    before: Release | None
    """The head before; None where there was none."""


class Move(Struct, frozen=True):
    """One move of a chain, from its intent to its verdict."""

    app: App
    name: ChainName
    action: str
    word: VerdictWord
    report: Report
    force: bool = False
    why: str = ""
    """Why it is rolled back by itself; then nothing is deactivated."""

    def __call__(self, change: Callable[[Chain], Chain]) -> Outcome:
        """Write the intent down, flip, try it out, write the verdict down.

        Raises:
            AccessDenied: Somebody over ssh may not do this, or not any more.
        """
        app, word = self.app, self.word
        before = app.ledger.chains.read(self.name)
        after = change(before)
        check_showable(app, after)
        if app.key is not None:
            from gitdeploy.deploy.allowed import check_move

            check_move(app, self.action, before, after)
        watch = Stopwatch()
        event = self._intended(before, after)
        with undisturbed():
            if after == before:
                word = "unchanged"
            else:
                self._carry_out(event, before, after)
            with suppress(GitdeployError):  # it has happened all the same
                app.ledger.deployments.end(
                    event.id, word, reason=self.why, seconds=watch.seconds
                )
        now, then = _head(app, after), _head(app, before)
        assert now is not None
        return Outcome(word, self.name, now, then)

    def _intended(self, before: Chain, after: Chain) -> Deployment:
        """Return a new event whose intent is written down."""
        app, deployments = self.app, self.app.ledger.deployments
        event = deployments.begin(
            self.action,
            by=app.by,
            key=app.key,
            started=clock.now(),
            chain=self.name,
        )
        _check_not_cancelled(app, event)
        deployments.intend(
            event.id,
            release=after.head.release if after.head else None,
            from_release=before.head.release if before.head else None,
            plan=dumps(before, after),
        )
        return event

    def _carry_out(self, event: Deployment, before: Chain, after: Chain) -> None:
        """Flip and try it out; after a failure all is as before."""
        app, end = self.app, self.app.ledger.deployments.end
        forward = self.action not in ("rollback", "rollforward")
        try:
            self._deactivate(before, after)
            why = f"{self.action} by {app.by}"
            flip(app, event.id, after, forward=forward, why=why)
            try_out(app, event.id, before, after, self.report, is_new=forward)
        except ReleaseFailed as error:
            if not (isinstance(error, Withdrawn) and error.unfinished):
                end(event.id, verdict_on(error), reason=error.message)
            raise
        except Exception as error:
            why = disk.blamed(foreseen(error))
            reason = f"the links could not be replaced: {why}"
            if stuck := go_back(app, before):
                reason += f"; nor could they be put back: {stuck}"
            end(event.id, "failed", reason=reason)
            raise

    def _deactivate(self, before: Chain, after: Chain) -> None:
        app = self.app
        asked = self.action == "rollback" and not self.why
        if asked and app.ledger.setting("deactivate"):
            from gitdeploy.deploy.activate import deactivate

            try:
                deactivate(app, before, after, self.report, force=self.force)
            except ReleaseFailed as error:
                again = f"gitdeploy rollback {app.name} {self.name} --force"
                error.hint = error.hint or again
                raise


def _head(app: App, chain: Chain) -> Release | None:
    return app.ledger.releases.get(chain.head.release) if chain.head else None


def _check_not_cancelled(app: App, event: Deployment) -> None:
    """Say nothing, unless somebody cancelled this while it waited for its turn."""
    if app.turn and (by := app.turn.cancelled_by):
        reason = f"cancelled by {by}"
        app.ledger.deployments.end(event.id, "cancelled", reason=reason)
        raise Cancelled(reason)
