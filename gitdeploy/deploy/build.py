"""The build steps of a release: run, or known already; with a stated environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.config import Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.blame import blame
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.reuse import Reuse
from gitdeploy.deploy.still_wanted import check_still_wanted
from gitdeploy.deploy.untouched import Untouched
from gitdeploy.errors import StepFailed
from gitdeploy.manifest import Manifest
from gitdeploy.model import Release
from gitdeploy.steps import Mask, run_step
from gitdeploy.system.terminal import for_humans

__all__ = ["build"]


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
    environment = _environment(app, release, wanted)
    mask = _mask(Path(environment["GITDEPLOY_SHARED_DIR"]))
    reuse = Reuse(app, release, wanted, report, environment)
    directory = app.directory(release)
    run = _Run(app, directory, wanted, report, environment, mask, linked)
    for step in steps:
        key = reuse.key(step).value
        if key and reuse.taken(step, key):
            continue
        run(step, reuse.shared)
        if key:
            reuse.keep(step, key)


@dataclass(frozen=True, slots=True)
class _Run:
    """What it takes to run the steps of one release."""

    app: App
    directory: Path
    wanted: Wanted
    report: Report
    environment: Mapping[str, str]
    mask: Mask
    linked: Manifest | None

    def __call__(self, step: Step, shared: Untouched) -> None:
        """Run a step, which may read what is shared and not write into it."""
        self.report.begin(step.title, for_humans(step.run) if step.name else "")
        try:
            seconds = self._run(step, confined=bool(shared or self.linked))
        except StepFailed as error:
            self._explain(error, shared)
            shared.check(step.title)
            raise
        shared.check(step.title)
        self.report.end(seconds)

    def _run(self, step: Step, *, confined: bool) -> float:
        assert self.report.log is not None
        config = self.wanted.config
        return run_step(
            step,
            directory=self.directory,
            environment=self.environment,
            timeout_s=config.limit_s(step),
            log=self.report.log,
            tell=self.report.output,
            mask=self.mask,
            check=lambda: check_still_wanted(self.app, config, self.report),
            confined=confined,
        )

    def _explain(self, error: StepFailed, shared: Untouched) -> None:
        """Say what a step wanted to write into, where it was not let."""
        assert self.report.log is not None
        tail = self.report.log.tail
        if path := blame(tail, self.directory, shared.__contains__):
            way_out = 'or set  reuse = "copy"'
        elif path := blame(tail, self.directory, self._is_linked):
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


def _environment(app: App, release: Release, wanted: Wanted) -> dict[str, str]:
    head = app.ledger.chains.read(wanted.chain).head
    before = app.ledger.releases.get(head.release) if head else None
    shared = app.layout.shared_of(wanted.config.shared.scope, wanted.chain)
    return {
        **app.surroundings.environment(),
        **wanted.config.env_for(wanted.chain),
        "GITDEPLOY_APP": app.name,
        "GITDEPLOY_CHAIN": wanted.chain,
        "GITDEPLOY_COMMIT": wanted.commit,
        "GITDEPLOY_REF": wanted.ref,
        "GITDEPLOY_RELEASE": release.name,
        "GITDEPLOY_RELEASE_DIR": str(app.directory(release)),
        "GITDEPLOY_SHARED_DIR": str(shared),
        "GITDEPLOY_PREVIOUS_DIR": str(app.directory(before)) if before else "",
    }


def _mask(shared: Path) -> Mask:
    """Return what hides the values of the shared .env in what steps print."""
    env_file = shared / ".env"
    if not env_file.is_file():
        return Mask()
    from gitdeploy.envfile import values

    lines = env_file.read_text("utf-8", "surrogateescape").splitlines()
    encoded = (line.partition("=")[2].strip("'\" \t") for line in lines)
    return Mask([*values(env_file).values(), *encoded])
