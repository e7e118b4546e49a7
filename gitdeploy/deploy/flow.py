"""The stages of one push, from an update to its verdict.

Read `_settled`: it names the stages in their order; each is a method below it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from gitdeploy.decide import Deploy, RefKind, Refuse, RollBack, reached
from gitdeploy.deploy import wording
from gitdeploy.deploy.acceptance import Acceptance, Superseded
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Attempt, Wanted
from gitdeploy.deploy.facts import Source, content_id
from gitdeploy.deploy.flip import check_links, check_showable, go_back
from gitdeploy.deploy.judge import Push, judge, withheld_now
from gitdeploy.deploy.ready import check_links_seen, ready_for
from gitdeploy.deploy.recorded import overridden, signer_of
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.showing import Showing
from gitdeploy.deploy.still_wanted import check_still_wanted
from gitdeploy.errors import (
    GitdeployError,
    ReleaseFailed,
    StateError,
    SystemFailed,
)
from gitdeploy.model import ChainName, RefUpdate, Release, Verdict, VerdictWord
from gitdeploy.repository import RefsMoved
from gitdeploy.system import clock
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.disk import blamed
from gitdeploy.system.signals import undisturbed

__all__ = ["Flow"]

_BRANCHES: Final = "refs/heads/"
_FETCH: Final = "git fetch, look at what is there now, then push again"


class Flow:
    """The stages of one push; each takes attempts and leaves them further on."""

    def __init__(
        self, app: App, acceptance: Acceptance, report: Report, push: Push
    ) -> None:
        self._app = app
        self._acceptance = acceptance
        self._report = report
        self._push = push
        force = "force" in push.options
        self._showing = Showing(app, acceptance, report, force=force)
        self._built: dict[str, Release] = {}
        self._failed: dict[str, ReleaseFailed] = {}

    def settle(
        self, group: Sequence[Source], refused: Mapping[RefUpdate, Refuse]
    ) -> list[Verdict]:
        """Return the verdicts of updates that succeed or fail together.

        What goes wrong here is told of these refs alone: those settled before have
        their verdicts, and those that follow get theirs.
        """
        attempts: list[Attempt] = []
        try:
            attempts += (self._begin(source, refused) for source in group)
            return self._settled(attempts)
        except GitdeployError as error:
            no = Refuse(error.message, error.hint)
        except OSError as error:
            no = Refuse(blamed(error))
        except Exception as error:  # noqa: BLE001 - a bug of ours holds no app
            return self._broken_off(group, attempts, foreseen(error))
        return self._given_up(group, attempts, no)

    def _settled(self, attempts: Sequence[Attempt]) -> list[Verdict]:
        for attempt in attempts:
            self._make_ready(attempt, alone=len(attempts) == 1)
            attempt.timings = tuple(self._report.timings)
            if attempt.verdict and len(attempts) > 1:
                break  # all or none: nothing more needs to be built
        with undisturbed():
            if self._accepted(attempts):
                self._showing.show_all(attempts)
            return [self._end(attempt, attempts) for attempt in attempts]

    def _broken_off(
        self,
        group: Sequence[Source],
        attempts: Sequence[Attempt],
        bug: GitdeployError | OSError,
    ) -> list[Verdict]:
        """Fail what nobody foresaw, and undo what was done of it: links, then refs."""
        chains = self._app.ledger.chains
        for attempt in attempts:
            with suppress(GitdeployError, OSError):  # then whoever comes next does it
                before = attempt.before
                if before and chains.read(before.name) == attempt.after != before:
                    go_back(self._app, before)
                self._acceptance.take_back(attempt.update)
        hint = bug.hint if isinstance(bug, GitdeployError) else ""
        return self._given_up(group, attempts, Refuse(blamed(bug), hint), "failed")

    def _given_up(
        self,
        group: Sequence[Source],
        attempts: Sequence[Attempt],
        no: Refuse,
        word: VerdictWord = "refused",
    ) -> list[Verdict]:
        """Refuse what could not be settled; no ref of the group is moved by us."""
        self._report.line(word, no.reason)
        if no.hint:
            self._report.copyable("hint", no.hint)
        for source in group:
            self._acceptance.decline(source.update)
        with suppress(GitdeployError):  # the ledger may be what is broken
            for attempt in attempts:
                self._app.ledger.deployments.end(
                    attempt.event.id, word, reason=no.reason
                )
        return [Verdict(s.update, word, no.reason, no.hint) for s in group]

    # --- facts and decision -------------------------------------------------------

    def _begin(self, source: Source, refused: Mapping[RefUpdate, Refuse]) -> Attempt:
        app, update = self._app, source.update
        decision = refused.get(update) or judge(app, source, self._push)
        event = app.ledger.deployments.begin(
            wording.action(source.kind, decision),
            by=app.by,
            key=app.key,
            overrode=overridden(app, source, decision, self._push),
            signer=signer_of(app, source, decision),
            started=clock.now(),
            chain=reached(decision),
            ref=update.ref,
            old=update.old,
            new=update.new,
        )
        attempt = Attempt(source, decision, event)
        if isinstance(decision, Refuse):
            attempt.end("refused", decision.reason, decision.hint)
        return attempt

    # --- prepare ------------------------------------------------------------------

    def _make_ready(self, attempt: Attempt, *, alone: bool) -> None:
        """Find or prepare what the decision needs, and write the intent down."""
        self._introduce(attempt)
        if attempt.verdict:
            return
        try:
            check_still_wanted(self._app, attempt.source.config, self._report)
            if chain := reached(attempt.decision):
                check_links(self._app, chain)
                self._check_allowed(attempt)
            self._find_release(attempt, alone=alone)
            self._intend(attempt)
        except Superseded as error:
            attempt.end("superseded", error.message)
        except RefsMoved as error:
            attempt.end("refused", error.message, error.hint or _FETCH)
        except StateError as error:
            attempt.end("refused", error.message, error.hint)
        except ReleaseFailed as error:
            attempt.fail(error)
            if error.release:
                attempt.release = self._app.ledger.releases.get(error.release)

    def _check_allowed(self, attempt: Attempt) -> None:
        """Prepare nothing that asks more than the server would do."""
        app, source, decision = self._app, attempt.source, attempt.decision
        if isinstance(decision, Deploy) and source.config.asks_the_server:
            from gitdeploy.deploy.permitted import check_permitted

            check_permitted(app, source.config, source.commit)
        if isinstance(decision, Deploy) and decision.build:
            from gitdeploy.deploy.durations import check_durations

            check_durations(app.server.limits, source.config, source.commit or "")
        if app.server.restrains_commands:
            from gitdeploy.deploy.confining import check_allowed

            check_allowed(app, source.config)

    def _introduce(self, attempt: Attempt) -> None:
        wording.introduce(self._app, self._report, attempt)
        if self._push.only_plans:
            self._tell_plan(attempt.source)

    def _tell_plan(self, source: Source) -> None:
        """Tell all that a push would come to; what cannot be told is not."""
        from gitdeploy.deploy.plan import lines, plan

        options = tuple(set(self._push.options) - {"plan"})
        decision = judge(self._app, source, replace(self._push, options=options))
        anew = "rebuild" in options
        with suppress(GitdeployError):
            _, *more = lines(plan(self._app, source, decision, anew=anew))
            for word, text in more:  # the first is what the refusal says
                self._report.line(word, text)

    def _find_release(self, attempt: Attempt, *, alone: bool) -> None:
        """Find the release that an update deploys; prepare it unless there is one.

        Whether a ref can move git says when it moves; before that it is asked only so
        that nothing is built in vain, or to tell which of several refs it is.
        """
        if not alone:
            self._acceptance.check([attempt.update])
        if not isinstance(attempt.decision, Deploy):
            return
        chain, source = attempt.decision.chain, attempt.source
        content = content_id(source, chain)
        ready = ready_for(self._app, content, source.config, chain)
        anew = "rebuild" in self._push.options
        if content in self._failed:  # by another ref of this push
            raise self._failed[content]
        if content in self._built:
            attempt.release = self._built[content]
            self._check(attempt, chain)
        elif ready and not anew:
            attempt.release = ready[0]
            self._check(attempt, chain)
        else:
            if alone:
                self._acceptance.check([attempt.update])
            self._leave_to_newer(attempt.update)
            attempt.release = self._prepared(self._wanted(source, chain))
            attempt.built = True

    def _wanted(self, source: Source, chain: ChainName) -> Wanted:
        options = self._push.options
        return Wanted.of(
            source,
            chain,
            anew="rebuild" in options,
            unchecked="skip-checks" in options,
        )

    def _check(self, attempt: Attempt, chain: ChainName) -> None:
        """See whether a release that is there holds what another chain wants of it."""
        wanted = self._wanted(attempt.source, chain)
        assert attempt.release is not None
        check_links_seen(self._app, attempt.release, wanted.config, chain)
        if wanted.config.checks_for(chain) and not wanted.unchecked:
            from gitdeploy.deploy.checks import check_ready

            check_ready(self._app, attempt.release, wanted, self._report)

    def _leave_to_newer(self, update: RefUpdate) -> None:
        """Build nothing that a push which waits already will replace.

        Raises:
            Superseded: Somebody waits with a later commit of the same branch, which
                holds this one.
        """
        turn = self._app.turn
        if turn is None or self._push.atomic or not update.ref.startswith(_BRANCHES):
            return
        for other in reversed(turn.waiting()):
            new = other.wants.get(update.ref, update.new)
            if new != update.new and self._app.repository.contains(new, update.new):
                raise Superseded(f"superseded by {new[:7]}, pushed by {other.by}")

    def _prepared(self, wanted: Wanted) -> Release:
        from gitdeploy.deploy.prepare import prepare

        try:
            release = prepare(self._app, wanted, self._report)
        except ReleaseFailed as error:
            self._failed[wanted.content] = error
            raise
        self._built[wanted.content] = release
        return release

    def _look_again(self, attempt: Attempt) -> None:
        """Judge once more what was judged before a roll back went first (`lending`).

        Raises:
            Superseded: It would mean something else by now.
        """
        turn, decision = self._app.turn, attempt.decision
        if turn is None or not turn.was_lent:
            return
        now = judge(self._app, attempt.source, self._push)
        if type(now) is not type(decision) or reached(now) != reached(decision):
            chain = reached(decision)
            raise Superseded(f"superseded: {chain} was rolled back meanwhile")
        if isinstance(now, RollBack):
            attempt.decision = now

    def _intend(self, attempt: Attempt) -> None:
        self._look_again(attempt)
        app, name = self._app, reached(attempt.decision)
        if name:
            attempt.before = app.ledger.chains.read(name)
            attempt.after = attempt.chain_after(attempt.before, clock.now())
            check_showable(app, attempt.after)
            assert attempt.after.head is not None
            attempt.release = app.ledger.releases.get(attempt.after.head.release)
        was = attempt.before.head if attempt.before else None
        app.ledger.deployments.intend(
            attempt.event.id,
            release=attempt.release.number if attempt.release else None,
            from_release=was.release if was else None,
            plan=attempt.plan,
        )

    # --- accept and flip ----------------------------------------------------------

    def _accepted(self, attempts: Sequence[Attempt]) -> bool:
        """Move the refs, all or none; from here on the push has happened."""
        self._ask_again(attempts)
        if not any(attempt.verdict for attempt in attempts):
            self._accept(attempts)
        if not any(attempt.verdict for attempt in attempts):
            self._adopt(attempts)
            return True
        for attempt in attempts:
            if attempt.verdict is None:
                attempt.end("refused", "another ref of this atomic push was refused")
            if not attempt.ended_with("superseded"):
                attempt.put_back = self._acceptance.decline(attempt.update)
        return False

    def _ask_again(self, attempts: Sequence[Attempt]) -> None:
        """Refuse what its pusher may not do any more, or not at this hour."""
        for attempt in attempts:
            if attempt.verdict is None and (
                no := withheld_now(
                    self._app, attempt.source, attempt.decision, self._push
                )
            ):
                attempt.end("refused", no.reason, no.hint)

    def _accept(self, attempts: Sequence[Attempt]) -> None:
        """Move the refs; where that cannot be done, one attempt gets to know why."""
        first = attempts[0]
        try:
            self._acceptance.accept([attempt.update for attempt in attempts])
        except Superseded as error:
            first.end("superseded", error.message)
        except RefsMoved as error:
            first.end("refused", error.message, error.hint or _FETCH)
        except (OSError, SystemFailed) as error:  # moved, and perhaps not on disk
            first.end("failed", f"the refs could not be moved: {blamed(error)}")
            for attempt in attempts:
                self._acceptance.take_back(attempt.update)

    def _adopt(self, attempts: Sequence[Attempt]) -> None:
        """Let what was accepted say how much is kept, and what clones check out."""
        for attempt in attempts:
            if attempt.after and not attempt.update.deletes:
                keep = attempt.source.config.releases.keep
                with suppress(SystemFailed):  # the next one says so again
                    self._app.ledger.set_setting("keep", str(keep))
                    if attempt.source.config.ever_deactivates:
                        self._app.ledger.set_setting("deactivate", "yes")
            if attempt.source.kind is RefKind.STAGE and attempt.update.creates:
                with suppress(OSError, SystemFailed):  # clones only like it
                    self._app.repository.adopt_head(attempt.update.ref)

    # --- verdict ------------------------------------------------------------------

    def _end(self, attempt: Attempt, group: Sequence[Attempt]) -> Verdict:
        verdict = attempt.verdict
        assert verdict is not None
        try:
            if not attempt.is_unfinished:
                self._write_down(attempt, verdict)
        except Exception as error:  # noqa: BLE001 - it has happened all the same
            self._report.line("warning", blamed(foreseen(error)))
        try:
            if len(group) > 1:
                wording.introduce(self._app, self._report, attempt)
            wording.conclude(self._app, self._report, attempt)
        except Exception as error:  # noqa: BLE001 - it has happened all the same
            self._report.line(verdict.word, blamed(foreseen(error)))
        return verdict

    def _write_down(self, attempt: Attempt, verdict: Verdict) -> None:
        self._app.ledger.deployments.end(
            attempt.event.id,
            verdict.word,
            reason=verdict.reason,
            seconds=attempt.watch.seconds,
            timings=attempt.timings,
            release=attempt.release.number if attempt.release else None,
        )
