"""What access.toml says of an app that is made anew under a name it knows."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from gitdeploy.config.access import Grant
from gitdeploy.deploy.app import granted
from gitdeploy.errors import ConfigError
from gitdeploy.layout import access_toml
from gitdeploy.system import clock

__all__ = ["beginning"]


def beginning(root: Path, app: str) -> tuple[str, list[str]]:
    """Return the moment that a new app begins at, and what its owner should know.

    Later than any grant that names it, within the same second as well: those were for
    an app that is gone.

    Returns:
        ISO 8601, UTC; and sentences about grants that name the app all the same.
    """
    grants: list[tuple[int, Grant]] = []
    with suppress(ConfigError, OSError):  # it lets nobody in until it is mended
        grants = [
            (number, one)
            for number, one in enumerate(granted(root).grant, 1)
            if app in one.apps
        ]
    since = [_second_after(one.since) for _, one in grants if one.since]
    return max([clock.now(), *since]), [_told(root, app, *one) for one in grants]


def _second_after(moment: str) -> str:
    after = datetime.fromisoformat(moment) + timedelta(seconds=1)
    return after.strftime("%Y-%m-%dT%H:%M:%SZ")


def _told(root: Path, app: str, number: int, grant: Grant) -> str:
    who, where = ", ".join(grant.to), f"{access_toml(root)}, grant {number}"
    if grant.since:
        return f"{where}: {who} had rights to an earlier {app}, and have none to this"
    return f"{where}: {who} have rights to {app}; it does not say since when"
