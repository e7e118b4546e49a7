"""Maintenance: the public link of prod shows a page; the chains are untouched.

The ledger's setting is the truth, and `flip.show` makes the link show it, as it does
for everything else: a push or a roll back changes the chain, and the page stays.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from gitdeploy import links
from gitdeploy.deploy.app import App
from gitdeploy.deploy.flip import MAINTENANCE, check_links, show
from gitdeploy.deploy.maintenance_page import MESSAGE, message_of, page_saying
from gitdeploy.errors import GitdeployError
from gitdeploy.ledger import Ledger
from gitdeploy.modes import PASSAGE
from gitdeploy.system import clock, files
from gitdeploy.system.disk import blamed
from gitdeploy.system.signals import undisturbed

__all__ = [
    "MARKER",
    "Maintenance",
    "adopt",
    "heads",
    "in_maintenance",
    "keep_page",
    "lost_page",
    "page_of",
    "shape",
    "turn_off",
    "turn_on",
]

MARKER: Final = ".maintenance"
"""What web servers look for below the public link; it holds the page as well."""

_KEPT: Final = 2
"""Pages that stay: somebody may just be reading the one before."""


class Maintenance(Struct, frozen=True):
    """That an app's visitors see a page."""

    message: str
    """What they read, one line."""
    by: str
    """Who wanted it."""
    since: str
    """ISO 8601, UTC; that of the first page where the message was changed."""
    page: int
    """The number of the page's directory."""


def in_maintenance(app: App) -> Maintenance | None:
    """Return the maintenance that is on, None where none is."""
    said = app.ledger.setting(MAINTENANCE)
    return msgspec.json.decode(said, type=Maintenance) if said else None


def shape(app: App) -> dict[str, str] | None:
    """Return the maintenance as `--json` shows it; null where there is none."""
    now = in_maintenance(app)
    if now is None:
        return None
    return {name: value for name, value in asdict(now).items() if name != "page"}


def turn_on(app: App, message: str | None = None) -> bool:
    """Let visitors see a page; return whether that is new.

    Args:
        app: The app, whose lock is held.
        message: What they read, one line; None: as before, else `MESSAGE`.

    Changes: a new page beside the others; the ledger; the link; older pages. Safe to
        repeat; a crash in between is finished by whoever comes next.

    Raises:
        StateError: Something that is not a link has the link's name.
    """
    now = in_maintenance(app)
    if now and message in (None, now.message):
        show(app)
        return False
    check_links(app, "prod")
    page = max(_pages(app), default=0) + 1
    since = now.since if now else clock.now()
    wanted = Maintenance(message or MESSAGE, app.by, since, page)
    _make_page(app, wanted)
    _decide(app, wanted, before=now)
    for number in sorted(_pages(app))[:-_KEPT]:
        files.remove(page_of(app, number))
    return True


def turn_off(app: App) -> Maintenance | None:
    """Let visitors see prod again; return the maintenance that was on.

    The page stays until there are newer ones: somebody may be reading it.

    Args:
        app: The app, whose lock is held.

    Changes: the ledger; the link. Safe to repeat.
    """
    now = in_maintenance(app)
    if now:
        check_links(app, "prod")
        _decide(app, None, before=now)
    return now


def _decide(
    app: App, wanted: Maintenance | None, *, before: Maintenance | None
) -> None:
    """Make it the truth and show it; where that fails, all is as before."""
    ledger, deployments = app.ledger, app.ledger.deployments
    action = "maintenance on" if wanted else "maintenance off"
    with undisturbed():
        with ledger.transaction():
            _remember(ledger, wanted)
            event = deployments.begin(
                action,
                by=app.by,
                key=app.key,
                started=clock.now(),
                chain="prod",
            )
            deployments.intend(event.id, release=None, from_release=None, plan="")
            deployments.changed(event.id)
        try:
            show(app)
        except (OSError, GitdeployError) as error:
            _remember(ledger, before)
            with suppress(OSError, GitdeployError):
                show(app)
            deployments.end(event.id, "failed", reason=blamed(error))
            raise
        why = wanted.message if wanted else ""
        deployments.end(event.id, "accepted", reason=why)


def _remember(ledger: Ledger, wanted: Maintenance | None) -> None:
    said = msgspec.json.encode(wanted).decode() if wanted else ""
    ledger.set_setting(MAINTENANCE, said)


# --- the link ---------------------------------------------------------------------


def heads(app: App) -> dict[str, str]:
    """Return what the links hold that web servers look at, while maintenance is on."""
    now = in_maintenance(app)
    assert now is not None
    page = app.public.pointing_at(page_of(app, now.page), app.layout.root)
    return {**app.public.heads, app.public.head_name("prod"): page}


def adopt(app: App, ledger: Ledger, target: Path) -> None:
    """Note in a ledger made anew the maintenance that the link shows.

    Args:
        app: The app.
        ledger: The one that is made.
        target: The directory of the links.
    """
    held = links.read(target, [app.name])[app.name] or ""
    page = Path(held)
    if page.parent.name == app.layout.maintenance.name and page.name.isdecimal():
        number = int(page.name)
        said = message_of((page_of(app, number) / MARKER).read_bytes())
        _remember(ledger, Maintenance(said, app.by, clock.now(), number))


# --- the page ---------------------------------------------------------------------


def page_of(app: App, number: int) -> Path:
    """Return the directory of a page."""
    return app.layout.maintenance / str(number)


def lost_page(app: App) -> Path | None:
    """Return the page that visitors should see and that is gone from the disk."""
    now = in_maintenance(app)
    if now and not (page_of(app, now.page) / MARKER).is_file():
        return page_of(app, now.page)
    return None


def keep_page(app: App) -> None:
    """Write the page that visitors shall see anew where it is lost. Safe to repeat."""
    now = in_maintenance(app)
    if now and lost_page(app):
        files.remove(page_of(app, now.page))
        _make_page(app, now)


def _make_page(app: App, wanted: Maintenance) -> None:
    """Write a page, whole and durable before it has its name.

    Changes: a directory beside, then its name. Safe to repeat.
    """
    page = page_of(app, wanted.page)
    new = files.beside(page)
    files.remove(new)
    files.make_directory(page.parent, PASSAGE)
    files.make_directory(new, files.FOR_ALL_TO_VISIT)
    files.change_mode(new, files.FOR_ALL_TO_VISIT)
    text = page_saying(wanted.message)
    for name in ("index.html", MARKER):
        files.write_whole(new / name, text, files.FOR_ALL_TO_READ)
    files.replace_file(page, new)


def _pages(app: App) -> Iterator[int]:
    """Yield the numbers of the pages that are there, in any order."""
    if app.layout.maintenance.is_dir():
        names = (path.name for path in app.layout.maintenance.iterdir())
        yield from (int(name) for name in names if name.isdecimal())
