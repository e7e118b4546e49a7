"""A release that a person names, found."""

from gitdeploy.deploy.app import App
from gitdeploy.errors import UsageError
from gitdeploy.model import Release

__all__ = ["release_named"]


def release_named(app: App, words: str) -> Release:
    """Return the release that a person names by number or by name.

    Raises:
        UsageError: There is none.
    """
    release = app.ledger.releases.find(words)
    if release is None:
        raise UsageError(
            f"{app.name} has no release {words!r}",
            hint=f"gitdeploy releases {app.name}",
        )
    return release
