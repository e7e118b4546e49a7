"""What a crash left half done, or what happened unseen; the same that repair mends."""

from collections.abc import Iterator

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.recover import missed, recover
from gitdeploy.deploy.repair import repair
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.unseen import deploys_it, was_judged
from gitdeploy.model import Deployment, RefUpdate

__all__ = ["findings"]


def findings(app: App) -> Iterator[Finding]:
    """Yield every event, release and ref that nobody has brought to its end."""
    for event in app.ledger.deployments.unfinished():
        yield _unfinished(event)
    for release in app.ledger.releases.preparing():
        yield Finding(
            "preparing-left",
            f"release {release.number} was being prepared when its process died",
            "nobody: the next push marks it as failed",
            fix=_repair,
        )
    for update in missed(app):
        yield _missed(app, update)


def _unfinished(event: Deployment) -> Finding:
    what = f"{event.action} of {event.ref or event.chain}"
    return Finding(
        "unfinished-deployment",
        f"{what}, begun by {event.by} at {event.started}, was interrupted",
        "nobody: the next push finishes or abandons it before anything else",
        fix=_repair,
    )


def _missed(app: App, update: RefUpdate) -> Finding:
    where = "nothing" if update.deletes else update.new[:10]
    mend, fix = "", _repair
    if app.ledger.freeze is not None:
        mend = f"gitdeploy unlock {app.name} && gitdeploy repair {app.name}"
    elif not was_judged(app, update):
        mend = deploys_it(app, update)
    return Finding(
        "ref-moved-unseen",
        f"{update.ref} moved to {where} without a deployment",
        f"who waits for {update.short} to be deployed: the links do not show it",
        mend,
        fix=None if mend else fix,
    )


def _repair(app: App, report: Report) -> None:
    recover(app)
    repair(app, report)
