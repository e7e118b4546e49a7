"""What must hold before a release is shown: its checks, run or served and asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from gitdeploy.config import Check, Run
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.lending import lending
from gitdeploy.deploy.placed import in_time
from gitdeploy.deploy.quota import QuotaWatch, check_quota
from gitdeploy.deploy.release_log import log_open
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.still_wanted import check_still_wanted
from gitdeploy.deploy.workplace import workplace
from gitdeploy.errors import Cancelled, StepFailed
from gitdeploy.model import Release
from gitdeploy.probe import Candidate, Heard, ask, free_port
from gitdeploy.steps import Workplace, can_be_unprivileged, run_step, serve
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.scratch import scratch_directory
from gitdeploy.system.signals import disturbable

__all__ = ["answers", "check", "check_ready", "has_passed"]

_SOON_S: Final = 0.1
_LATER_S: Final = 1.0
_LATE_S: Final = 5.0
_LAST_LINES: Final = 12


def has_passed(app: App, release: Release, wanted: Wanted) -> bool:
    """Return whether a release passed the very checks that a chain wants, ever.

    One that has none to pass has passed them.
    """
    if not wanted.config.checks_for(wanted.chain):
        return True
    return app.ledger.releases.has_passed(release.number, _key(wanted))


def check_ready(app: App, release: Release, wanted: Wanted, report: Report) -> None:
    """Run the checks of a ready release that is to be shown, unless it passed them.

    Raises:
        StepFailed: A check did not hold; the release stays as it is.
    """
    if not has_passed(app, release, wanted):
        try:
            with log_open(app, release, report), disturbable():
                check(app, release, wanted, report, linked=True)
                check_quota(app)
        except KeyboardInterrupt as error:
            if app.turn:
                app.turn.stop("a signal")
            raise Cancelled("cancelled by a signal") from error


def check(
    app: App, release: Release, wanted: Wanted, report: Report, *, linked: bool
) -> None:
    """Run each check of a release, in order; note that it passed all.

    Args:
        app: The app.
        release: The release, which is complete.
        wanted: What it is made of, and the chain it shall be shown on.
        report: Tells the pusher; its log is open.
        linked: Whether other releases may have files of it by another name.

    Raises:
        StepFailed: A check did not hold; the later ones were not asked.
        ReleaseFailed: The app took more of the disk than it may.
        Cancelled: Somebody did not want to wait for it any more.
    """
    config, quota = wanted.config, QuotaWatch(app)

    def look() -> None:
        check_still_wanted(app, config, report)
        quota.look()

    place = workplace(app, release, wanted, report, stage="check", check=look)
    place = replace(place, unprivileged=linked and can_be_unprivileged())
    for one in in_time(app, wanted).config.checks_for(wanted.chain):
        with lending(app):
            if one.run is not None:
                _run(one, place, report)
            else:
                _serve(one, place, report, Path(app.surroundings.tmpdir))
    app.ledger.releases.passed(release.number, _key(wanted))


def answers(
    one: Check, place: Workplace, ask_it: Callable[[Candidate], Heard], scratch: Path
) -> Heard:
    """Serve a release where nobody else reaches it, and ask until it answers rightly.

    Args:
        one: How it is served, and for how long at most.
        place: Where it runs.
        ask_it: Asks once.
        scratch: Where its socket's directory is made: TMPDIR of the server, and not
            the one that deploy.toml may state.

    Returns:
        What was heard last; it may be wrong when the time is over.

    Raises:
        StepFailed: It ended by itself, or could not be started.
    """
    assert one.serve is not None
    with (
        _candidate(one, scratch) as candidate,
        _asking(lambda: ask_it(candidate), one.within_s) as asked,
    ):
        environment = {
            **place.environment,
            "PORT": str(candidate.port),
            "SOCKET": str(candidate.socket),
        }
        serve(
            one.serve,
            f"check {one.title}",
            replace(
                place.also_writable(candidate.socket.parent), environment=environment
            ),
            timeout_s=one.within_s + _LATE_S,
            done=asked.is_done,
        )
    return replace(asked.heard, words=place.mask(asked.heard.words))


def _run(one: Check, place: Workplace, report: Report) -> None:
    assert one.run is not None
    step = Run(run=one.run, name=one.name)
    report.begin("check", step.title)
    try:
        seconds = run_step(step, place, timeout_s=one.within_s)
    except StepFailed as error:
        raise StepFailed(
            f"check {error.step}", error.outcome, hint=error.hint
        ) from error
    report.end(seconds)


def _serve(one: Check, place: Workplace, report: Report, scratch: Path) -> None:
    assert one.url is not None
    path, watch = one.url, Stopwatch()
    report.begin("check", one.title)
    quiet = replace(place, tell=lambda _: None)  # a server says much to nobody
    with _last_lines_on_failure(place, report):
        heard = answers(
            one, quiet, lambda there: ask(there.url(path), one, at=there), scratch
        )
        _check_right(one, heard)
    report.end(watch.seconds, f"{path}  {heard.words}")


def _check_right(one: Check, heard: Heard) -> None:
    if not heard.right:
        raise StepFailed(f"check {one.title}", heard.words)


@contextmanager
def _last_lines_on_failure(place: Workplace, report: Report) -> Iterator[None]:
    try:
        yield
    except StepFailed:
        for line in place.log.tail[-_LAST_LINES:]:
            report.output(line)
        raise


class _Asking:
    """A thread that asks again and again until the answer is right."""

    def __init__(self, ask_once: Callable[[], Heard], within_s: float) -> None:
        self._ask_once = ask_once
        self._within_s = within_s
        self._watch = Stopwatch()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.heard = Heard(right=False, words="no answer")

    def is_done(self) -> bool:
        """Return whether the right answer came, or the time for it is over.

        What is heard from then on is how the candidate is ended.
        """
        if self.heard.right or self._watch.seconds >= self._within_s:
            self._enough.set()
            return True
        return False

    def begin(self) -> None:
        """Ask from now on."""
        self._thread.start()

    def end(self) -> None:
        """Ask no more."""
        self._enough.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._enough.is_set():
            heard = self._ask_once()
            if not self._enough.is_set():  # else it may be its end that was heard
                self.heard = heard
            if heard.right:
                return
            # One that is up and wrong fills its log with each question more.
            self._enough.wait(_LATER_S if heard.answered else _SOON_S)


@contextmanager
def _asking(ask_once: Callable[[], Heard], within_s: float) -> Iterator[_Asking]:
    asking = _Asking(ask_once, within_s)
    asking.begin()
    try:
        yield asking
    finally:
        asking.end()


@contextmanager
def _candidate(one: Check, scratch: Path) -> Iterator[Candidate]:
    """Choose where a release is served for the body: a port, and a socket's name."""
    port = free_port()
    with scratch_directory(scratch) as directory:
        yield Candidate(port, directory / "check.sock", one.tls)


def _key(wanted: Wanted) -> str:
    """Return what two passes of the same checks have in common."""
    checks = msgspec.to_builtins(
        wanted.config.checks_for(wanted.chain),
        enc_hook=lambda value: float(value) if isinstance(value, float) else str(value),
    )
    return json.dumps([checks, wanted.config.env_for(wanted.chain)], sort_keys=True)
