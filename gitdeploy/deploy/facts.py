"""What is known about an update: from git once, from the ledger under the lock."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.config import (
    DEFAULTS,
    UNBOUNDED,
    Config,
    RefBounds,
    parse,
    unsupported,
)
from gitdeploy.decide import Content, Facts, RefKind, Refuse, chain_of, classify
from gitdeploy.deploy.app import App
from gitdeploy.deploy.content import content_of
from gitdeploy.deploy.ready import ready_for
from gitdeploy.errors import ConfigError
from gitdeploy.model import ChainName, RefUpdate
from gitdeploy.repository import DEPLOY_TOML, Pushed, Repository, subject_of
from gitdeploy.system import clock

if TYPE_CHECKING:  # nothing of it is imported unless a chain wants signatures
    from gitdeploy.signatures import Unsigned

__all__ = ["Source", "closed", "content_id", "gather", "read_source", "read_sources"]

_MOST_TOML_BYTES: Final = 64 * 1024
_MOST_COMMIT_BYTES: Final = 64 * 1024
"""Of a larger one the subject is not told."""


class Source(Struct, frozen=True):
    """What git says about one update; holds for ever, whatever is live."""

    update: RefUpdate
    object_type: str | None
    """Type of the new object; None for a deletion."""
    commit: str | None
    tree: str | None
    config: Config
    """deploy.toml at that commit; at the old one for a deletion."""
    trouble: Refuse | None = None
    """Why the commit cannot be deployed, found while reading it."""
    subject: str = ""
    """Of the commit's message, as it stands; not fit for a terminal yet."""
    bounds: RefBounds = UNBOUNDED
    """How far the server lets deploy.toml say what the ref is."""

    @property
    def kind(self) -> RefKind:
        """What deploy.toml makes of the ref, as far as the server lets it."""
        return classify(self.update.ref, self.config.refs, self.bounds)

    @property
    def chain(self) -> ChainName | None:
        """The chain the ref deploys to."""
        return chain_of(self.kind)


def read_sources(app: App, updates: Sequence[RefUpdate]) -> list[Source]:
    """Return what git says about each update, in the same order; two gits for all."""
    ids = {_looked_at(update) for update in updates}
    pushed = app.repository.pushed(sorted(ids))
    contents = app.repository.contents(sorted(_to_read(pushed.values())))
    sources = (
        _source(app.repository, update, pushed[_looked_at(update)], contents)
        for update in updates
    )
    return [_bounded(app, source) for source in sources]


def _bounded(app: App, source: Source) -> Source:
    """Return a source whose deploy.toml says no more than the server lets it."""
    config = source.config.kept_apart(app.server.shared.scope)
    return replace(source, config=config, bounds=app.server.refs)


def read_source(app: App, ref: str, commit: str) -> Source:
    """Return what git says about a commit that is deployed without a push."""
    (source,) = read_sources(app, [RefUpdate(ref, "0" * 40, commit)])
    return source


def gather(app: App, source: Source, *, rebuild: bool = False) -> Facts:
    """Return all that the rule book may know; true as long as the lock is held."""
    update, bounds = source.update, app.server.refs
    followed = not update.deletes or _still_followed(app, source)
    facts = Facts(
        update=update,
        kind=classify(update.ref, source.config.refs, bounds),
        object_type=source.object_type,
        commit=source.commit,
        content=None,
        refs=source.config.refs,
        bounds=bounds,
        last=app.ledger.deployments.last_chain(update.ref),
        rebuild=rebuild,
        freeze=app.ledger.freeze,
        rights=app.rights,
        still_followed=followed,
    )
    return _on_chain(app, source, facts.held_by, facts) if facts.held_by else facts


def _on_chain(app: App, source: Source, name: ChainName, facts: Facts) -> Facts:
    """Return facts with what is known of the chain that holds an update."""
    chain = app.ledger.chains.read(name)
    content = position = None
    if source.tree and chain_of(facts.kind):
        there = ready_for(app, content_id(source, name), source.config, name)
        ready = {release.number for release in there}
        position = chain.position_of(ready)
        content = _content(position, ready=bool(ready))
    unsigned = _unsigned(app, source, name)
    return replace(
        facts,
        signed=app.server.signed.of(name),
        unsigned=unsigned.why if unsigned else "",
        signing_helps=unsigned is None or not unsigned.for_want_of_keys,
        closed=closed(app, name),
        content=content,
        position=position,
        live_by_this_ref=chain.head is not None and chain.head.ref == source.update.ref,
        behind=max(len(chain.entries) - 1, 0),
    )


def _unsigned(app: App, source: Source, chain: ChainName) -> "Unsigned | None":
    """Return why the signature that a chain wants does not hold; None: it does."""
    if app.server.signed.of(chain) == "no" or source.commit is None:
        return None
    from gitdeploy.deploy.signing import objection

    return objection(app, source, chain)


def closed(app: App, chain: ChainName) -> str:
    """Return why nothing may move a chain at this time; empty: something may."""
    windows = app.server.windows.of(chain)
    if not windows:
        return ""
    from datetime import UTC, datetime

    from gitdeploy.config.windows import opening

    opens = opening(windows, datetime.fromisoformat(clock.now()).astimezone(UTC))
    if opens is None:
        return ""
    return f"{chain} is closed until {opens:%Y-%m-%dT%H:%MZ} (server.toml, [windows])"


def content_id(source: Source, chain: ChainName) -> str:
    """Return what identifies the release that this source becomes on `chain`.

    Two commits with the same one become interchangeable directories: same tree, same
    shared state linked in, same recipe.
    """
    return content_of(source.tree, source.config.shared, chain)


def _still_followed(app: App, source: Source) -> bool:
    """Return whether deploy.toml of what is staged still has the ref stage."""
    head = app.ledger.chains.read("dev").head
    if head is None or head.commit is None:
        return True
    staged = read_source(app, source.update.ref, head.commit)
    return staged.kind is RefKind.STAGE


def _looked_at(update: RefUpdate) -> str:
    return update.old if update.deletes else update.new


def _to_read(pushed: Iterable[Pushed]) -> set[str]:
    """Return the objects to be read whole: none that could fill the memory."""
    found = set()
    for one in pushed:
        if one.commit and one.commit_bytes <= _MOST_COMMIT_BYTES:
            found.add(one.commit)
        if one.toml and one.toml_type == "blob" and one.toml_bytes <= _MOST_TOML_BYTES:
            found.add(one.toml)
    return found


def _source(
    repository: Repository,
    update: RefUpdate,
    pushed: Pushed,
    contents: Mapping[str, bytes],
) -> Source:
    config, trouble = _read_config(repository, pushed, contents)
    if update.deletes:
        return Source(update, None, None, None, config)
    subject = subject_of(contents.get(pushed.commit or "", b""))
    return Source(
        update, pushed.type, pushed.commit, pushed.tree, config, trouble, subject
    )


def _read_config(
    repository: Repository, pushed: Pushed, contents: Mapping[str, bytes]
) -> tuple[Config, Refuse | None]:
    """Return deploy.toml as the commit has it; the defaults beside a complaint."""
    if pushed.toml is None:
        return DEFAULTS, None
    where = f"{DEPLOY_TOML} at {(pushed.commit or '')[:10]}"
    if pushed.toml_type != "blob":
        return DEFAULTS, Refuse(f"{where}: should be a file")
    if pushed.toml_bytes > _MOST_TOML_BYTES:
        return DEFAULTS, Refuse(f"{where}: should be at most 64 KiB")
    try:
        config = parse(contents[pushed.toml], where=where)
    except ConfigError as error:
        is_link = pushed.tree and repository.is_link_at(pushed.tree, DEPLOY_TOML)
        link = Refuse(f"{where}: should be a file, got a link")
        return DEFAULTS, link if is_link else Refuse(error.message, error.hint)
    later = unsupported(config)
    if later:
        return config, Refuse(f"{where}: {later[0]}: not supported yet")
    return config, None


def _content(position: int | None, *, ready: bool) -> Content:
    if position is not None:
        return Content.HEAD if position == 1 else Content.DEEPER
    return Content.READY if ready else Content.NEW
