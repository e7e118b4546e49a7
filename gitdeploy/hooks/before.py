"""What pre-receive does where no permit lets a push through: rights are asked anew.

In git's quarantine: what is refused was never there. One ref for which a right is
lacking refuses the whole push, since git knows no other answer of this hook; what the
rule book refuses besides is left to the hooks that answer for each ref.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Final

from gitdeploy.decide import Refuse, order
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import read_sources
from gitdeploy.deploy.judge import Push
from gitdeploy.deploy.judge import judge as judged
from gitdeploy.deploy.pushed import leave, pushes
from gitdeploy.deploy.unseen import forget_settled
from gitdeploy.door import guarded
from gitdeploy.errors import SystemFailed
from gitdeploy.hooks.note import push as this_push
from gitdeploy.hooks.surface import app_here
from gitdeploy.model import RefUpdate
from gitdeploy.system import clock
from gitdeploy.system.client import Client
from gitdeploy.system.terminal import fit, printable

__all__ = ["judge", "refuse_stranger"]

_QUARANTINE: Final = (
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
)
_NAMED: Final = 20
_MANY_NOTES: Final = 100
_MOST_NOTES: Final = 1000
_SHOWN: Final = 60
_STDERR: Final = 2


def judge(updates: bytes) -> int:
    """Return 0 where somebody may push all of it; else say what they may not.

    Args:
        updates: As git hands them to pre-receive: `OLD NEW REF`, a line each.
    """
    return guarded(lambda: _serve(updates, os.environ))


def refuse_stranger() -> int:
    """Say to whom the app belongs, since it is not us; return 1."""

    def refused() -> int:
        with app_here(os.environ):
            return 1

    return guarded(refused)


def _serve(lines: bytes, environ: Mapping[str, str]) -> int:
    updates = [_update(line) for line in lines.split(b"\n") if line]
    with app_here(environ) as app:
        app.quarantine = {name: environ[name] for name in _QUARANTINE & environ.keys()}
        limit = app.server.limits.refs
        if len(updates) > limit:
            reason = f"{len(updates)} refs in one push; the limit is {limit}"
            return _refused(app, {updates[0]: Refuse(reason)})
        refused = _lacking(app, Push(tuple(updates), _options(environ)))
        if refused:
            return _refused(app, refused)
        if app.ledger.setting("gate") == "no":
            _note(app, lines)
    return 0


def _note(app: App, lines: bytes) -> None:
    """Note what was judged, for `repair`, since no gate moves the refs."""
    noted = pushes(app.layout)
    if len(noted) > _MANY_NOTES:
        forget_settled(app, noted)
    if len(noted) > _MOST_NOTES:
        raise SystemFailed(
            f"{len(noted)} pushes to {app.name} have not come to an end",
            hint=f"gitdeploy repair {app.name}  # on the server",
        )
    git, keys = this_push() or b"\n", app.surroundings.keys
    leave(app.layout, git, app.by, app.key or "", keys, lines)


def _lacking(app: App, push: Push) -> dict[RefUpdate, Refuse]:
    """Return the updates for which a right is lacking."""
    found = {}
    for source in read_sources(app, order(push.updates)):
        decision = judged(app, source, push)
        if isinstance(decision, Refuse) and decision.lacking:
            found[source.update] = decision
    return found


def _refused(app: App, refused: Mapping[RefUpdate, Refuse]) -> int:
    """Say what may not be pushed, to the pusher and to history; return 1."""
    client, named = Client(_STDERR), list(refused.items())[:_NAMED]
    client.line("gitdeploy: nothing of this push was taken")
    for update, no in named:
        name = fit(printable(update.short), _SHOWN)
        client.line(f"  {name}: {printable(no.reason)}")
    if len(named) < len(refused):
        client.line(f"  and {len(refused) - len(named)} more")
    for hint in sorted({no.hint for no in refused.values() if no.hint}):
        client.line(f"hint: {hint}")
    _write_down(app, named)
    return 1


def _write_down(app: App, refused: Sequence[tuple[RefUpdate, Refuse]]) -> None:
    """Let history tell who tried what; others see these events ended, or none."""
    deployments = app.ledger.deployments
    with app.ledger.transaction():
        for update, no in refused:
            event = deployments.begin(
                "refuse",
                by=app.by,
                key=app.key,
                started=clock.now(),
                ref=update.ref,
                old=update.old,
                new=update.new,
            )
            deployments.end(event.id, "refused", reason=no.reason)


def _update(line: bytes) -> RefUpdate:
    old, new, ref = line.decode("utf-8", "surrogateescape").split(" ", 2)
    return RefUpdate(ref, old, new)


def _options(environ: Mapping[str, str]) -> tuple[str, ...]:
    number = int(environ.get("GIT_PUSH_OPTION_COUNT", "0"))
    return tuple(environ[f"GIT_PUSH_OPTION_{n}"] for n in range(number))
