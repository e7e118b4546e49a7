"""Whether whoever runs a verb may do so at this moment: asked with the lock held.

The forced command asks before it starts the verb, which may then wait for its turn,
and build for an hour. So it is asked again, of files read afresh, when a chain, a ref
or a file is about to change. The server's own user is asked nothing.
"""

from collections.abc import Iterable

from gitdeploy.access import answer
from gitdeploy.chain import Chain
from gitdeploy.config.access import Action
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import closed
from gitdeploy.errors import AccessDenied
from gitdeploy.model import CHAINS, ChainName, Entry, short_ref
from gitdeploy.ssh_command import needs_on

__all__ = ["check_chain", "check_entries", "check_move", "check_verb"]


def check_verb(app: App, verb: str) -> None:
    """Say nothing if whoever acts may run a verb at all, now.

    Raises:
        AccessDenied: They may not, or not any more.
    """
    if app.key is None:
        return
    app.look_again()
    needs = {*needs_on(verb, "dev"), *needs_on(verb, "prod")}
    _check(app, verb, tuple(sorted(needs)), None)


def check_chain(app: App, chain: ChainName) -> None:
    """Say nothing if no lock and no window holds a chain from whoever acts, now.

    Raises:
        AccessDenied: One does, and they may not override it.
    """
    if app.key is None or app.rights.allow("override"):
        return
    freeze = app.ledger.freeze
    why = freeze.words if freeze and freeze.holds(chain) else closed(app, chain)
    if why:
        raise AccessDenied(why)


def check_move(app: App, verb: str, before: Chain, after: Chain) -> None:
    """Say nothing if whoever acts may make a chain another one, now.

    A right that was granted for some refs holds for what came from these: for all that
    comes onto the chain, leaves it, or is its head afterwards.

    Raises:
        AccessDenied: They may not.
    """
    was = {entry.release: entry for entry in before.entries}
    now = {entry.release: entry for entry in after.entries}
    changed = [entry for entry in before.entries if entry.release not in now]
    changed += [entry for entry in after.entries if entry.release not in was]
    head = [after.head] if after.head else []
    check_entries(app, verb, after.name, [*changed, *head])


def check_entries(
    app: App, verb: str, chain: ChainName, entries: Iterable[Entry]
) -> None:
    """Say nothing if whoever acts may do this to what stands on a chain, now.

    Raises:
        AccessDenied: They may not: the right is gone, is for other refs, or the chain
            is held.
    """
    if app.key is None:
        return
    app.look_again()
    needs = needs_on(verb, chain)
    for ref in {_origin(app, entry): None for entry in entries}:
        _check(app, verb, needs, ref)
    check_chain(app, chain)


def _check(app: App, verb: str, needs: tuple[Action, ...], ref: str | None) -> None:
    answers = [answer(app.rights, action, ref) for action in needs]
    if any(one.allowed for one in answers):
        return
    why = answers[0].why
    if ref is not None and any(app.rights.allow(action) for action in needs):
        came = f"what came from {short_ref(ref)}" if ref else "what came from no ref"
        raise AccessDenied(f"{app.by} may not {verb} {came}: {why}")
    raise AccessDenied(f"{app.by} may not {verb} on {app.name}: {why}")


def _origin(app: App, entry: Entry) -> str:
    """Return the ref that a release came from, by whatever way; empty: by none.

    What was made anew from a commit came from where the commit had come from.
    """
    if ref := _put_there_by(app, entry):
        return ref
    chains = [app.ledger.chains.read(name) for name in CHAINS]
    others = (one for chain in chains for one in chain.entries)
    same = (one for one in others if entry.commit and one.commit == entry.commit)
    return next(filter(None, (_put_there_by(app, one) for one in same)), "")


def _put_there_by(app: App, entry: Entry) -> str:
    if entry.ref:
        return entry.ref
    events = (app.ledger.deployments.made_head(c, entry.release) for c in CHAINS)
    return next((event.ref for event in events if event and event.ref), "")
