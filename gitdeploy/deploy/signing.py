"""Whether what a chain is to show is signed as server.toml wants it."""

from typing import Final

from gitdeploy.config.patterns import fits
from gitdeploy.config.signed import Signed as Demand
from gitdeploy.deploy.app import App
from gitdeploy.deploy.facts import Source, read_source
from gitdeploy.deploy.placed import NO_REF
from gitdeploy.errors import AccessDenied
from gitdeploy.model import ChainName, Entry
from gitdeploy.signatures import Signed, Unsigned
from gitdeploy.system.terminal import fit, printable

__all__ = ["check_signed", "objection", "signer"]

_SHOWN: Final = 40
_TAGS: Final = "refs/tags/"


def objection(app: App, source: Source, chain: ChainName) -> Unsigned | None:
    """Return why an update is not signed as its chain wants it; None: it is.

    Args:
        app: The app.
        source: The update, which has a commit.
        chain: The chain that it would move, which wants a signature.

    Returns:
        A whole sentence, one line, fit for git's status line.
    """
    demand = app.server.signed
    of_tag = demand.of(chain) == "tags"
    if of_tag and source.object_type != "tag":
        why = f"{_short(source)} is no signed tag, and {chain} takes only these"
        return Unsigned(why)
    found = app.signatures.of(_signed_object(source, chain, demand))
    what = _short(source) if of_tag else f"commit {(source.commit or '')[:7]}"
    if not isinstance(found, Signed):
        return Unsigned(f"{what} {found.why}", found.for_want_of_keys)
    if of_tag and f"{_TAGS}{found.tag}" != source.update.ref:
        inside = fit(ascii(found.tag), _SHOWN)
        why = f"the signed tag inside is {inside}, pushed as {_short(source)}"
        return Unsigned(why)
    if not _counts(found, demand):
        who = fit(found.who, _SHOWN)
        return Unsigned(f"{what} is signed by {who}, who may not sign for {app.name}")
    return None


def signer(app: App, source: Source, chain: ChainName) -> str | None:
    """Return who signed what an update brings, and by which key; None: nobody."""
    if source.update.deletes or source.commit is None:
        return None
    found = app.signatures.of(_signed_object(source, chain, app.server.signed))
    return found.words if isinstance(found, Signed) else None


def check_signed(app: App, chain: ChainName, entry: Entry, *, promotes: bool) -> None:
    """Say nothing if a commit is signed that a verb is to put onto a chain.

    Args:
        app: The app.
        chain: The chain, which wants something signed.
        entry: Where the commit is live already.
        promotes: Whether that is on another chain.

    Raises:
        AccessDenied: It is not, or nobody could say so: a tag is signed, and what is
            staged has none.
    """
    tags = app.server.signed.of(chain) == "tags"
    if tags and promotes:
        raise AccessDenied(
            f"{chain} takes signed tags only, and what is staged has none",
            hint="git tag -s NAME && git push server NAME",
        )
    if entry.commit is None:
        return
    ref = entry.ref or NO_REF
    id_ = app.repository.refs(ref).get(ref) if tags else entry.commit
    source = read_source(app, ref, id_ or entry.commit)
    found = objection(app, source, chain)
    if found is None and source.commit != entry.commit:
        found = Unsigned(f"{_short(source)} is not what is live on {chain}")
    if found:
        raise AccessDenied(found.why)


def _signed_object(source: Source, chain: ChainName, demand: Demand) -> str:
    """Return the id of the tag or commit whose signature counts."""
    assert source.commit is not None
    return source.update.new if demand.of(chain) == "tags" else source.commit


def _counts(signed: Signed, demand: Demand) -> bool:
    return fits(demand.signers, signed.who, signed.key)


def _short(source: Source) -> str:
    return fit(printable(source.update.short), _SHOWN)
