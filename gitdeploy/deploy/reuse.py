"""Outputs of steps: taken from an earlier release, and kept for later ones.

What is passed on is what the step made, as it made it. What later steps or people
changed is not.
"""

import os

from gitdeploy import outputs
from gitdeploy.config import Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.step_key import Key, StepKeys
from gitdeploy.deploy.untouched import Untouched
from gitdeploy.errors import SystemFailed
from gitdeploy.model import Release
from gitdeploy.outputs import Made
from gitdeploy.sharing import way_in
from gitdeploy.steps import Place, can_be_unprivileged
from gitdeploy.system import clock, disk, files
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import count, printable

__all__ = ["Reuse", "named"]


class Reuse:
    """The outputs of one release's steps, in their order.

    Attributes:
        shared: Those that other releases may have too, as the same files.
    """

    def __init__(
        self,
        app: App,
        release: Release,
        wanted: Wanted,
        report: Report,
        place: Place,
    ) -> None:
        self._app = app
        self._release = release
        self._directory = app.directory(release)
        self._wanted = wanted
        self._report = report
        self._keys = StepKeys(app, wanted, place)
        self._links = self._may_link()
        self._made: dict[str, Made] = {}
        self.shared = Untouched(app, release, report)

    def _may_link(self) -> bool:
        """Return whether outputs to be shared have to be shared by hard links."""
        if all(step.reuse != "share" for step in self._wanted.config.build.steps):
            return False
        place = self._app.layout.releases
        return way_in(place, hard_links=can_be_unprivileged()) == "hardlink"

    def key(self, step: Step) -> Key:
        """Return what the next step is known by; see `StepKeys.of`."""
        key = self._keys.of(step, read_only=self._is_linked(step))
        if key.remark:
            self._log(step, key.remark)
        return key

    def taken(self, step: Step, key: str) -> bool:
        """Take a step's outputs from an earlier release; return whether one had them.

        Changes: the outputs in the release, its record, the ledger.
        """
        if self._wanted.anew or step.reuse == "off":
            return False
        watch = Stopwatch()
        for donor in self._app.ledger.releases.holding(key):
            made = _record(self._app, donor).get(key)
            if why := self._taken_from(step, donor, made):
                self._log(step, f"not as release {donor.number} has it: {why}")
                self._app.ledger.releases.unmade(donor.number, key)
                continue
            assert made is not None
            self._log(step, f"taken from release {donor.number}")
            same = f"reused: {named(step)} unchanged"
            self._report.line(step.title, same, watch.seconds)
            self._remember(step, key, made.placed, donor)
            return True
        return False

    def _taken_from(self, step: Step, donor: Release, made: Made | None) -> str:
        """Bring outputs from a release; return why they were not, or nothing."""
        source = self._app.directory(donor)
        if made is None:
            return "its record is gone"
        try:
            now = outputs.look(source, step.outputs)
            if path := next(outputs.changed(made.entries, now), None):
                return f"{os.fsdecode(path)} was changed there"
            outputs.bring(
                made,
                step.outputs,
                source,
                self._directory,
                linked=self._is_linked(step),
            )
        except (SystemFailed, OSError) as error:
            return _why(error)
        return ""

    def keep(self, step: Step, key: str) -> None:
        """Remember what a step made, which has just ended.

        Changes: the modes of its outputs where they are shared by hard links; the
            record; the ledger.
        """
        if step.reuse == "off":
            return
        try:
            made = outputs.look(self._directory, step.outputs)
            if why := outputs.unfit(made, step.outputs):
                self._log(step, f"cannot be reused: {why}")
                return
            placed = outputs.names_of_place(self._directory, made)
            if self._is_linked(step):
                self._set_apart(step)
        except (SystemFailed, OSError) as error:
            self._log(step, f"cannot be reused: {_why(error)}")
            return
        self._remember(step, key, placed, self._release)

    def _set_apart(self, step: Step) -> None:
        made = outputs.look(self._directory, step.outputs)
        if outputs.own(made, step.outputs, self._directory):
            made = outputs.look(self._directory, step.outputs)
        outputs.make_read_only(self._directory, made)

    def _remember(
        self, step: Step, key: str, placed: tuple[bytes, ...], origin: Release
    ) -> None:
        entries = outputs.look(self._directory, step.outputs)
        clock.wait_past(max(seen.ctime_ns for seen in entries.values()))
        if self._is_linked(step):
            entries = outputs.without_ctime(entries)
        made = self._made[key] = Made(entries, placed)
        if self._is_linked(step):
            theirs = _record(self._app, origin).get(key, made)
            self.shared.add(origin, step.outputs, theirs)
        files.make_directory(self._app.layout.outputs)
        place = self._app.layout.outputs / self._release.name
        files.write(place, outputs.encode(self._made))  # half of it is no record
        self._app.ledger.releases.made(self._release.number, key)

    def _is_linked(self, step: Step) -> bool:
        return self._links and step.reuse == "share"

    def _log(self, step: Step, text: str) -> None:
        assert self._report.log is not None
        self._report.log.heading(printable(f"{step.title}  {text}"))


def _why(error: SystemFailed | OSError) -> str:
    return disk.blamed(error) if isinstance(error, OSError) else error.message


def _record(app: App, release: Release) -> dict[str, Made]:
    try:
        return outputs.decode((app.layout.outputs / release.name).read_bytes())
    except OSError:
        return {}


def named(step: Step) -> str:
    """Return a step's inputs, briefly."""
    first, *rest = step.inputs
    if len(rest) > 1:
        return f"{first} and {count(len(rest), 'other')}"
    return ", ".join(step.inputs)
