"""`gitdeploy server`: the machine itself, made ready for gitdeploy."""

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from gitdeploy.cli.options import json_option
from gitdeploy.cli.screen import show_json, show_line
from gitdeploy.door import surroundings
from gitdeploy.errors import SystemFailed
from gitdeploy.server import (
    SEARCHED,
    Command,
    Directory,
    Facts,
    File,
    No,
    Part,
    Plan,
    Wanted,
    carry_out,
    gather,
    make_room,
    planned,
)
from gitdeploy.system.programs import found
from gitdeploy.system.surroundings import Environment

__all__ = ["command"]

_DONE: Final = {"make": "made", "write": "wrote"}
_FIRST: Final = (
    ("setup shop", ""),
    ("key add ada", " <ada.pub"),
    ("access grant ada admin", ""),
)
"""What comes first on a new server: an app, and somebody who may push to it."""


@click.group()
def command() -> None:
    """Make a Debian server ready for gitdeploy."""


@command.command()
@click.option(
    "--user", default="deploy", metavar="NAME", help="Who deploys; else deploy."
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda _c, _p, path: path and path.expanduser().resolve(),
    metavar="DIR",
    help="Where the apps shall be; else ~NAME/gitdeploy.",
)
@click.option(
    "--packages/--no-packages",
    default=True,
    help="Whether missing Debian packages are installed.",
)
@click.option("--dry-run", is_flag=True, help="Only print what would be made.")
@json_option
def install(
    *, user: str, root: Path | None, packages: bool, dry_run: bool, as_json: bool
) -> None:
    """Set this server up: user, directories, sshd, boot unit, logs.

    As root; --dry-run for anybody. Safe to repeat: what is right is not touched, and a
    file that this verb did not write is never overwritten. sshd is asked whether it
    likes its new file before that is kept. At its end it says what comes next.
    """
    if not dry_run:
        _prepare()
    env, wanted = _environment(), Wanted(user, root, packages)
    facts = gather(wanted, env)
    plan = planned(facts, wanted)
    if isinstance(plan, No):
        raise SystemFailed(plan.message, hint=plan.hint)
    for part in plan.left:
        if not dry_run:
            carry_out(part, env)
        if not as_json:
            _show(part, dry_run=dry_run)
    if as_json:
        show_json(_shape(plan, facts, wanted, dry_run=dry_run))
    else:
        _show_rest(plan, facts, wanted, dry_run=dry_run)


def _prepare() -> None:
    if os.geteuid() != 0:
        raise SystemFailed(
            "server install: only root can set a server up",
            hint="sudo gitdeploy server install",
        )
    make_room()


def _environment() -> Environment:
    around = surroundings({**os.environ, "PATH": SEARCHED})
    return around.environment().also({"DEBIAN_FRONTEND": "noninteractive"})


# --- what is shown --------------------------------------------------------------------


def _show(part: Part, *, dry_run: bool) -> None:
    """Print what a part is; all of it where it is only looked at."""
    word = "write" if isinstance(part, File) else "make"
    shown = f"would {word}" if dry_run else _DONE[word]
    show_line(f"{shown:<12}{_named(part)}")
    for line in _whole(part) if dry_run else ():
        show_line(line)


def _named(part: Part) -> str:
    match part:
        case Command():
            return part.what
        case Directory():
            return f"{part.path}  ({part.mode:04o}, {part.owner})"
        case File():
            return f"{part.path}  (0644, root)"


def _whole(part: Part) -> Iterator[str]:
    if isinstance(part, Command):
        yield from (f"{'':12}  {shlex.join(argv)}" for argv in part.argvs)
    if isinstance(part, File):
        yield ""
        yield from (f"    {line}".rstrip() for line in part.text.splitlines())
        yield ""


def _show_rest(plan: Plan, facts: Facts, wanted: Wanted, *, dry_run: bool) -> None:
    if not plan.left:
        show_line(f"nothing to do: this server is ready for {wanted.user}")
    for note in plan.notes:
        show_line(f"{'note':<12}{note}")
    if dry_run and os.geteuid() != 0:
        show_line(f"{'note':<12}only root learns whether sshd and gitdeploy work as is")
    for line in () if dry_run else _next(facts, wanted):
        show_line(f"{'next':<12}{line}")


def _next(facts: Facts, wanted: Wanted) -> Iterator[str]:
    """Yield the commands that come now, as root would type them anywhere."""
    usual = shutil.which("gitdeploy", path="/usr/local/bin:/usr/bin:/bin")
    is_found = usual and os.path.realpath(usual) == os.path.realpath(facts.program)
    program = "gitdeploy" if is_found else str(facts.program)
    root = f" --root {facts.root}" if wanted.root else ""
    for words, data in _FIRST:
        line = f"{program} {words}{root}"
        if found("sudo"):
            yield f"sudo -u {wanted.user} {line}{data}"
        else:
            yield f"su {wanted.user} -c '{line}'{data}"


def _shape(
    plan: Plan, facts: Facts, wanted: Wanted, *, dry_run: bool
) -> dict[str, object]:
    return {
        "user": wanted.user,
        "root": str(facts.root),
        "program": str(facts.program),
        "dry_run": dry_run,
        "parts": [
            {
                **_part(part),
                "was_there": part.there,
                "made": not (part.there or dry_run),
            }
            for part in plan.parts
        ],
        "notes": plan.notes,
        "next": list(_next(facts, wanted)),
    }


def _part(part: Part) -> dict[str, object]:
    match part:
        case Command():
            return {"kind": "command", "what": part.what, "commands": part.argvs}
        case Directory():
            owned = {"mode": f"{part.mode:04o}", "owner": part.owner}
            return {"kind": "directory", "path": str(part.path), **owned}
        case File():
            owned = {"mode": "0644", "owner": "root", "text": part.text}
            return {"kind": "file", "path": str(part.path), **owned}
