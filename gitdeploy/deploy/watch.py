"""What was deployed is asked on for a while, by a process that nobody waits for.

For each chain one: it holds a file locked as long as it lives (`layout.watching`), and
the ledger says what is to be watched until when. So a watch whose process died is
known, and goes on with whoever comes next (`watch_in_background`).
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from msgspec.structs import replace

from gitdeploy.config import Answer, Check, Health
from gitdeploy.deploy.aftermath import begin_aftermath, due
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.checks import answers
from gitdeploy.deploy.flip import shows_a_page
from gitdeploy.deploy.lending import lending
from gitdeploy.deploy.placed import wanted_of
from gitdeploy.deploy.recover import locked
from gitdeploy.deploy.release_log import log_open
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.roll import take_off
from gitdeploy.deploy.still_wanted import check_not_cancelled
from gitdeploy.deploy.workplace import mask_of, workplace
from gitdeploy.errors import GitdeployError, ReleaseFailed
from gitdeploy.ground import Ground
from gitdeploy.model import ChainName, Entry, Watch
from gitdeploy.probe import ask
from gitdeploy.steps import can_be_unprivileged
from gitdeploy.system import clock, files, flock
from gitdeploy.system.client import Client
from gitdeploy.system.clock import Stopwatch

__all__ = ["watch_until_over"]

_WAIT_S = 1800.0


def watch_until_over(app: App, chain: ChainName) -> None:
    """Watch the head of a chain as long as the ledger wants it, unless somebody does.

    Args:
        app: The app, its ledger closed; who acts is the watch.
        chain: The chain.
    """
    fd = files.open_to_hold(app.layout.watching(chain))
    try:
        while _is_wanted(app, chain) and flock.try_to_hold(fd):
            _Watcher(app, chain).watch()
            flock.release(fd)  # and look again: somebody may want another by now
    finally:
        os.close(fd)


def _is_wanted(app: App, chain: ChainName) -> bool:
    with _again(app) as fresh:
        return any(watch.chain == chain for watch in fresh.ledger.watches.all())


class _Watcher:
    """One process that watches one chain."""

    def __init__(self, app: App, chain: ChainName) -> None:
        self._app = app
        self._chain = chain
        self._watch: Watch | None = None
        self._wanted: Wanted | None = None
        self._unhealthy: Stopwatch | None = None
        self._told = False

    def watch(self) -> None:
        """Ask again and again, until there is nothing to be watched any more."""
        while health := self._to_ask():
            heard = ask(health.url, health, reach=self._app.server.reach)
            if heard.right or self._is_hidden():
                self._unhealthy, self._told = None, False
            else:
                self._unhealthy = self._unhealthy or Stopwatch()
                too_long = self._unhealthy.seconds >= health.within_s
                if too_long and not self._told:
                    words = mask_of(self._shared)(heard.words)
                    self._act(health, f"{health.url}: {words}")
            time.sleep(health.every_s)

    def _to_ask(self) -> Health | None:
        """Return what is to be asked now; None where the watch is over."""
        with _again(self._app) as app:
            watch = _current(app, self._chain)
            if watch and watch != self._watch:
                self._watch, self._unhealthy, self._told = watch, None, False
                self._wanted = _wanted(app, watch)
            config = self._wanted.config if self._wanted else None
            health = config.health_for(self._chain) if watch and config else None
            if health is None:
                _end(app, self._chain, watch)
            return health

    @property
    def _shared(self) -> Ground:
        """Where the secrets are of what is watched."""
        assert self._wanted is not None
        with _again(self._app) as app:
            return app.shared_of(self._wanted.config.shared.scope, self._chain)

    def _is_hidden(self) -> bool:
        """Return whether a page is what answers, instead of what is watched."""
        with _again(self._app) as app:
            return shows_a_page(app, self._chain)

    def _act(self, health: Health, why: str) -> None:
        """Take back what does not work any more, unless nothing else works either."""
        self._told = True  # once; again when it was healthy in between
        with _again(self._app) as app, suppress(GitdeployError, OSError):
            what = f"watch of {self._chain}"
            with locked(
                app,
                what,
                wait_s=_WAIT_S,
                tell=lambda _: None,
                rolls_back=self._chain,
            ):
                if _current(app, self._chain) != self._watch:
                    return
                # while we waited for our turn
                if ask(health.url, health, reach=app.server.reach).right:
                    self._told = False
                    return
                _take_back(app, self._chain, health, why)
        self._go_on()

    def _go_on(self) -> None:
        """Let be done what goes on after an action: somebody is told of it."""
        with _again(self._app) as app:
            aftermath = due(app, tidies=False)
        begin_aftermath(self._app, aftermath)


def _take_back(app: App, chain: ChainName, health: Health, why: str) -> None:
    """Roll back what does not work; called with the lock held.

    Changes: the chain and its links; or history alone, where going back would not help.
    """
    entries = app.ledger.chains.first(chain, 2)
    if not_better := _not_better(app, chain, entries[1:], health):
        event = app.ledger.deployments.begin(
            "watch", by=app.by, started=clock.now(), chain=chain
        )
        reason = f"unhealthy: {why}; not rolled back: {not_better}"
        number = entries[0].release
        app.ledger.deployments.end(event.id, "failed", reason=reason, release=number)
        return
    take_off(app, chain, Report(Client(None)), why=f"unhealthy: {why}")


def _not_better(
    app: App, chain: ChainName, before: tuple[Entry, ...], health: Health
) -> str:
    """Return why nothing would be better with the release before; else nothing."""
    if not before:
        return "there is no release before it"
    release = app.ledger.releases.get(before[0].release)
    try:
        wanted = wanted_of(app, chain, before[0])
        served = (
            [c for c in wanted.config.checks_for(chain) if c.serve] if wanted else []
        )
        if not wanted or not served:
            return ""  # nobody can tell
        report = Report(Client(None))
        with log_open(app, release, report):
            place = workplace(
                app,
                release,
                wanted,
                report,
                stage="check",
                check=lambda: check_not_cancelled(app),
            )
            place = replace(
                place, tell=lambda _: None, unprivileged=can_be_unprivileged()
            )
            words = urlsplit(health.url)
            path = (words.path or "/") + (f"?{words.query}" if words.query else "")
            answer = _as_asked_live(health, served[0])
            with lending(app, trial=chain):
                heard = answers(
                    served[0],
                    place,
                    lambda at: ask(at.url(path), answer, at=at),
                    Path(app.surroundings.tmpdir),
                )
    except ReleaseFailed as error:
        return f"release {release.number} does not start either: {error.message}"
    if heard.right:
        return ""
    return f"release {release.number} is not healthy either: {heard.words}"


def _as_asked_live(health: Health, check: Check) -> Answer:
    """Return how a candidate is asked what was asked live: by the same name."""
    host = {"Host": urlsplit(health.url).netloc}
    return Answer(
        expect=health.expect,
        text=health.text,
        headers={**host, **check.headers, **health.headers},
        redirects=health.redirects,
        timeout_s=health.timeout_s,
    )


def _again(app: App) -> App:
    """Return the app as the watch opens it: for a moment, so that nobody waits."""
    return App(app.layout, app.surroundings, "watch")


def _end(app: App, chain: ChainName, watch: Watch | None) -> None:
    """Watch a chain no more, unless somebody wants another watch by now."""
    with app.ledger.transaction():
        if _current(app, chain) == watch:
            app.ledger.watches.end(chain)


def _wanted(app: App, watch: Watch) -> Wanted | None:
    head = app.ledger.chains.first(watch.chain, 1)
    with suppress(ReleaseFailed):
        return wanted_of(app, watch.chain, head[0])
    return None


def _current(app: App, chain: ChainName) -> Watch | None:
    """Return what is to be watched on a chain; None where that is over."""
    for watch in app.ledger.watches.all():
        head = app.ledger.chains.first(chain, 1)
        is_live = bool(head) and (head[0].release, head[0].since) == (
            watch.release,
            watch.since,
        )
        if watch.chain == chain and is_live and clock.seconds_since(watch.until) < 0:
            return watch
    return None
