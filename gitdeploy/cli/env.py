"""`gitdeploy env`: the variables of an app, in its shared .env file."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from gitdeploy import envfile
from gitdeploy.cli.inputs import read_input
from gitdeploy.cli.options import (
    app_argument,
    held,
    json_option,
    opened,
    root_option,
    tell,
    wait_option,
)
from gitdeploy.cli.screen import fields, show_json, show_line
from gitdeploy.deploy.app import App
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.errors import ReleaseFailed, SystemFailed, UsageError
from gitdeploy.ground import Ground
from gitdeploy.model import CHAINS, ChainName
from gitdeploy.shared import ENV, read_env
from gitdeploy.system import files, ground, process
from gitdeploy.system.terminal import count

__all__ = ["command"]

_PRIVATE: Final = 0o600
_GROUP_TOO: Final = 0o660


class _Asked(Struct, frozen=True):
    """What was asked of one .env file."""

    app: App
    place: Ground
    words: tuple[str, ...]
    show: bool
    as_json: bool
    wait_s: float


@click.command()
@app_argument()
@click.argument("action", type=click.Choice(["set", "unset", "list", "edit"]))
@click.argument("words", nargs=-1, metavar="[KEY=VALUE…|KEY…]")
@click.option("--show", is_flag=True, help="With list: show the values, too.")
@click.option(
    "--chain",
    type=click.Choice(CHAINS),
    help='The file of one chain, for apps with  scope = "chain".',
)
@root_option
@wait_option
@json_option
def command(  # noqa: PLR0913 - the words of the verb
    *,
    app: str,
    action: str,
    words: tuple[str, ...],
    show: bool,
    chain: ChainName | None,
    root: Path,
    wait_s: float,
    as_json: bool,
) -> None:
    """Set, unset, list or edit the variables of an app.

    They are in its shared .env.

    `set KEY` without a value reads it from the standard input, so that it stands in
    no shell history and in no list of processes. Values are shown with --show only.
    """
    with opened(root, app) as opened_app:
        place = _shared_of(opened_app, chain) / ENV
        _ACTIONS[action](_Asked(opened_app, place, words, show, as_json, wait_s))


def _shared_of(app: App, chain: ChainName | None) -> Ground:
    """Return where the file is that was asked for.

    Raises:
        UsageError: There is one for each chain, and nobody said of which.
    """
    if chain:
        return app.shared_of("chain", chain)
    if app.server.shared.scope == "chain" or _live_scopes(app) == {"chain"}:
        raise UsageError(
            'dev and prod have variables of their own here:  scope = "chain"',
            hint=f"gitdeploy env {app.name} list --chain prod",
        )
    return app.shared_of("app", "prod")


def _live_scopes(app: App) -> set[str]:
    """Return what the deploy.toml of all that is live says of shared files."""
    scopes: set[str] = set()
    for chain in CHAINS:
        with suppress(ReleaseFailed):
            if live := what_is_live(app, chain):
                scopes.add(live.config.shared.scope)
    return scopes


# --- list -----------------------------------------------------------------------


def _list(asked: _Asked) -> None:
    if asked.words:
        raise UsageError("env list takes no names", hint="gitdeploy env APP list")
    data = read_env(asked.place)
    values = envfile.values(data or b"")
    if asked.as_json:
        shown = {key: value if asked.show else None for key, value in values.items()}
        show_json({"app": asked.app.name, "path": str(asked.place), "values": shown})
    elif not values:
        show_line(
            f"{asked.place} {'does not exist yet' if data is None else 'sets nothing'}"
        )
    elif asked.show:
        fields(values.items())
    else:
        for key in values:
            show_line(key)


# --- set, unset -----------------------------------------------------------------


def _set(asked: _Asked) -> None:
    if not asked.words:
        raise UsageError("env set needs KEY=VALUE", hint="gitdeploy env APP set A=1")
    changes: dict[str, str | None] = {}
    for word in asked.words:
        key, is_given, value = word.partition("=")
        envfile.check_key(key)
        changes[key] = value if is_given else _read_value(key, asked.words)
    _change(asked, changes, "set")


def _read_value(key: str, words: Sequence[str]) -> str:
    if len(words) > 1:
        raise UsageError(
            f"{key} has no value; only a single KEY reads it from the standard input"
        )
    if sys.stdin.isatty():
        return str(click.prompt(key, hide_input=True, err=True))
    return _text(read_input(sys.stdin.buffer, key)).removesuffix("\n")


def _unset(asked: _Asked) -> None:
    if not asked.words:
        raise UsageError("env unset needs KEY", hint="gitdeploy env APP unset KEY")
    _change(asked, dict.fromkeys(asked.words), "unset")


def _change(asked: _Asked, changes: Mapping[str, str | None], word: str) -> None:
    with held(asked.app, f"env {word}", asked.wait_s):
        before = _read(asked.place)
        after = envfile.updated(before, changes)
        if after != before:
            _write(asked.place, after)
    _say(asked, f"{word} {', '.join(changes)}", changed=after != before)


# --- edit -----------------------------------------------------------------------


def _edit(asked: _Asked) -> None:
    """Let a person edit a private copy; the lock is not held meanwhile."""
    before = _read(asked.place)
    with tempfile.TemporaryDirectory(prefix="gitdeploy-env-") as private:
        copy = Path(private, ".env")
        files.write_whole(copy, _bytes(before), _PRIVATE)
        _run_editor(asked.app, copy)
        with copy.open("rb") as edited:
            after = _text(read_input(edited, ".env"))
    envfile.check(after)
    if after == before:
        _say(asked, "", changed=False)
        return
    with held(asked.app, "env edit", asked.wait_s):
        if _read(asked.place) != before:
            raise SystemFailed(
                f"{asked.place} has been changed by somebody else; nothing was saved"
            )
        _write(asked.place, after)
    _say(asked, "saved", changed=True)


def _run_editor(app: App, copy: Path) -> None:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    name, *words = shlex.split(editor)
    term = {"TERM": os.environ.get("TERM", "")}
    child = process.start(
        [_found(app, name), *words, str(copy)],
        env=app.surroundings.environment().also(term),
        cwd=copy.parent,
        stdin=sys.stdin.fileno() if sys.stdin else subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
    )
    if code := child.wait():
        raise SystemFailed(f"{editor} exited with {code}; nothing was saved")


def _found(app: App, editor: str) -> str:
    """Return where a person's editor lies: a path counts from where they stand."""
    return (
        os.path.abspath(editor) if "/" in editor else app.surroundings.program(editor)
    )


# --- the file -------------------------------------------------------------------


def _read(place: Ground) -> str:
    return _text(read_env(place) or b"")


def _write(place: Ground, text: str) -> None:
    """Replace the file; a group that may read it, such as the web server's, still may.

    Nobody else ever may.
    """
    ground.make_directory(place.parent)
    was = ground.status_of(place)
    if was is None:
        ground.write_whole(place, _bytes(text), _PRIVATE)
        return
    mode = (was.st_mode & _GROUP_TOO) | _PRIVATE
    ground.write_whole(place, _bytes(text), mode, group=was.st_gid)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _say(asked: _Asked, what: str, *, changed: bool) -> None:
    if asked.as_json:
        shape = {"app": asked.app.name, "path": str(asked.place), "changed": changed}
        show_json(shape)
        return
    if not changed:
        show_line(f"nothing to change in {asked.place}")
        return
    size = count(len(envfile.values(read_env(asked.place) or b"")), "variable")
    fields([("changed", what), ("file", f"{asked.place}, {size}")])
    tell("running code sees it at its next start")
    tell(f"a build sees it after  gitdeploy redeploy {asked.app.name}")


_ACTIONS: Final[Mapping[str, Callable[[_Asked], None]]] = {
    "set": _set,
    "unset": _unset,
    "list": _list,
    "edit": _edit,
}
