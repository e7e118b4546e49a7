"""The build steps of a release: run, or known already; with a stated environment."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.config import Config, Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.blame import blame
from gitdeploy.deploy.lending import lending
from gitdeploy.deploy.quota import QuotaWatch
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.reuse import Reuse
from gitdeploy.deploy.sight import explain_unseen, only_inputs
from gitdeploy.deploy.step_key import names_variable
from gitdeploy.deploy.still_wanted import check_still_wanted
from gitdeploy.deploy.trust import is_strict
from gitdeploy.deploy.untouched import Untouched
from gitdeploy.deploy.workplace import workplace
from gitdeploy.errors import StepFailed
from gitdeploy.manifest import Manifest
from gitdeploy.model import Release
from gitdeploy.steps import Workplace, run_step
from gitdeploy.system.terminal import for_humans

__all__ = ["build"]

_PREVIOUS: Final = "GITDEPLOY_PREVIOUS_DIR"


def build(
    app: App,
    release: Release,
    wanted: Wanted,
    report: Report,
    *,
    linked: Manifest | None = None,
) -> None:
    """Run each step in the release, or take its outputs from an earlier one.

    Args:
        app: The app.
        release: The release, whose files are there.
        wanted: What it is made of.
        report: Tells the pusher.
        linked: The record of those files, where earlier releases may have them too
            by another name.

    Raises:
        StepFailed: A step did not succeed; the later ones did not run.
        Cancelled: Somebody did not want to wait for it any more.
    """
    steps = wanted.config.build.steps
    if not steps:
        return
    config, quota = wanted.config, QuotaWatch(app)

    def check() -> None:
        check_still_wanted(app, config, report)
        quota.look()

    place = workplace(app, release, wanted, report, check=check)
    reuse = Reuse(app, release, wanted, report, place)
    run = _Run(app, place, config, report, linked)
    strict, before, sound = is_strict(app), set[str](), True
    for step in steps:
        key = reuse.key(step)
        if key.value and reuse.taken(step, key.value):
            sound = sound and reuse.trusts(key.value)
        else:
            held = key.value is not None and strict and place.holds(step.run)
            reads = key.reads if held else None
            run(step, reuse.shared, reads, before)
            if key.value:
                # Without `reads` the key is of this very tree, or everything was seen.
                sound = sound and (held or key.reads is None)
                reuse.keep(step, key.value, trusted=sound)
        before |= {*step.outputs}


class _Run(Struct, frozen=True):
    """What it takes to run the steps of one release."""

    app: App
    place: Workplace
    config: Config
    report: Report
    linked: Manifest | None

    def __call__(
        self,
        step: Step,
        shared: Untouched,
        reads: Iterable[str] | None,
        before: Collection[str],
    ) -> None:
        """Run a step, which may read what is shared and not write into it.

        Args:
            step: The step.
            shared: What it may not write into.
            reads: All that it sees of its release; None: everything.
            before: What steps before it made, which it sees as well.
        """
        self.report.begin(step.title, for_humans(step.run) if step.name else "")
        place = replace(self.place, unprivileged=bool(shared or self.linked))
        try:
            if reads is None:
                seconds = self._run(step, place)
            else:
                seconds = self._run_alone(step, place, reads, before)
        except StepFailed as error:
            self._explain(error, shared)
            shared.check(step.title)
            raise
        shared.check(step.title)
        self.report.end(seconds)

    def _run(self, step: Step, place: Workplace) -> float:
        with lending(self.app):
            return run_step(step, place, timeout_s=self.config.limit_s(step))

    def _run_alone(
        self,
        step: Step,
        place: Workplace,
        reads: Iterable[str],
        before: Collection[str],
    ) -> float:
        """Run a step that finds, of its release, what it states."""
        release, alone = place.directory, self.app.layout.alone
        previous = place.environment[_PREVIOUS]
        unseen = [] if names_variable(step.run, _PREVIOUS) else [Path(previous)]
        place = place.standing_in(alone, unseen=unseen)
        with only_inputs(release, alone, reads, before=before, made=step.outputs):
            try:
                return self._run(step, place)
            except StepFailed as error:
                explain_unseen(error, place.log.tail, release, alone)
                raise

    def _explain(self, error: StepFailed, shared: Untouched) -> None:
        """Say what a step wanted to write into, where it was not let."""
        tail = self.place.log.tail
        if path := blame(tail, self.place.directory, shared.__contains__):
            way_out = 'or set  reuse = "copy"'
        elif path := blame(tail, self.place.directory, self._is_linked):
            way_out = 'or set  [checkout] share = "never"'
        else:
            return
        error.hint = (
            f"{path} is shared with other releases and read-only: write a new file"
            f" and rename it over it, {way_out}"
        )

    def _is_linked(self, path: str) -> bool:
        file = self.linked.file(os.fsencode(path)) if self.linked else None
        return file is not None and file.stamp is not None
