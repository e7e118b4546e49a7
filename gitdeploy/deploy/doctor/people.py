"""What is wrong with who is let in, and who may sign: keys and rights."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gitdeploy.authorized_keys import keys_in, opens, text_of
from gitdeploy.deploy.app import App, granted
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.errors import ConfigError
from gitdeploy.layout import access_toml, allowed_signers, keyring
from gitdeploy.model import CHAINS
from gitdeploy.system import clock

__all__ = ["findings"]

_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def findings(app: App) -> Iterator[Finding]:
    """Yield what is wrong with access.toml, and with the keys of the server's user."""
    keys = Path(app.surroundings.home) / ".ssh" / "authorized_keys"
    yield from _broken(app)
    if keys.exists() and keys.stat().st_mode & _BY_OTHERS:
        yield Finding(
            "access-writable",
            f"{keys} can be written by others than its owner",
            "every user of this machine may let anybody in",
            f"chmod go-w {keys}",
        )
    yield from _useless(keys)
    yield from _open(app, keys)
    with suppress(ConfigError):  # told already
        yield from _nested(app)
    with suppress(ConfigError):
        yield from _signers(app)


def _broken(app: App) -> Iterator[Finding]:
    """Yield which of the server's own files cannot be read, and what that stops."""
    try:
        granted(app.layout.root)
    except ConfigError as error:
        yield Finding(
            "access-broken",
            error.message,
            "everybody who comes over ssh with a key of gitdeploy is refused",
            error.hint or f"edit {access_toml(app.layout.root)}",
        )
    try:
        _ = app.server
    except ConfigError as error:
        yield Finding(
            "server-toml-broken",
            error.message,
            "everybody: every push is refused, and no key of gitdeploy lets in",
            error.hint or f"edit {app.layout.server_toml}",
        )


def _nested(app: App) -> Iterator[Finding]:
    """Yield groups whose members are groups: nothing is granted by those."""
    path = access_toml(app.layout.root)
    for group, name in granted(app.layout.root).nested:
        yield Finding(
            "access-nested-group",
            f"{path}: [groups] {group} names {name}, which is a group itself",
            f"the people of {name}, and a person of that name: they get nothing by it",
            f"edit {path}",
        )


def _open(app: App, path: Path) -> Iterator[Finding]:
    """Yield keys of this root whose line has lost what keeps a session small."""
    for key in keys_in(text_of(path)):
        if opens(key, app.layout.root) and not key.restricted:
            yield Finding(
                "key-unrestricted",
                f"{path}: the line of {key.person} ({key.fingerprint}) lacks restrict",
                f"{key.person} may forward ports and agents through this machine",
                f"gitdeploy key add {key.person} FILE",
            )


def _signers(app: App) -> Iterator[Finding]:
    """Yield that nobody can sign what has to be signed, or that anybody can."""
    wanting = [chain for chain in CHAINS if app.server.signed.of(chain) != "no"]
    places = [allowed_signers(app.layout.root), keyring(app.layout.root)]
    there = [path for path in places if path.exists()]
    if wanting and not there:
        yield Finding(
            "nobody-signs",
            f"{' and '.join(wanting)} of {app.name} want signatures, and {places[0]}"
            " is missing",
            f"everybody: every push that moves {' or '.join(wanting)} is refused",
            f"echo 'NAME ssh-ed25519 KEY' >> {places[0]}",
        )
    for path in there:
        if path.stat().st_mode & _BY_OTHERS:
            yield Finding(
                "signers-writable",
                f"{path} can be written by others than its owner",
                "every user of this machine may sign whatever has to be signed",
                f"chmod go-w {path}",
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
