"""What history tells of an update besides what came of it."""

from gitdeploy.decide import Decision, reached
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import Source, closed
from gitdeploy.deploy.judge import Push

__all__ = ["overridden", "signer_of"]


def overridden(app: App, source: Source, decision: Decision, push: Push) -> str | None:
    """Return what would hold an update if its pusher did not override it."""
    freeze, chain = app.ledger.freeze, reached(decision) or source.chain
    if chain is None or "override" not in push.options:
        return None
    if freeze and freeze.holds(chain):
        return freeze.words
    return closed(app, chain) or None


def signer_of(app: App, source: Source, decision: Decision) -> str | None:
    """Return who signed what a chain gets, where it wants that signed."""
    chain = reached(decision)
    if chain is None or app.server.signed.of(chain) == "no":
        return None
    from gitdeploy.deploy.signing import signer

    return signer(app, source, chain)
