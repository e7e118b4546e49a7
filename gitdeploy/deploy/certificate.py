"""What a pusher signed as a whole, as git verified it, is recorded."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.errors import GitdeployError
from gitdeploy.model import Certificate, RefUpdate
from gitdeploy.signatures import Signed
from gitdeploy.system.terminal import printable

__all__ = ["Sent", "record"]

_MOST_BYTES: Final = 2**20
_GOOD: Final = "G"
_MADE_FOR_US: Final = "OK"


class Sent(Struct, frozen=True):
    """A push certificate, and what git says of it (githooks(5), pre-receive)."""

    object: str
    """Its object id; empty where git could not keep it."""
    status: str
    """G: the signature fits, whoever made it."""
    signer: str
    """Who made it; empty: nobody we know."""
    key: str
    nonce_status: str
    """OK: it was made for this very push."""


def record(app: App, updates: Sequence[RefUpdate], sent: Sent, report: Report) -> None:
    """Record a push certificate that counts, and tell the pusher whether it does.

    It decides nothing: what was pushed has happened.

    Args:
        app: The app.
        updates: Those of the push that were accepted.
        sent: The certificate.
        report: Tells the pusher.

    Changes: the ledger, one transaction. Safe to repeat.
    """
    try:
        why = _objection(sent) or _record(app, updates, sent)
    except GitdeployError as error:
        why = error.message
    if why:
        report.line("certificate", f"not recorded: {why}")
    else:
        report.line("certificate", f"by {_signed(sent).who}, recorded")


def _objection(sent: Sent) -> str:
    """Return why a certificate does not count, by what git says of it; empty: it does.

    A signature by a key that nobody knows is as good to git as any; it only names
    nobody.
    """
    if sent.status != _GOOD or not sent.object.strip("0"):
        return "its signature does not hold"
    if not sent.signer.strip():
        return f"its key {printable(sent.key)} is not known here"
    if sent.nonce_status != _MADE_FOR_US:
        return f"it was not made for this push (nonce {printable(sent.nonce_status)})"
    return ""


def _record(app: App, updates: Sequence[RefUpdate], sent: Sent) -> str:
    """Record a certificate; return why not, where not."""
    git, signed = app.repository.git, _signed(sent)
    if int(git("cat-file", "-s", sent.object)) > _MOST_BYTES:
        return f"it has more than {_MOST_BYTES // 1024} KiB"
    content = git("cat-file", "blob", sent.object)
    if why := app.signatures.expired(signed, content):
        return f"it {why}"
    text = content.decode("utf-8", "surrogateescape")
    certificate = Certificate(sent.object, signed.words)
    app.ledger.deployments.certify(updates, certificate, text, by=app.by)
    return ""


def _signed(sent: Sent) -> Signed:
    return Signed(printable(sent.signer), printable(sent.key))
