"""`gitdeploy key`: whose ssh keys are let in."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import click

from gitdeploy import authorized_keys
from gitdeploy.authorized_keys import Key
from gitdeploy.cli.options import json_option, root_option
from gitdeploy.cli.screen import show_json, show_line, table
from gitdeploy.config.access import PersonName
from gitdeploy.config.values import BadValueError
from gitdeploy.errors import NothingThere, UsageError
from gitdeploy.system import clock
from gitdeploy.system.surroundings import Surroundings

__all__ = ["command"]

_SECONDS: Final = {"h": 3600, "d": 86400, "w": 7 * 86400}
F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = "~/.ssh/authorized_keys"


def _file_option(verb: F) -> F:
    return click.option(
        "--authorized-keys",
        "path",
        type=click.Path(dir_okay=False, path_type=Path),
        default=_FILE,
        metavar="FILE",
        callback=lambda _c, _p, path: path.expanduser().absolute(),
        help=f"Where sshd looks for keys; else {_FILE}.",
    )(verb)


@click.group()
def command() -> None:
    """Let people in by their ssh keys, and out again.

    A key opens no shell: it can push and fetch, and run some of gitdeploy's verbs,
    as far as access.toml grants it (`gitdeploy access`).
    """


@command.command()
@click.argument("name")
@click.argument("file", default="-", type=click.File("rb"))
@click.option("--expires", metavar="90d", help="When it stops: 12h, 90d, 2w from now.")
@_file_option
@root_option
@json_option
def add(
    *,
    name: str,
    file: IO[bytes],
    expires: str | None,
    path: Path,
    root: Path,
    as_json: bool,
) -> None:
    """Let NAME in with the public key in FILE; `-` reads it from the standard input.

    A person may have several keys. The same key again changes when it expires, and
    keeps the options that you put in front of it: from="10.0.0.0/8". A key lets in to
    the apps of one root.
    """
    person, until = _person(name), _until(expires)
    data = file.read(authorized_keys.MOST_BYTES + 1)
    found = authorized_keys.key_of(
        person, data, where=str(file.name), path=_surroundings().path
    )
    key = found.until(until)
    with authorized_keys.changing(path) as text:
        changed = authorized_keys.with_key(
            text, key, python=sys.executable, root=root, path=path
        )
        authorized_keys.write(path, changed)
    if as_json:
        show_json({"path": str(path), "key": _shape(key)})
        return
    show_line(f"{key.person} is let in with {key.fingerprint}")
    if key.expires:
        show_line(f"until {key.expires}")
    show_line(f"what they may do:  gitdeploy access grant {person} --help")


@command.command("list")
@_file_option
@root_option
@json_option
def list_(*, path: Path, root: Path, as_json: bool) -> None:
    """Show whose keys are let in to the apps of ROOT.

    Two roots of one user are two sets of people, who stand in one file.
    """
    everybody = authorized_keys.keys_in(authorized_keys.text_of(path))
    keys = [key for key in everybody if authorized_keys.opens(key, root)]
    elsewhere = sorted({key.root for key in everybody if key not in keys})
    if as_json:
        shapes = [_shape(key) for key in keys]
        show_json({"path": str(path), "keys": shapes, "other_roots": elsewhere})
        return
    if not keys:
        show_line(f"{path} lets nobody in to {root} by gitdeploy")
    else:
        rows = [
            [key.person, key.kind, key.fingerprint, _end_of(key), key.comment]
            for key in keys
        ]
        table(["person", "type", "key", "expires", "comment"], rows)
    for other in elsewhere:
        show_line(f"others are let in to {other}:  gitdeploy key list --root {other}")


@command.command()
@click.argument("name")
@click.argument("fingerprint", required=False)
@_file_option
@root_option
@json_option
def remove(
    *, name: str, fingerprint: str | None, path: Path, root: Path, as_json: bool
) -> None:
    """Let NAME in no more: with no key, or not with the one of that FINGERPRINT.

    What they do over a connection that is open ends with their next command.
    """
    with authorized_keys.changing(path) as text:
        theirs = [
            key
            for key in authorized_keys.keys_in(text)
            if key.person == name and fingerprint in (None, key.fingerprint)
        ]
        gone = [key for key in theirs if authorized_keys.opens(key, root)]
        if not gone:
            raise _nothing_there(name, fingerprint, path, theirs)
        fingerprints = {key.fingerprint for key in gone}
        left = authorized_keys.without(text, fingerprints, root)
        authorized_keys.write(path, left)
    if as_json:
        show_json({"path": str(path), "removed": [_shape(key) for key in gone]})
    for key in gone if not as_json else ():
        show_line(f"{name} is let in with {key.fingerprint} no more")


def _nothing_there(
    name: str, fingerprint: str | None, path: Path, elsewhere: Sequence[Key]
) -> NothingThere:
    what = f"the key {fingerprint}" if fingerprint else "a key"
    if not elsewhere:
        return NothingThere(f"{name} does not have {what} in {path}")
    other = elsewhere[0].root
    return NothingThere(
        f"{name} does not have {what} here; it lets in to {other}",
        hint=f"gitdeploy key remove {name} --root {other}",
    )


def _person(name: str) -> PersonName:
    try:
        return PersonName.read(name)
    except BadValueError as error:
        raise UsageError(f"NAME: should be {error.should}, got {error.got}") from error


def _until(expires: str | None) -> str | None:
    if expires is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", expires)
    if found is None:
        raise UsageError(f"--expires: should be as 12h, 90d or 2w, got {expires!r}")
    return clock.later(int(found[1]) * _SECONDS[found[2]])


def _end_of(key: Key) -> str:
    if key.expires is None:
        return "never"
    return f"expired {key.expires}" if _is_over(key) else key.expires


def _is_over(key: Key) -> bool:
    return key.expires is not None and clock.seconds_since(key.expires) > 0


def _shape(key: Key) -> dict[str, object]:
    return {
        "person": key.person,
        "type": key.kind,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "expires": key.expires,
        "expired": _is_over(key),
        "root": key.root,
        "options": key.more,
    }


def _surroundings() -> Surroundings:
    import os

    from gitdeploy.door import surroundings

    return surroundings(os.environ)
