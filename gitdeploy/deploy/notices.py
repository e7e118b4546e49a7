"""What became of deployments, told to those who want to know.

The ledger is the outbox: an event that ended is to be told until the setting `notified`
has reached it. So nothing is lost when the process that tells is killed; what was being
sent then may be told twice.
"""

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from gitdeploy.channels import Channel, Notice, channels_of
from gitdeploy.config.notify import Event, Notify
from gitdeploy.deploy.app import App
from gitdeploy.deploy.look import Shape, event_shape, live
from gitdeploy.errors import GitdeployError
from gitdeploy.logs import Log
from gitdeploy.model import CHAINS, Deployment, short_ref
from gitdeploy.system import files, flock
from gitdeploy.system.apart import done_apart
from gitdeploy.system.terminal import human_time, printable

__all__ = [
    "deliver",
    "event_word",
    "notice_of",
    "send_patiently",
    "test_notice",
    "to_be_told",
    "told",
]

_FIRST_PAUSE_S: Final = 0.5
_LONGER: Final = 4
_LOG_BYTES: Final = 2**20
_MEMORY_BYTES: Final = 256 * 2**20
_ACTIONS: Final = {"stage": "staged", "release": "released", "redeploy": "redeployed"}
_WORDS: Final[dict[str, Event]] = {
    "deployed": "deployed",
    "rolled forward": "deployed",
    "rolled back": "rolled back",
    "failed": "failed",
    "refused": "refused",
}


def deliver(app: App) -> None:
    """Tell all that is to be told, unless somebody does.

    Args:
        app: The app, its ledger closed.

    Changes: the setting `notified`, after each event; the log of notices.
    """
    fd = files.open_to_hold(app.layout.notifying)
    try:
        while _is_anything_left(app) and flock.try_to_hold(fd):
            _tell_all(app)
            flock.release(fd)  # and look again: more may have ended by now
    finally:
        os.close(fd)


def to_be_told(app: App) -> list[Deployment]:
    """Return the events that ended and were not told yet, oldest first.

    One that has not ended holds up those after it: they are told in their order.
    """
    from gitdeploy.deploy.notified import told_up_to

    found = []
    for event in app.ledger.deployments.after(told_up_to(app)):
        if event.verdict is None:
            break
        found.append(event)
    return found


def event_word(event: Deployment, notify: Notify) -> Event | None:
    """Return as what an event is told; None where nobody wants to know."""
    word = _WORDS.get(event.verdict or "")
    wanted = word in notify.on and event.chain in (None, *notify.chains)
    return word if wanted else None


def notice_of(app: App, event: Deployment, word: Event) -> Notice:
    """Return what is told about an event."""
    shape = event_shape(app, event)
    shown = [
        printable(event.reason or ""),
        f"live now: {_live(app)}",
        f"on {platform.node()}, {event.started}",
    ]
    if event.seconds is not None:
        shown[-1] += f", took {human_time(event.seconds)}"
    body = "\n".join(filter(None, shown))
    return Notice(printable(_title(app, event, word)), body, _record(app, word, shape))


def test_notice(app: App) -> Notice:
    """Return what is told to try the channels."""
    title = f"{app.name}: a test by {app.by}"
    return Notice(title, f"live now: {_live(app)}", _record(app, "test", None))


def _title(app: App, event: Deployment, word: Event) -> str:
    what = short_ref(event.ref) if event.ref else event.chain or "a push"
    release = f"release {event.release}"
    match word:
        case "deployed":
            did = _ACTIONS.get(event.action, event.verdict or "")
            return f"{app.name}: {did} {what} ({release}) by {event.by}"
        case "rolled back":
            return f"{app.name}: rolled back {event.chain} to {release} by {event.by}"
        case "failed" if event.action == "watch":
            return f"{app.name}: {event.chain} ({release}) is unhealthy"
        case _:
            return f"{app.name}: {event.action} of {what} {word}, by {event.by}"


def _record(app: App, word: str, event: Shape | None) -> Shape:
    return {
        "app": app.name,
        "event": word,
        "host": platform.node(),
        "deployment": event,
        "live": {chain: live(app, chain) for chain in CHAINS},
    }


def _live(app: App) -> str:
    heads = [(chain, app.ledger.chains.read(chain).head) for chain in CHAINS]
    shown = [f"release {head.release} on {chain}" for chain, head in heads if head]
    return ", ".join(shown) or "nothing"


def _is_anything_left(app: App) -> bool:
    with _again(app) as fresh:
        return bool(to_be_told(fresh))


def _tell_all(app: App) -> None:
    while True:
        with _again(app) as fresh:
            events = to_be_told(fresh)
            if not events:
                return
            event, notify = events[0], fresh.server.notify
            word = event_word(event, notify)
            notice = notice_of(fresh, event, word) if word else None
        if notice:  # with no ledger open: it may take minutes
            _tell(app, notify, notice)
        with _again(app) as fresh:
            fresh.ledger.set_setting("notified", str(event.id))


def _tell(app: App, notify: Notify, notice: Notice) -> None:
    """Tell everybody, at once; who cannot be told holds up nobody else."""
    _log(app, [f"{one}: {why}: {notice.title}" for one, why in told(notify, notice)])


def told(notify: Notify, notice: Notice, tries: int = 0) -> list[tuple[str, str]]:
    """Tell everybody, at once and in time; return who could not be told, and why.

    Args:
        notify: Who is told, and how long that may take.
        notice: What.
        tries: How often a channel is tried; 0: as often as `notify` says.
    """
    channels = channels_of(notify)
    works = [
        lambda one=one: send_patiently(one, notice, tries or notify.tries)
        for one in channels
    ]
    said = done_apart(works, within_s=notify.within_s, memory_bytes=_MEMORY_BYTES)
    late = f"not told within {human_time(notify.within_s)} and 256 MiB"
    whys = [late if why is None else why for why in said]
    names = [one.name for one in channels]
    return [(name, why) for name, why in zip(names, whys, strict=True) if why]


def send_patiently(
    channel: Channel,
    notice: Notice,
    tries: int,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Return why a channel could not be told, after all its tries; else nothing."""
    why = ""
    for n in range(tries):
        if n:
            pause(_FIRST_PAUSE_S * _LONGER ** (n - 1))
        try:
            why = channel.send(notice)
        except Exception as error:  # noqa: BLE001 - what a channel's library raises
            why = f"a bug: {type(error).__name__}"
        if not why:
            return ""
    return why


def _log(app: App, failed: Sequence[str]) -> None:
    path = app.layout.logs / "notify.log"
    with suppress(OSError, GitdeployError):
        if failed and path.exists() and path.stat().st_size > _LOG_BYTES:
            files.remove_file(path)
        if failed:
            with Log(path, limit_bytes=_LOG_BYTES) as log:
                for line in failed:
                    log.heading(line)


def _again(app: App) -> App:
    """Return the app with a ledger of its own, for a moment."""
    return App(app.layout, app.surroundings, app.by, app.key)
