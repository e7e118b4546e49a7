"""The words that verbs share: which root, which app, how long to wait, what form."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from gitdeploy.cli.inputs import SECONDS
from gitdeploy.deploy.app import App, set_up_apps
from gitdeploy.door import acting_key, acting_name, surroundings
from gitdeploy.errors import GitdeployError
from gitdeploy.model import CHAINS, ChainName
from gitdeploy.system.owner import become_owner

__all__ = [
    "acting",
    "app_argument",
    "chain_argument",
    "chosen_chain",
    "completed_releases",
    "default_root",
    "held",
    "json_option",
    "opened",
    "root_option",
    "tell",
    "wait_option",
]

F = TypeVar("F", bound=Callable[..., Any])

_ROOT: Final = "GITDEPLOY_ROOT"
_WAIT_S: Final = 30.0


def default_root() -> Path:
    """Return the root where nobody says otherwise: GITDEPLOY_ROOT, else ~/gitdeploy."""
    return _chosen(Path(os.environ.get(_ROOT) or "~/gitdeploy"))


def _chosen(path: Path) -> Path:
    """Return a root as it is called; whoever acts on it is its owner by then."""
    root = path.expanduser().resolve()
    become_owner(root, os.environ)
    return root


def _complete_app(
    context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    root = context.params.get("root") or default_root()
    return [
        CompletionItem(name) for name in set_up_apps(root) if name.startswith(typed)
    ]


def completed_releases(
    context: click.Context, _parameter: click.Parameter, typed: str
) -> list[CompletionItem]:
    """Return the names of an app's releases that begin with what was typed."""
    root, name = context.params.get("root") or default_root(), context.params["app"]
    with suppress(GitdeployError, OSError), opened(root, name or "") as app:
        names = [release.name for release in reversed(app.ledger.releases.on_disk())]
        return [CompletionItem(name) for name in names if name.startswith(typed)]
    return []


def root_option(verb: F) -> F:
    """Give a verb `--root`: absolute, links resolved."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        callback=lambda _c, _p, path: _chosen(path) if path else default_root(),
        metavar="DIR",
        help=f"Where the apps of this server are; else {_ROOT}, else ~/gitdeploy.",
    )(verb)


def app_argument(*, required: bool = True) -> Callable[[F], F]:
    """Give a verb APP."""
    return click.argument("app", required=required, shell_complete=_complete_app)


def chain_argument(*, required: bool = False) -> Callable[[F], F]:
    """Give a verb the chain; where it may be left out, `prod`.

    prod, since the night on which somebody types `rollback` is one on which the
    live site is broken.
    """
    names = "|".join(CHAINS)
    if required:
        return click.argument("chain", metavar=names, type=click.Choice(CHAINS))
    return click.argument(
        "chain", metavar=f"[{names}]", default="prod", type=click.Choice(CHAINS)
    )


def chosen_chain(word: str) -> ChainName:
    """Return a word that click found to be a chain's name as one."""
    return cast("ChainName", word)


def wait_option(verb: F) -> F:
    """Give a verb `--wait`."""
    return click.option(
        "--wait",
        "wait_s",
        type=SECONDS,
        default=_WAIT_S,
        metavar="SECONDS",
        help=f"How long to wait for somebody else on the app; else {_WAIT_S:.0f}.",
    )(verb)


def json_option(verb: F) -> F:
    """Give a verb `--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object instead."
    )(verb)


def opened(root: Path, name: str) -> App:
    """Return an app, acting as who we are; a context manager.

    Raises:
        UsageError: There is no such app below `root`.
    """
    environ = os.environ
    by, key = acting_name(environ), acting_key(environ)
    return App.open(root, name, surroundings(environ), by, key)


@contextmanager
def acting(root: Path, name: str) -> Iterator[App]:
    """Open an app to move one of its chains; what nobody waits for goes on afterwards.

    It does not tidy up: that is for pushes, and for those who ask for it (`prune`).

    Raises:
        UsageError: There is no such app below `root`.
    """
    from gitdeploy.deploy.aftermath import Aftermath, begin_aftermath, due

    aftermath: Aftermath | None = None
    try:
        with opened(root, name) as app:
            try:
                yield app
            finally:
                aftermath = due(app, tidies=False)
    finally:  # a verb that failed is told of as well
        if aftermath is not None:
            begin_aftermath(app, aftermath)


@contextmanager
def held(
    app: App, what: str, wait_s: float, *, rolls_back: ChainName | None = None
) -> Iterator[None]:
    """Hold an app's lock for the body; what a crash left is mended before.

    Args:
        app: The app.
        what: What for, the verb first, as somebody who waits shall read it.
        wait_s: How long to wait for somebody else.
        rolls_back: The chain that is to be rolled back, which has not to wait for
            what may take long.

    Raises:
        LockHeld: Somebody else still holds it after `wait_s`.
        AccessDenied: Whoever acts may not any more: it was asked before the wait.
    """
    from gitdeploy.deploy.recover import locked

    with locked(app, what, wait_s=wait_s, tell=tell, rolls_back=rolls_back):
        if app.key is not None:
            from gitdeploy.deploy.allowed import check_verb

            check_verb(app, what.split(maxsplit=1)[0])
        yield


def tell(sentence: str) -> None:
    """Tell a person what goes on; not part of the result."""
    from gitdeploy.system.terminal import printable

    sys.stderr.write(f"{printable(sentence)}\n")
    sys.stderr.flush()
