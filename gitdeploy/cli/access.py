"""`gitdeploy access`: who may do what with which app."""

import os
from pathlib import Path
from typing import cast

import click

from gitdeploy.access import Answer, answer, rights_of
from gitdeploy.cli.options import app_argument, json_option, root_option
from gitdeploy.cli.screen import show_json, show_line, table
from gitdeploy.config.access import ACTIONS, Action
from gitdeploy.deploy.app import App, granted, set_up_apps
from gitdeploy.door import surroundings
from gitdeploy.errors import UsageError
from gitdeploy.layout import access_toml

__all__ = ["command"]

_LIKE_A_REF = ("refs/heads/", "refs/tags/")


@click.group()
def command() -> None:
    """Say who may do what; what nobody granted is refused.

    It stands in ROOT/access.toml, for people to edit as well, and, for one app alone,
    in its server.toml under [access]. The server's own user may do everything.
    """


@command.command()
@click.argument("name")
@app_argument()
@click.argument("asked", metavar="ACTION|REF")
@root_option
@json_option
def check(*, name: str, app: str, asked: str, root: Path, as_json: bool) -> int:
    """Tell whether NAME may do ACTION with an app, or push REF to it, and why.

    REF is a full name, refs/heads/main or refs/tags/v1.2.
    """
    found = _answer(root, name, app, asked)
    if as_json:
        show_json(
            {
                "person": name,
                "app": app,
                "asked": asked,
                "allowed": found.allowed,
                "why": found.why,
            }
        )
    else:
        show_line(f"{'allowed' if found.allowed else 'refused'}: {found.why}")
    return 0 if found.allowed else 1


@command.command("list")
@root_option
@json_option
def list_(*, root: Path, as_json: bool) -> None:
    """Show what is granted, grant by grant."""
    path, access = access_toml(root), granted(root)
    if as_json:
        grants = [
            {
                "to": list(one.to),
                "may": list(one.may),
                "apps": list(one.apps),
                "refs": list(one.refs),
                "since": one.since,
            }
            for one in access.grant
        ]
        groups = {name: list(people) for name, people in access.groups.items()}
        show_json({"path": str(path), "groups": groups, "grants": grants})
        return
    for name, people in access.groups.items():
        show_line(f"@{name}: {', '.join(people) or 'nobody'}")
    rows = [
        [", ".join(words) for words in (one.to, one.may, one.apps, one.refs)]
        for one in access.grant
    ]
    if rows:
        table(["to", "may", "apps", "refs"], rows)
    else:
        show_line(f"{path} grants nobody anything")


@command.command()
@click.argument("name")
@click.argument("actions", nargs=-1, required=True, type=click.Choice(ACTIONS))
@click.option(
    "--app", "apps", default="*", metavar="APP", help="Or a pattern; else all."
)
@click.option(
    "--ref",
    "refs",
    multiple=True,
    metavar="PATTERN",
    help="Only for these branches or tags, and for verbs on what came from them;"
    " with ! in front, behind another: not for these.",
)
@root_option
def grant(
    *, name: str, actions: tuple[str, ...], apps: str, refs: tuple[str, ...], root: Path
) -> None:
    """Let NAME (or @GROUP) do ACTIONS: read, stage, release, rollback, env, admin.

    A tag takes release, whatever deploy.toml makes of it. What is granted for an app
    by name is for the app of today: one that is removed and set up again under that
    name has nothing of it. A pattern is for whatever app there is.
    """
    from gitdeploy.deploy import granting

    is_pattern = bool(set("*?[") & set(apps))
    made = None if is_pattern else _made(root, apps)
    granting.grant(
        root,
        name,
        cast("tuple[Action, ...]", actions),
        apps=apps,
        refs=refs,
        made=made,
    )
    show_line(f"{name} may {', '.join(actions)} on {apps}")


@command.command()
@click.argument("name")
@click.argument("actions", nargs=-1, type=click.Choice(ACTIONS))
@click.option(
    "--app", "apps", default="*", metavar="APP", help="As it was granted for."
)
@root_option
def revoke(*, name: str, actions: tuple[str, ...], apps: str, root: Path) -> None:
    """Take ACTIONS from NAME (or @GROUP); without ACTIONS, all that was granted."""
    from gitdeploy.deploy import granting

    granting.revoke(root, name, cast("tuple[Action, ...]", actions), apps=apps)
    show_line(f"taken from {name}: {', '.join(actions) or 'all'} on {apps}")
    for app in set_up_apps(root):
        made = _made(root, app)
        rights = rights_of(name, app, [("access.toml", granted(root))], made)
        if rights.letting_in:
            show_line(f"still granted on {app}: {rights.words}")


def _answer(root: Path, name: str, app: str, asked: str) -> Answer:
    with App.open(root, app, surroundings(os.environ), name) as opened:
        rights = opened.rights_of(name)
        if asked in ACTIONS:
            return answer(rights, asked)
        if not asked.startswith(_LIKE_A_REF):
            raise UsageError(
                f"should be a ref, refs/heads/NAME or refs/tags/NAME, or one of"
                f" {', '.join(ACTIONS)}; got {asked!r}"
            )
        from gitdeploy.config import DEFAULTS
        from gitdeploy.decide import NEEDED, classify, needed
        from gitdeploy.deploy.facts import read_source

        head = opened.ledger.chains.read("dev").head
        live = head.commit if head else None
        config = read_source(opened, asked, live).config if live else DEFAULTS
        kind = classify(asked, config.refs, opened.server.refs)
        if not NEEDED[kind]:
            return Answer(allowed=False, why=f"{asked} deploys nothing here")
        last = opened.ledger.deployments.last_chain(asked)
        found = [answer(rights, one, asked) for one in needed(asked, kind, last)]
        return next((one for one in found if not one.allowed), found[0])


def _made(root: Path, name: str) -> str:
    """Return when an app was made; empty: before that was written down.

    Raises:
        UsageError: There is no such app.
    """
    with App.open(root, name, surroundings(os.environ), "") as app:
        return app.ledger.setting("made") or ""
