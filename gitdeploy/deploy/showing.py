"""What a push deploys, shown and tried out, or taken back: links first, then refs."""

from collections.abc import Sequence

from gitdeploy.decide import Deploy, RollBack
from gitdeploy.deploy import wording
from gitdeploy.deploy.acceptance import Acceptance
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Attempt, Wanted
from gitdeploy.deploy.flip import flip, go_back
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.trial import take_back, try_out
from gitdeploy.errors import GitdeployError, ReleaseFailed
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.disk import blamed

__all__ = ["Showing"]


class Showing:
    """What becomes of attempts whose refs have moved; each gets its verdict here."""

    def __init__(
        self, app: App, acceptance: Acceptance, report: Report, *, force: bool
    ) -> None:
        self._app = app
        self._acceptance = acceptance
        self._report = report
        self._force = force

    def show_all(self, attempts: Sequence[Attempt]) -> None:
        """Show every chain; where one cannot be shown, none of the group is."""
        for n, attempt in enumerate(attempts):
            self._flip(attempt)
            if attempt.verdict and not attempt.verdict.accepted:
                for other in (*reversed(attempts[:n]), *attempts[n + 1 :]):
                    self._take_back(other)
                return

    def _flip(self, attempt: Attempt) -> None:
        """Show the chain as it shall be; go back if that cannot be done."""
        event = attempt.event
        try:
            if attempt.after and attempt.after != attempt.before:
                self._deactivate(attempt)
                forward = isinstance(attempt.decision, Deploy)
                why = f"{event.action} by {attempt.update.short}"
                flip(self._app, event.id, attempt.after, forward=forward, why=why)
                self._try_out(attempt)
        except ReleaseFailed as error:  # nothing is shown that was not before
            self._acceptance.take_back(attempt.update)
            attempt.fail(error)
        except Exception as error:  # noqa: BLE001 - nothing stays half shown
            self._go_back(attempt, foreseen(error))
        else:
            attempt.end(wording.outcome(attempt.decision))

    def _deactivate(self, attempt: Attempt) -> None:
        """Run what has to be run before a roll back, where deploy.toml ever said so."""
        app = self._app
        if isinstance(attempt.decision, RollBack) and app.ledger.setting("deactivate"):
            from gitdeploy.deploy.activate import deactivate

            assert attempt.before is not None
            assert attempt.after is not None
            try:
                deactivate(
                    app, attempt.before, attempt.after, self._report, force=self._force
                )
            except ReleaseFailed as error:
                error.hint = error.hint or "git push -o force"
                raise

    def _try_out(self, attempt: Attempt) -> None:
        assert attempt.before is not None
        assert attempt.after is not None
        deletes = attempt.update.deletes  # what is live then is another commit
        wanted = None if deletes else Wanted.of(attempt.source, attempt.after.name)
        try_out(
            self._app,
            attempt.event.id,
            attempt.before,
            attempt.after,
            self._report,
            wanted=wanted,
            is_new=isinstance(attempt.decision, Deploy),
        )

    def _take_back(self, attempt: Attempt) -> None:
        reason = "another ref of this atomic push failed"
        if attempt.before and attempt.ended_with(wording.outcome(attempt.decision)):
            app, report = self._app, self._report
            now = app.ledger.chains.read(attempt.before.name)
            if now == attempt.after:  # else somebody has rolled it back meanwhile
                reason += take_back(app, attempt.event.id, attempt.before, report)
        self._acceptance.take_back(attempt.update)
        attempt.end("failed", reason)

    def _go_back(self, attempt: Attempt, error: OSError | GitdeployError) -> None:
        """Undo a flip that failed: the chain and its links first, then the ref."""
        assert attempt.before is not None
        reason = f"the links could not be replaced: {blamed(error)}"
        if stuck := go_back(self._app, attempt.before):
            reason += f"; nor could they be put back: {stuck}"
        self._acceptance.take_back(attempt.update)
        attempt.end("failed", reason, f"gitdeploy repair {self._app.name}")
