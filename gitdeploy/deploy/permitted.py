"""What a deploy.toml asks of the server beyond its commands, and whether it may.

It is looked at before anything is built. At run time the same places are judged again:
what health asks then is a wrong answer, and no service is started where it may not
listen.
"""

from collections.abc import Iterator

from gitdeploy.config import Config, Health
from gitdeploy.deploy.app import App
from gitdeploy.errors import ReleaseFailed
from gitdeploy.model import CHAINS

__all__ = ["check_permitted"]


def check_permitted(app: App, config: Config, commit: str | None) -> None:
    """Say nothing if a commit asks only what the server lets be asked.

    Args:
        app: The app.
        config: deploy.toml of the commit.
        commit: Its id.

    Raises:
        ReleaseFailed: It asks more; the message names the key, the hint what would
            let it.
    """
    where = f"deploy.toml at {(commit or '')[:10]}"
    for key, why, hint in _objections(app, config):
        raise ReleaseFailed(f"{where}: {key}: {why}", hint=hint)


def _objections(app: App, config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield each key that asks for too much, why that is so, and what would let it."""
    if any(config.health_for(one) for one in CHAINS):
        from gitdeploy.probe import why_not_asked

        for key, health in _healths(config):
            why, hint = why_not_asked(health.url, app.server.reach)
            if why:
                yield f"{key}.url", why, hint
    for chain in CHAINS:
        for service in config.services_for(chain):
            from gitdeploy.deploy.listening import why_not_listen

            why, hint = why_not_listen(app, chain, service)
            if why:
                yield f"service {service.name} of {chain}: listen", why, hint


def _healths(config: Config) -> Iterator[tuple[str, Health]]:
    """Yield what is asked of a live release, by key path."""
    if config.health:
        yield "health", config.health
    for chain in CHAINS:
        own = config.chains.dev if chain == "dev" else config.chains.prod
        if isinstance(own.health, Health):
            yield f"chains.{chain}.health", own.health
