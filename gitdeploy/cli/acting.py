"""What verbs that move a chain have in common: lock, act, say what came of it."""

from gitdeploy.cli.screen import fields, show_json
from gitdeploy.deploy.app import App
from gitdeploy.deploy.flip import MAINTENANCE
from gitdeploy.deploy.move import Outcome
from gitdeploy.deploy.report import Report
from gitdeploy.model import Release, short_ref
from gitdeploy.system.client import Client

__all__ = ["progress", "show_outcome"]

_STDERR = 2


def progress() -> Report:
    """Return what tells a person how far a preparation is, on stderr."""
    return Report(Client(_STDERR))


def show_outcome(app: App, outcome: Outcome, *, as_json: bool) -> None:
    """Say what is live now and what was live before."""
    if as_json:
        show_json(_shape(app, outcome))
        return
    link = app.public.head_name(outcome.chain)
    now = f"{outcome.chain}: {_named(app, outcome)}"
    if outcome.word == "unchanged":
        fields([("unchanged", f"{now} is live already as {link}")])
        return
    again = " again" if outcome.word.startswith("rolled") else ""
    lines: list[tuple[str, str]] = [(outcome.word, f"{now} is live{again} as {link}")]
    if outcome.before:
        lines.append(("was", f"release {outcome.before.number}"))
    if outcome.chain == "prod" and app.ledger.setting(MAINTENANCE):
        off = f"gitdeploy maintenance {app.name} off"
        lines.append(("maintenance", f"{link} shows a page until  {off}"))
    fields(lines)


def _named(app: App, outcome: Outcome) -> str:
    head = app.ledger.chains.read(outcome.chain).head
    by = short_ref(head.ref) if head and head.ref else outcome.release.path
    return f"release {outcome.release.number}{f' ({by})' if by else ''}"


def _shape(app: App, outcome: Outcome) -> dict[str, object]:
    def name(release: Release | None) -> str | None:
        return release.name if release else None

    return {
        "app": app.name,
        "verdict": outcome.word,
        "chain": outcome.chain,
        "release": name(outcome.release),
        "from": name(outcome.before),
        "path": str(app.directory(outcome.release)),
    }
