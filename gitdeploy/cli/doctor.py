"""`gitdeploy doctor`: what is wrong, whom it hurts now, and what mends it."""

from collections.abc import Sequence
from pathlib import Path

import click

from gitdeploy.cli.acting import progress
from gitdeploy.cli.guarding import each_by_itself
from gitdeploy.cli.options import (
    app_argument,
    json_option,
    opened,
    root_option,
    tell,
    wait_option,
)
from gitdeploy.cli.screen import fields, show_json, show_line
from gitdeploy.deploy.app import damaged_apps, set_up_apps
from gitdeploy.deploy.doctor import Examined, examine, heal
from gitdeploy.errors import StateError
from gitdeploy.system.terminal import count

__all__ = ["command"]


@click.command()
@app_argument(required=False)
@click.option("--fix", is_flag=True, help="Mend what can be mended without guessing.")
@root_option
@wait_option
@json_option
def command(
    *, app: str | None, fix: bool, root: Path, wait_s: float, as_json: bool
) -> int:
    """Say what is wrong, whom it hurts right now, and what mends it.

    Without APP: every app of the root. Without --fix nothing is changed and nobody
    has to wait; all of the repository is read. The exit status is 4 as long as
    something is wrong; notes do not count.
    """
    names = [app] if app else sorted({*set_up_apps(root), *damaged_apps(root)})
    seen: dict[str, list[Examined]] = {}
    with each_by_itself(alone=app is not None) as guard:
        for name in names:
            with guard(name):
                seen[name] = _seen(root, name, fix=fix, wait_s=wait_s)
        _show_all(seen, root, alone=app is not None, as_json=as_json)
    wrong = any(one.is_trouble for found in seen.values() for one in found)
    return StateError.exit_code if wrong else 0


def _seen(root: Path, name: str, *, fix: bool, wait_s: float) -> list[Examined]:
    with opened(root, name) as app:
        if fix:
            return heal(app, progress(), wait_s=wait_s, tell=tell)
        return [Examined(finding) for finding in examine(app)]


def _mend(name: str, one: Examined) -> str:
    if one.fixed:
        return ""
    return one.finding.mend or f"gitdeploy doctor {name} --fix" * bool(one.finding.fix)


def _shape(name: str, found: Sequence[Examined]) -> dict[str, object]:
    return {
        "app": name,
        "findings": [
            {
                "name": one.finding.name,
                "what": one.finding.what,
                "means": one.finding.means,
                "mend": _mend(name, one),
                "fixable": one.finding.fix is not None,
                "fixed": one.fixed,
                "severity": one.finding.severity,
            }
            for one in found
        ],
    }


def _show_all(
    seen: dict[str, list[Examined]], root: Path, *, alone: bool, as_json: bool
) -> None:
    if as_json:
        shapes = [_shape(name, found) for name, found in seen.items()]
        if shapes or not alone:
            show_json(shapes[0] if alone else {"apps": shapes})
        return
    if not seen and not alone:
        show_line(f"{root} has no app yet")
    for n, (name, found) in enumerate(seen.items()):
        if n:
            show_line()
        fields([(name, _summary(found))])
        for one in found:
            show_line()
            fields(_lines(name, one))


def _summary(found: Sequence[Examined]) -> str:
    fixed = sum(one.fixed for one in found)
    wrong = sum(one.is_trouble for one in found)
    notes = len(found) - fixed - wrong
    said = [
        *([f"{count(fixed, 'finding')} mended"] if fixed else []),
        *(
            [f"{count(wrong, 'finding')} {'left' if fixed else ''}".strip()]
            * bool(wrong)
        ),
        *([count(notes, "note")] if notes else []),
    ]
    return ", ".join(said) or "all is well"


def _lines(name: str, one: Examined) -> list[tuple[str, str]]:
    if one.fixed:
        return [("mended", one.finding.what)]
    lines: list[tuple[str, str]] = [(one.finding.severity, one.finding.what)]
    lines.append(("means", one.finding.means))
    if mend := _mend(name, one):
        lines.append(("mend with", mend))
    return lines
