"""Outputs of steps: taken from an earlier release, and kept for later ones.

What is passed on is what the step made, as it made it. What later steps or people
changed is not.
"""

import os
from pathlib import Path

from msgspec.structs import replace

from gitdeploy import outputs
from gitdeploy.config import Config, Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.step_key import Key, StepKeys
from gitdeploy.deploy.trust import made_in, may_take, was_on_prod
from gitdeploy.deploy.untouched import Untouched
from gitdeploy.errors import SystemFailed
from gitdeploy.model import Release
from gitdeploy.outputs import Made
from gitdeploy.sharing import can_reflink, way_in
from gitdeploy.steps import Place, can_be_unprivileged
from gitdeploy.system import clock, disk, files
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import count, printable

__all__ = ["Reuse", "links_outputs", "named"]


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
        self._links = links_outputs(app, wanted.config)
        self._tell_if_copied()
        self._made: dict[str, Made] = {}
        self.shared = Untouched(app, release, report)

    def _tell_if_copied(self) -> None:
        """Say what the server would have to allow for what deploy.toml asks for."""
        app = self._app
        if not _asks_to_share(self._wanted.config) or app.server.sharing.outputs:
            return
        if not can_reflink(app.layout.releases):
            said = "outputs are copied: [sharing] outputs of server.toml"
            self._report.line("sharing", said)

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
            if self._taken_from(step, key, donor):
                self._log(step, f"taken from release {donor.number}")
                same = f"reused: {named(step)} unchanged"
                self._report.line(step.title, same, watch.seconds)
                return True
        return False

    def _taken_from(self, step: Step, key: str, donor: Release) -> bool:
        """Bring outputs from a release, if it has them as they were made."""
        made = made_in(self._app, donor).get(key)
        if made and not may_take(self._app, self._wanted, donor, made):
            why = "more than its inputs may have gone into it, of another commit"
            self._log(step, f"not from release {donor.number}: {why}")
            return False
        try:
            contents = self._brought(step, made, self._app.directory(donor))
        except (SystemFailed, OSError) as error:
            self._log(step, f"not as release {donor.number} has it: {_why(error)}")
            self._app.ledger.releases.unmade(donor.number, key)
            return False
        assert made is not None
        trusted = made.trusted or was_on_prod(self._app, donor)
        made = replace(made, contents=contents, trusted=trusted)
        self._remember(step, key, made, donor)
        return True

    def _brought(
        self, step: Step, made: Made | None, source: Path
    ) -> dict[bytes, bytes]:
        """Bring outputs from a release, and return what they hold in this one.

        Raises:
            SystemFailed: They are not there as they were made.
            OSError: They could not be brought.
        """
        if made is None:
            raise SystemFailed("its record is gone")
        now = outputs.look(source, step.outputs)
        if path := next(outputs.changed(made.entries, now), None):
            raise SystemFailed(f"{os.fsdecode(path)} was changed there")
        linked = self._is_linked(step)
        return outputs.bring(made, step.outputs, source, self._directory, linked=linked)

    def keep(self, step: Step, key: str, *, trusted: bool) -> None:
        """Remember what a step made, which has just ended.

        Args:
            step: The step.
            key: What it is known by.
            trusted: Whether nothing can have gone into it that its key does not tell.

        Changes: the modes of its outputs where they are shared by hard links; the
            record; the ledger.
        """
        if step.reuse == "off":
            return
        try:
            entries = outputs.look(self._directory, step.outputs)
            if why := outputs.unfit(entries, step.outputs):
                self._log(step, f"cannot be reused: {why}")
                return
            places = outputs.places_of(self._directory)
            contents, naming = outputs.read(self._directory, entries, places)
            commit = self._wanted.commit
            made = Made(entries, contents, naming, commit, trusted)
            if self._is_linked(step):
                self._set_apart(step, made)
        except (SystemFailed, OSError) as error:
            self._log(step, f"cannot be reused: {_why(error)}")
            return
        self._remember(step, key, made, self._release)

    def trusts(self, key: str) -> bool:
        """Return whether what a step made, or was taken, may go to any release."""
        return self._made[key].trusted

    def _set_apart(self, step: Step, made: Made) -> None:
        outputs.own(made, step.outputs, self._directory)
        entries = outputs.look(self._directory, step.outputs)
        outputs.make_read_only(self._directory, entries)

    def _remember(self, step: Step, key: str, made: Made, origin: Release) -> None:
        entries = outputs.look(self._directory, step.outputs)
        clock.wait_past(max(seen.ctime_ns for seen in entries.values()))
        if self._is_linked(step):
            entries = outputs.without_ctime(entries)
        made = self._made[key] = replace(made, entries=entries)
        if self._is_linked(step):
            theirs = made_in(self._app, origin).get(key, made)
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


def links_outputs(app: App, config: Config) -> bool:
    """Return whether outputs that are to be shared are shared by hard links.

    Where the file system knows reflinks they need none.
    """
    if not (_asks_to_share(config) and app.server.sharing.outputs):
        return False
    place = app.layout.releases
    return way_in(place, hard_links=can_be_unprivileged()) == "hardlink"


def _asks_to_share(config: Config) -> bool:
    return any(step.reuse == "share" for step in config.build.steps)


def _why(error: SystemFailed | OSError) -> str:
    return disk.blamed(error) if isinstance(error, OSError) else error.message


def named(step: Step) -> str:
    """Return a step's inputs, briefly."""
    first, *rest = step.inputs
    if len(rest) > 1:
        return f"{first} and {count(len(rest), 'other')}"
    return ", ".join(step.inputs)
