"""Live releases with links that lead out: made before that was refused, or changed."""

from collections.abc import Iterator

from gitdeploy.config.declared import declares_commands
from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding, seen_by
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.release_links import links_out
from gitdeploy.model import CHAINS, ChainName, Entry

__all__ = ["findings"]

_NO_REF = "refs/heads/main"


def findings(app: App) -> Iterator[Finding]:
    """Yield the first such link of each head of a chain."""
    told: set[int] = set()
    for chain in reversed(CHAINS):  # prod first: it matters most
        head = app.ledger.chains.read(chain).head
        if head is not None and head.release not in told:
            told.add(head.release)
            yield from _of(app, chain, head)


def _of(app: App, chain: ChainName, head: Entry) -> Iterator[Finding]:
    release = app.ledger.releases.get(head.release)
    directory = app.directory(release)
    if release.path or release.commit is None or not directory.is_dir():
        return
    config = read_source(app, _NO_REF, release.commit).config
    if not declares_commands(config):  # then it was looked through as a commit
        return
    if one := next(links_out(app, directory, config, chain), None):
        held, path = ascii(one.target)[2:-1], ascii(one.path)[2:-1]
        yield Finding(
            "link-leads-out",
            f"{directory}: the link {path} leads out of the release: {held}",
            f"{seen_by(app, app.public.name(chain, 1))} may get what lies there",
            f"gitdeploy rollback {app.name} {chain}",
        )
