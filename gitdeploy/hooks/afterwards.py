"""What post-receive does where no note says that all is done (`note`).

It is a complete deployer: where the gate is absent, all happens here. Behind the gate
it finds every ref judged, and only tidies up after the push.
"""

import os
from collections.abc import Mapping

from gitdeploy.deploy.aftermath import begin_aftermath, due
from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.door import guarded
from gitdeploy.hooks.surface import app_here, report_to_pusher
from gitdeploy.model import RefUpdate
from gitdeploy.system.signals import undisturbed

__all__ = ["deploy"]


def deploy(updates: bytes) -> int:
    """Deploy what is not deployed yet, then prune; return the exit status.

    Args:
        updates: As git hands them to post-receive: `OLD NEW REF`, a line each.
    """
    return guarded(lambda: _serve(updates, os.environ))


def _serve(lines: bytes, environ: Mapping[str, str]) -> int:
    report = report_to_pusher()
    updates = tuple(_update(line) for line in lines.split(b"\n") if line)
    with app_here(environ) as app:
        accepted = _deploy_the_rest(app, updates, _options(environ), report)
        aftermath = due(app)
        _forget_note(app)
        if "GIT_PUSH_CERT" in environ:
            _record_certificate(app, updates, environ, report)
    begin_aftermath(app, aftermath)
    return 0 if accepted else 1


def _deploy_the_rest(
    app: App, updates: tuple[RefUpdate, ...], options: tuple[str, ...], report: Report
) -> bool:
    """Deploy the updates that no gate has judged; return whether all went through."""
    judged = app.ledger.deployments.judged
    rest = tuple(update for update in updates if not judged(update))
    if not rest:
        return True
    from gitdeploy.deploy.acceptance import Afterwards
    from gitdeploy.deploy.push import Push, receive

    acceptance = Afterwards(app.repository, app.ledger.deployments.value_before)
    with undisturbed():
        verdicts = receive(app, Push(rest, options), acceptance, report)
    return all(verdict.accepted for verdict in verdicts)


def _forget_note(app: App) -> None:
    """Take away what pre-receive noted of this push: it has been dealt with."""
    if app.key is not None and app.layout.pushed.is_dir():
        from gitdeploy.deploy.pushed import forget, pushes
        from gitdeploy.hooks.note import push

        this = (push() or b"").rstrip(b"\n")
        forget([one for one in pushes(app.layout) if this and one.git == this])


def _record_certificate(
    app: App, updates: tuple[RefUpdate, ...], environ: Mapping[str, str], report: Report
) -> None:
    """Record what the pusher signed, as git verified it (githooks(5), pre-receive)."""
    from gitdeploy.deploy.certificate import Sent, record

    told = {
        name: environ.get(f"GIT_PUSH_CERT_{name}", "")
        for name in ("STATUS", "SIGNER", "KEY", "NONCE_STATUS")
    }
    sent = Sent(
        environ["GIT_PUSH_CERT"],
        status=told["STATUS"],
        signer=told["SIGNER"],
        key=told["KEY"],
        nonce_status=told["NONCE_STATUS"],
    )
    record(app, updates, sent, report)


def _update(line: bytes) -> RefUpdate:
    old, new, ref = line.split(b" ", 2)
    return RefUpdate(ref.decode("utf-8", "surrogateescape"), old.decode(), new.decode())


def _options(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the push options (githooks(5), post-receive)."""
    number = int(environ.get("GIT_PUSH_OPTION_COUNT", "0"))
    return tuple(environ[f"GIT_PUSH_OPTION_{n}"] for n in range(number))
