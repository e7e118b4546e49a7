"""The releases that are there already for what a ref deploys."""

from typing import Final

from gitdeploy.config import Config
from gitdeploy.config.declared import declares_commands
from gitdeploy.deploy.app import App
from gitdeploy.model import ChainName, Release

__all__ = ["check_links_seen", "note_links_seen", "ready_for"]

_LINKS_SEEN: Final = "links_seen_from"
"""The setting with the first release whose links were looked at when it was sealed."""


def ready_for(
    app: App, content: str, config: Config, chain: ChainName
) -> list[Release]:
    """Return the ready releases with a content that a chain may show, newest first."""
    ready = app.ready_with(content)
    strict = chain == "prod" and config.build.steps and app.server.steps.are_strict
    if ready and strict:
        from gitdeploy.deploy.trust import is_fit

        return [release for release in ready if is_fit(app, release)]
    return ready


def note_links_seen(app: App, release: Release) -> None:
    """Note that links are looked at from this release on, unless that is noted."""
    if not app.ledger.setting(_LINKS_SEEN):
        app.ledger.set_setting(_LINKS_SEEN, str(release.number))


def check_links_seen(
    app: App, release: Release, config: Config, chain: ChainName
) -> None:
    """Say nothing if no link of a ready release leads out of it.

    Commands of its own are all that could have made one, and after them it was looked
    at; unless it was made before that was so.

    Raises:
        ReleaseFailed: One does.
    """
    since = app.ledger.setting(_LINKS_SEEN)
    if not declares_commands(config) or (since and release.number >= int(since)):
        return
    from gitdeploy.deploy.release_links import check_links

    check_links(app, app.directory(release), config, chain)
