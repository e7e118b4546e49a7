"""`gitdeploy verify`: is what is live what was pushed?"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from gitdeploy.cli.finding import release_named
from gitdeploy.cli.options import (
    app_argument,
    completed_releases,
    held,
    json_option,
    opened,
    root_option,
    wait_option,
)
from gitdeploy.cli.screen import fields, short, show_json, show_line
from gitdeploy.deploy.app import App
from gitdeploy.deploy.verify import Mended, Verified, mend, verify
from gitdeploy.errors import StateError
from gitdeploy.system.terminal import count

__all__ = ["command"]

_SHOWN: Final = 10
"""Paths of a kind; --json has them all."""

_HOW: Final = {
    "content": "",
    "mode": "  (its rights)",
    "kind": "  (something else is there)",
}


@click.command()
@app_argument()
@click.argument("release", required=False, shell_complete=completed_releases)
@click.option("--fix", is_flag=True, help="Give back what differs, as git writes it.")
@root_option
@wait_option
@json_option
def command(
    *,
    app: str,
    release: str | None,
    fix: bool,
    root: Path,
    wait_s: float,
    as_json: bool,
) -> int:
    """Compare releases with their commits, byte for byte.

    RELEASE is a number or a name; without it every ready one. What build steps did is
    told and is right; files that nobody pushed are told, and left alone, by --fix too.
    The exit status is 4 if a file of the commit is not as the commit has it.
    """
    with opened(root, app) as opened_app:
        seen = _seen(opened_app, release, fix=fix, wait_s=wait_s)
    whole = all(one.left.whole for one in seen)
    if as_json:
        shapes = [_shape(one, fix=fix) for one in seen]
        show_json({"app": app, "releases": shapes, "whole": whole})
    else:
        _show(app, seen, fix=fix)
    return 0 if whole else StateError.exit_code


def _seen(app: App, words: str | None, *, fix: bool, wait_s: float) -> list[Mended]:
    release = release_named(app, words) if words else None
    if not fix:
        return [Mended([], found) for found in verify(app, release)]
    with held(app, "verify", wait_s):
        return mend(app, release)


def _shape(one: Mended, *, fix: bool) -> dict[str, object]:
    found = one.left
    return {
        "number": found.release.number,
        "name": found.release.name,
        "commit": found.release.commit,
        "on": found.on,
        "files": found.files,
        "changed": _paths(found.changed),
        "missing": _paths(found.missing),
        "added": _paths(found.added),
        "built": _paths(found.built),
        "touched": _paths(found.touched),
        "besides": found.besides,
        "unchecked": _paths(found.unchecked),
        **({"restored": _paths(one.restored)} if fix else {}),
        "whole": found.whole,
    }


def _paths(paths: Iterable[bytes]) -> list[str]:
    return [os.fsdecode(path) for path in paths]


def _show(app: str, seen: Sequence[Mended], *, fix: bool) -> None:
    if not seen:
        show_line(f"{app} has no release that came from git")
    for one in seen:
        fields([*_lines(one)])
    left = [one.left for one in seen if not one.left.whole]
    if left and not fix:
        number = f" {left[0].release.number}" if len(left) == 1 else ""
        fields([("mend with", f"gitdeploy verify {app}{number} --fix")])
    elif any(found.shared.keys() & {*found.changed, *found.missing} for found in left):
        fields([("mend with", f"gitdeploy doctor {app} --fix")])


def _lines(one: Mended) -> Iterator[tuple[str, str]]:
    found = one.left
    yield f"release {found.release.number}", _summary(found)
    changed = [f"{os.fsdecode(path)}{_HOW[how]}" for path, how in found.changed.items()]
    yield from _listed("restored", _paths(one.restored))
    yield from _listed("changed", changed)
    yield from _listed("missing", _paths(found.missing))
    yield from _listed("not checked", _paths(found.unchecked))
    yield from _listed("added", _paths(found.added))
    if found.touched:
        how_many = count(len(found.touched), "file")
        yield "touched", f"{how_many}, right all the same; --fix shares them again"
    if found.built:
        yield "built", f"{count(len(found.built), 'file')} of them, by build steps"
    if found.besides and not found.added:
        yield "besides", f"{count(found.besides, 'file')} that the commit does not have"


def _summary(found: Verified) -> str:
    wrong = len(found.changed) + len(found.missing)
    commit, on = short(found.release.commit), " ".join(found.on)
    said = f"as {commit} has them"
    if wrong:
        said = f"{wrong:,} not {said}"
    return f"{count(found.files, 'file')}, {said}{', on ' if on else ''}{on}"


def _listed(word: str, texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts[:_SHOWN]:
        yield word, text
    if len(texts) > _SHOWN:
        yield word, f"and {len(texts) - _SHOWN:,} more; --json has them all"
