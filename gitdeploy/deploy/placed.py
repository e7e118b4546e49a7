"""What put an entry of a chain there: its commit, with its deploy.toml, once more."""

from typing import Final

from msgspec.structs import replace

from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.facts import read_source
from gitdeploy.errors import ReleaseFailed
from gitdeploy.model import ChainName, Entry

__all__ = ["NO_REF", "in_time", "wanted_of", "what_is_live"]

NO_REF: Final = "refs/heads/main"
"""For a commit that no ref put on a chain; what is read depends on the commit."""


def wanted_of(app: App, chain: ChainName, entry: Entry) -> Wanted | None:
    """Return what an entry of a chain was made of, in the times that the server gives.

    Returns:
        None for a directory that did not come from git.

    Raises:
        ReleaseFailed: Its deploy.toml cannot be read any more.
    """
    if entry.commit is None:
        return None
    source = read_source(app, entry.ref or NO_REF, entry.commit)
    if source.trouble:
        raise ReleaseFailed(source.trouble.reason, hint=source.trouble.hint)
    return in_time(app, Wanted.of(source, chain))


def in_time(app: App, wanted: Wanted) -> Wanted:
    """Return what a release was made of, where nothing takes longer than it may."""
    from gitdeploy.deploy.durations import capped

    return replace(wanted, config=capped(app.server.limits, wanted.config))


def what_is_live(app: App, chain: ChainName) -> Wanted | None:
    """Return what the head of a chain was made of.

    Returns:
        None where nothing is live, or what is did not come from git.

    Raises:
        ReleaseFailed: Its deploy.toml cannot be read any more.
    """
    head = app.ledger.chains.read(chain).head
    return wanted_of(app, chain, head) if head else None
