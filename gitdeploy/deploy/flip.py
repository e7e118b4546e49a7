"""The chain changes in the ledger, then the links and refs are made to show it."""

from contextlib import suppress
from typing import Final

from gitdeploy import links
from gitdeploy.chain import Chain
from gitdeploy.decide import RESERVED
from gitdeploy.deploy.app import App
from gitdeploy.errors import StateError, SystemFailed
from gitdeploy.model import CHAINS, ChainName, Entry
from gitdeploy.system import clock
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.disk import blamed

__all__ = [
    "MAINTENANCE",
    "check_links",
    "check_showable",
    "flip",
    "go_back",
    "missing",
    "publish",
    "show",
    "shows_a_page",
    "wanted_links",
    "wanted_refs",
]

MAINTENANCE: Final = "maintenance"
"""The setting that says that prod's link shows a page; see `maintenance`."""


def flip(app: App, event: int, chain: Chain, *, forward: bool, why: str) -> None:
    """Make a chain the truth and show it.

    A release that shall be shown is on disk and durable by now.

    Args:
        app: The app, whose lock is held.
        event: The deployment that this belongs to; its intent is written down.
        chain: The chain as it shall be.
        forward: Whether the head is new; else it is an earlier one again.
        why: For the releases that leave the chain.

    Changes: the ledger, in one transaction; the links; `refs/deploy/*`. A crash in
        between is mended by whoever comes next: see `recover`.
    """
    published = wanted_refs(app)
    app.ledger.change(event, chain, at=clock.now(), why=why)
    _show_links(app, forward=forward)
    with suppress(OSError, SystemFailed):
        app.repository.publish(RESERVED, wanted_refs(app), had=published)


def check_links(app: App, name: ChainName) -> None:
    """Say nothing if the links of a chain are links, or free to be made.

    Raises:
        StateError: Something that is not a link has a link's name.
    """
    links.check(app.public.target, [*app.public.names(name), *app.public.heads])


def go_back(app: App, before: Chain) -> str:
    """Make a chain what it was before a flip; return why not, where that fails too.

    Changes: the ledger, then the links and `refs/deploy/*` as far as possible.
    """
    try:
        app.ledger.rewrite(before, at=clock.now(), why="a flip failed")
        show(app, forward=False)
    except Exception as error:  # noqa: BLE001 - whoever goes back has to know
        return blamed(foreseen(error))
    return ""


def show(app: App, *, forward: bool = True) -> list[str]:
    """Make the links and `refs/deploy/*` show the ledger; return the links changed.

    The refs are of second rank: a stale lock of git's on one of them keeps nobody
    from being live, and whoever shows next publishes all of them.

    Changes: the links that differ, then the refs that differ. Safe to repeat.
    """
    changed = _show_links(app, forward=forward)
    with suppress(OSError, SystemFailed):
        publish(app)
    return changed


def _show_links(app: App, *, forward: bool) -> list[str]:
    if app.ledger.setting(MAINTENANCE):
        from gitdeploy.deploy.maintenance import keep_page

        keep_page(app)
    return links.show(app.public.target, wanted_links(app, forward=forward))


def publish(app: App) -> None:
    """Make `refs/deploy/*` tell every clone what the ledger says.

    Raises:
        SystemFailed: git could not write them.
    """
    app.repository.publish(RESERVED, wanted_refs(app))


def missing(app: App) -> list[str]:
    """Return a sentence for each position whose release is gone from the disk."""
    return [
        f"{app.public.name(name, position)} shows nothing:"
        f" {app.directory(release)} is missing"
        for name in CHAINS
        for position, entry in enumerate(_linked(app, name), start=1)
        if not app.directory(release := app.ledger.releases.get(entry.release)).is_dir()
    ]


def check_showable(app: App, chain: Chain) -> None:
    """Say nothing if a chain can be shown.

    A release behind the head whose directory is gone hinders nobody: its link
    resolves to the empty directory.

    Raises:
        StateError: The directory of the head is gone, or as `check_links`.
    """
    assert chain.head is not None
    check_links(app, chain.name)
    directory = app.directory(app.ledger.releases.get(chain.head.release))
    if not directory.is_dir():
        raise StateError(
            f"{directory} is missing, and {chain.name} would show it",
            hint=f"roll back further, or  gitdeploy redeploy {app.name} {chain.name}",
        )


def shows_a_page(app: App, name: ChainName) -> bool:
    """Return whether visitors of a chain see a page instead of what is live."""
    return name == "prod" and bool(app.ledger.setting(MAINTENANCE))


def wanted_links(app: App, *, forward: bool = True) -> dict[str, str]:
    """Return what each link shall hold: the tail first on the way forward.

    So that while links are replaced one by one, the head moves last to something
    new, and first to something that was there before.
    """
    wanted: dict[str, str] = {}
    for name in CHAINS:
        pairs = list(zip(app.public.names(name), _shown(app, name), strict=True))
        wanted.update(reversed(pairs) if forward else pairs)
    return {**wanted, **_heads(app)}


def _heads(app: App) -> dict[str, str]:
    """Return what the links shall hold that web servers look at."""
    if not app.ledger.setting(MAINTENANCE):
        return app.public.heads
    from gitdeploy.deploy.maintenance import heads

    return heads(app)


def _shown(app: App, name: ChainName) -> list[str]:
    """Return what the links of a chain shall hold, head first."""
    root = app.layout.root
    entries = _linked(app, name)
    directories = [
        app.directory(app.ledger.releases.get(entry.release)) for entry in entries
    ]
    directories += [app.layout.empty] * (app.public.positions - len(entries))
    return [
        app.public.pointing_at(path if path.is_dir() else app.layout.empty, root)
        for path in directories
    ]


def wanted_refs(app: App) -> dict[str, str]:
    """Return what each of `refs/deploy/*` shall hold; there shall be no others."""
    return {
        f"{RESERVED}{name}/{position}": entry.commit
        for name in CHAINS
        for position, entry in enumerate(_linked(app, name), start=1)
        if entry.commit
    }


def _linked(app: App, name: ChainName) -> tuple[Entry, ...]:
    return app.ledger.chains.first(name, app.public.positions)
