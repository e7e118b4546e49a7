"""The releases that are there already for what a ref deploys."""

from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.model import ChainName, Release

__all__ = ["ready_for"]


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
