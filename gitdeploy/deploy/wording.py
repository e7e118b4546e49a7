"""What the pusher is told about an update, in words; nothing is decided here."""

from collections.abc import Sequence
from typing import Final

from gitdeploy.decide import (
    Accept,
    Decision,
    Deploy,
    RefKind,
    Refuse,
    RollBack,
    Unchanged,
    reached,
)
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Attempt
from gitdeploy.deploy.flip import MAINTENANCE
from gitdeploy.deploy.report import Report
from gitdeploy.model import (
    CHAINS,
    ChainName,
    RefUpdate,
    Release,
    VerdictWord,
    short_ref,
)
from gitdeploy.system import clock
from gitdeploy.system.terminal import human_time

__all__ = ["action", "conclude", "introduce", "live", "outcome", "unseen"]

_NAMED: Final = 5


def action(kind: RefKind, decision: Decision) -> str:
    """Return the word that history has for what an update asks for."""
    match decision:
        case RollBack():
            return "rollback"
        case Refuse():
            return "refuse"
        case Accept():
            return "store" if kind is RefKind.STORED else "delete"
        case Deploy(chain) | Unchanged(chain):
            return "stage" if chain == "dev" else "release"


def outcome(decision: Decision) -> VerdictWord:
    """Return the verdict of an update that went through."""
    match decision:
        case Deploy():
            return "deployed"
        case RollBack():
            return "rolled back"
        case Unchanged():
            return "unchanged"
        case Accept():
            return "accepted"
        case Refuse():
            return "refused"


def introduce(app: App, report: Report, attempt: Attempt) -> None:
    """Tell which ref of which app comes now."""
    commit, subject = attempt.source.commit, attempt.source.subject
    report.title(
        app.name,
        attempt.update.short,
        commit[:7] if commit else "deleted" * attempt.update.deletes,
        f'"{subject}"' if subject else "",
    )


def conclude(app: App, report: Report, attempt: Attempt) -> None:
    """Tell the verdict; after a no, how to mend it and what is live."""
    assert attempt.verdict is not None
    match attempt.verdict.word:
        case "deployed":
            _deployed(app, report, attempt)
        case "rolled back":
            _rolled_back(app, report, attempt)
        case "unchanged":
            chain = reached(attempt.decision)
            assert chain is not None
            report.line(
                "unchanged", f"{_name(attempt.release)} is {_link(app, chain)} already"
            )
        case "accepted":
            assert isinstance(attempt.decision, Accept)
            report.line("accepted", attempt.decision.why)
        case word:
            _said_no(app, report, attempt, word)
    if attempt.verdict.accepted and reached(attempt.decision) == "prod":
        _hidden(app, report)


def _hidden(app: App, report: Report) -> None:
    """Tell that visitors do not see prod, where they do not."""
    if app.ledger.setting(MAINTENANCE):
        link = app.public.name("prod", 1)
        report.line("maintenance", f"{app.name} shows a page, not {link}")
        report.copyable("end with", f"gitdeploy maintenance {app.name} off")


def unseen(app: App, report: Report, updates: Sequence[RefUpdate]) -> None:
    """Tell which other refs have moved without a deployment, and what mends it."""
    if updates:
        names = ", ".join(update.short for update in updates[:_NAMED])
        report.line("moved unseen", names)
        report.copyable("mend with", f"gitdeploy repair {app.name}")


def _deployed(app: App, report: Report, attempt: Attempt) -> None:
    chain = reached(attempt.decision)
    assert chain is not None
    word = "staged" if chain == "dev" else "released"
    text = f"{_name(attempt.release)} is {_link(app, chain)}"
    if not attempt.built:
        text += _as_before(app, attempt, chain)
    report.line(word, text, attempt.watch.seconds)
    head = attempt.before.head if attempt.before else None
    if head is None:
        return
    if chain == "dev":
        import shlex

        branch = shlex.quote(attempt.update.short)
        report.copyable("back with", f"git revert HEAD && git push server {branch}")
    else:
        was = f"release {head.release}"
        by = f" ({short_ref(head.ref)})" if head.ref else ""
        still = (
            f", still {app.public.name(chain, 2)}" if app.public.positions > 1 else ""
        )
        report.line("was", f"{was}{by}{still}")


def _as_before(app: App, attempt: Attempt, chain: ChainName) -> str:
    assert attempt.release is not None
    staged = app.ledger.deployments.made_head("dev", attempt.release.number)
    if chain == "dev" or staged is None:
        return ", nothing rebuilt"
    ago = human_time(max(clock.seconds_since(staged.started), 0))
    return f", as staged {ago} ago by {staged.by}"


def _rolled_back(app: App, report: Report, attempt: Attempt) -> None:
    chain = reached(attempt.decision)
    assert chain is not None
    text = f"{_name(attempt.release)} is {_link(app, chain)} again, nothing rebuilt"
    report.line("rolled back", text, attempt.watch.seconds)


def _said_no(app: App, report: Report, attempt: Attempt, word: str) -> None:
    verdict, failure = attempt.verdict, attempt.failure
    assert verdict is not None
    reason = verdict.reason.removeprefix(word).lstrip(": ")
    report.line(word, reason, attempt.watch.seconds if failure else None)
    if verdict.hint:
        report.copyable("hint", verdict.hint)
    if attempt.release and failure:
        number = attempt.release.number
        report.copyable("full log", f"gitdeploy logs {app.name} {number}")
    if (held := attempt.put_back) is not None:
        was = f"is at {held[:7]}" if held.strip("0") else "is gone"
        report.line("put back", f"{attempt.update.short} {was} again")
    if word != "superseded":
        report.line("still live", live(app))


def live(app: App) -> str:
    """Return what is live on each chain."""
    heads = [(chain, app.ledger.chains.read(chain).head) for chain in CHAINS]
    found = [f"release {head.release} on {chain}" for chain, head in heads if head]
    return ", ".join(found) or "nothing yet"


def _name(release: Release | None) -> str:
    return f"release {release.number}" if release else "nothing"


def _link(app: App, chain: ChainName) -> str:
    return app.public.head_name(chain)
