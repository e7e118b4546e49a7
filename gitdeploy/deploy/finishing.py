"""One event that died half done, finished, taken back, or left for the next one.

What it takes to show the truth is done at once. What a pusher chose (commands,
services, health) is tried out with the time that was left, and only where somebody may
wait.
Nothing that is raised here stops whoever came to do something else.
"""

from msgspec import Struct

from gitdeploy.chain import Chain
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import verdict_on
from gitdeploy.deploy.flip import go_back, show
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.trial import has_trial, try_out, withdraw
from gitdeploy.errors import GitdeployError, StateError, SystemFailed, Withdrawn
from gitdeploy.ledger import loads
from gitdeploy.model import Deployment, RefUpdate, VerdictWord
from gitdeploy.system import clock
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.disk import blamed

__all__ = ["Finisher", "end_commands_of"]


def end_commands_of(app: App, release: int) -> list[str]:
    """Kill what commands of a release still run, whoever started them died.

    Returns:
        Nothing that is worth a sentence.
    """
    from gitdeploy.steps.session import end_leftovers

    end_leftovers(app.directory(app.ledger.releases.get(release)))
    return []


class Finisher(Struct, frozen=True):
    """Goes on with events that nobody is at any more."""

    app: App
    report: Report
    tries: bool
    """Whether what is shown is tried out now; else it is left for somebody who may
    wait."""

    def __call__(self, event: Deployment) -> str:
        """Go on with an event as far as can be; return a sentence about it.

        What the disk or the ledger refuses is left for the next one, who changes
        nothing that somebody else changed since. What fails in another way is given up:
        all is as it was before the event.
        """
        try:
            return self._finished(event)
        except (OSError, SystemFailed) as error:
            return f"{_what(event)} was interrupted and is left so: {blamed(error)}"
        except Exception as error:  # noqa: BLE001 - a bug of ours holds no app
            return self._given_up(event, foreseen(error))

    # --- the ways it goes on ------------------------------------------------------

    def _finished(self, event: Deployment) -> str:
        what = _what(event)
        self.report.title(self.app.name, f"finishing the {what}, which was interrupted")
        if self._is_overtaken(event):
            return self._failed(event, "interrupted; somebody else has moved the chain")
        if event.state == "condemned":
            return self._withdraw(event)
        if not self._has_happened(event):
            return self._abandon(event)
        if event.state == "intended":
            self._change(event)
        show(self.app)
        self._end_commands(event)
        if not self.tries and self._is_to_be_tried(event):
            return f"{what} was interrupted; it is tried out later"
        return self._tried(event)

    def _tried(self, event: Deployment) -> str:
        """Try out what an event shows, and give it its verdict."""
        what = _what(event)
        try:
            self._try_out(event)
        except Withdrawn as error:
            if error.unfinished:
                return f"{what} was interrupted: {error.message}"
            return self._failed(event, error.message, verdict_on(error))
        verdict = _verdict(event)
        reason = "finished after a crash"
        self.app.ledger.deployments.end(event.id, verdict, reason=reason)
        return f"{what} was finished: {verdict}"

    def _withdraw(self, event: Deployment) -> str:
        """Go on with what was taken back, as it does not work."""
        before, after = self._plan(event)
        why = event.reason or "it did not work"
        if not self.tries:
            self._take_back(before)
            return f"{_what(event)} was interrupted: {why}"
        since = after.head.since if after.head else clock.now()
        shown = Stopwatch(max(clock.seconds_since(since), 0))
        gone = withdraw(self.app, event.id, before, why, self.report, shown=shown)
        if gone.unfinished:
            return f"{_what(event)} was interrupted: {gone.message}"
        return self._failed(event, gone.message)

    def _abandon(self, event: Deployment) -> str:
        """End what has not happened; what was half undone of it is undone."""
        if event.state == "changed" and self._has_plan(event):
            before, _ = self._plan(event)
            self.app.ledger.rewrite(before, at=clock.now(), why="interrupted")
            show(self.app, forward=False)
            self._put_ref_back(event)
        end = self.app.ledger.deployments.end
        end(event.id, "abandoned", reason="interrupted")
        return f"{_what(event)} was interrupted; abandoned"

    def _failed(self, event: Deployment, why: str, word: VerdictWord = "failed") -> str:
        """End an event that was taken back: its ref goes back as well."""
        self._put_ref_back(event)
        self.app.ledger.deployments.end(event.id, word, reason=why)
        return f"{_what(event)} was interrupted, and taken back: {why}"

    def _given_up(self, event: Deployment, bug: GitdeployError | OSError) -> str:
        """End what cannot be finished: chain, links and ref are as before it."""
        hint = bug.hint if isinstance(bug, GitdeployError) else ""
        why = "; ".join(filter(None, (blamed(bug), hint)))
        try:
            self._go_back(event)
            return self._failed(event, why)
        except Exception as error:  # noqa: BLE001 - the next one tries it again
            left = blamed(foreseen(error))
            return f"{_what(event)} was interrupted and is left so: {why}; {left}"

    def _go_back(self, event: Deployment) -> None:
        if event.state not in ("changed", "condemned", "intended"):
            return
        if not self._has_plan(event):
            return
        before, after = self._plan(event)
        if self.app.ledger.chains.read(before.name) == after != before:
            self._take_back(before)

    def _change(self, event: Deployment) -> None:
        if self._has_plan(event):
            _, after = self._plan(event)
            at = clock.now()
            self.app.ledger.change(event.id, after, at=at, why=event.action)

    def _try_out(self, event: Deployment) -> None:
        """See whether what an event shows works: nobody has told its pusher that.

        Raises:
            Withdrawn: It does not; chain and links are what they were before.
        """
        if not self._has_plan(event):
            return
        before, after = self._plan(event)
        is_new = event.action not in ("rollback", "rollforward")
        try_out(self.app, event.id, before, after, self.report, is_new=is_new)

    def _end_commands(self, event: Deployment) -> None:
        """Kill what its commands still run: whoever started them died."""
        if self._has_plan(event):
            _, after = self._plan(event)
            if after.head:
                end_commands_of(self.app, after.head.release)

    def _put_ref_back(self, event: Deployment) -> None:
        update = _update(event)
        if update and self.app.repository.holds(update):
            self.app.repository.move([update.reversed()], why="put back")

    def _take_back(self, before: Chain) -> None:
        """Make a chain what it was."""
        if stuck := go_back(self.app, before):
            raise StateError(stuck)

    # --- what is known of it ------------------------------------------------------

    def _has_plan(self, event: Deployment) -> bool:
        return bool(self.app.ledger.deployments.plan(event.id))

    def _plan(self, event: Deployment) -> tuple[Chain, Chain]:
        """Return the chain before and after; the event has intended something."""
        plan = self.app.ledger.deployments.plan(event.id)
        if not plan:
            raise StateError(f"event {event.id} has no plan")
        return loads(plan)

    def _is_overtaken(self, event: Deployment) -> bool:
        """Return whether its chain is neither what it was before nor what it became.

        Somebody acted on it since, as it could not be finished then, or was not to be
        waited for: nothing of theirs is undone.
        """
        if event.state == "begun" or not self._has_plan(event):
            return False
        before, after = self._plan(event)
        now = self.app.ledger.chains.read(before.name)
        if event.state == "intended":  # what is written then is all of it
            return now not in (before, after)
        return now.head not in (before.head, after.head)

    def _is_to_be_tried(self, event: Deployment) -> bool:
        """Return whether its trial runs what a pusher chose."""
        if not self._has_plan(event):
            return False
        before, after = self._plan(event)
        try:
            return has_trial(self.app, before, after)
        except (GitdeployError, OSError):  # what cannot be read does not work
            return True

    def _has_happened(self, event: Deployment) -> bool:
        """Return whether what was intended has happened: the ref tells, if one moves.

        A chain that was changed and put back has not happened, whatever its ref.
        """
        if event.state == "begun":
            return False
        if event.state == "changed" and self._is_back(event):
            return False
        update = _update(event)
        if update is None:
            return event.state == "changed"
        if event.state == "changed":
            return not self.app.repository.holds(update.reversed())
        return self.app.repository.holds(update)

    def _is_back(self, event: Deployment) -> bool:
        """Return whether the chain is again what it was before."""
        if not self._has_plan(event):
            return False
        before, after = self._plan(event)
        return self.app.ledger.chains.read(before.name) == before != after


def _what(event: Deployment) -> str:
    return f"{event.action} of {event.ref or event.chain}"


def _update(event: Deployment) -> RefUpdate | None:
    if event.ref is None or event.old is None or event.new is None:
        return None
    return RefUpdate(event.ref, event.old, event.new)


def _verdict(event: Deployment) -> VerdictWord:
    if event.action == "rollback":
        return "rolled back"
    if event.action == "rollforward":
        return "rolled forward"
    if event.release is None:
        return "accepted"
    return "unchanged" if event.release == event.from_release else "deployed"
