"""What is wrong with who is let in: keys and rights."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitdeploy.authorized_keys import keys_in, text_of
from gitdeploy.deploy.app import App, granted
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.errors import ConfigError
from gitdeploy.layout import access_toml
from gitdeploy.system import clock

__all__ = ["findings"]

_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def findings(app: App) -> Iterator[Finding]:
    """Yield what is wrong with access.toml, and with the keys of the server's user."""
    rights = access_toml(app.layout.root)
    keys = Path(app.surroundings.home) / ".ssh" / "authorized_keys"
    yield from _broken(app)
    for path in (rights, keys):
        if path.exists() and path.stat().st_mode & _BY_OTHERS:
            yield Finding(
                "access-writable",
                f"{path} can be written by others than its owner",
                "every user of this machine may let anybody in",
                f"chmod go-w {path}",
            )
    yield from _useless(keys)


def _broken(app: App) -> Iterator[Finding]:
    try:
        granted(app.layout.root)
    except ConfigError as error:
        yield Finding(
            "access-broken",
            error.message,
            "everybody who comes over ssh with a key of gitdeploy is refused",
            error.hint or f"edit {access_toml(app.layout.root)}",
        )


def _useless(path: Path) -> Iterator[Finding]:
    for key in keys_in(text_of(path)):
        remove = f"gitdeploy key remove {key.person} {key.fingerprint}"
        if key.expires and clock.seconds_since(key.expires) > 0:
            yield Finding(
                "key-expired",
                f"{key.fingerprint} of {key.person} expired {key.expires}",
                f"{key.person} is not let in by it any more",
                remove,
                severity="note",
            )
        elif not os.access(key.python, os.X_OK):
            yield Finding(
                "key-starts-nothing",
                f"{key.fingerprint} of {key.person} starts {key.python}, which is gone",
                f"{key.person} is refused by sshd without a word",
                f"gitdeploy key add {key.person} FILE",
            )
