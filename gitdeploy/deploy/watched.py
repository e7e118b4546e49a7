"""Which chains are to be watched and are not; processes that do so, begun."""

from collections.abc import Sequence

from gitdeploy.deploy.app import App
from gitdeploy.model import ChainName
from gitdeploy.system import flock

__all__ = ["unwatched", "watch_in_background"]


def unwatched(app: App) -> list[ChainName]:
    """Return the chains that are to be watched and that nobody watches; cheap."""
    return [
        watch.chain
        for watch in app.ledger.watches.all()
        if not flock.is_held(app.layout.watching(watch.chain))
    ]


def watch_in_background(app: App, chains: Sequence[ChainName]) -> None:
    """Watch chains, each in a process of its own that nobody waits for.

    Args:
        app: The app, its ledger closed.
        chains: Which; where somebody watches one by then, that one stays alone.
    """
    if not chains:
        return
    from gitdeploy.deploy.watch import watch_until_over
    from gitdeploy.system.background import go_on_in_background

    for chain in chains:
        go_on_in_background(
            lambda chain=chain: watch_until_over(app, chain),  # type: ignore[misc]
            directory=app.layout.home,
        )
