"""Where submodules of what is live come from, and whether they still can be had."""

from collections.abc import Iterator

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.placed import NO_REF
from gitdeploy.errors import ConfigError, ReleaseFailed
from gitdeploy.model import CHAINS
from gitdeploy.submodules import protocol_of, urls

__all__ = ["findings"]


def findings(app: App) -> Iterator[Finding]:
    """Yield that a submodule comes by ssh, where no key is offered for it."""
    try:
        if app.server.submodules.ssh_key:
            return
    except ConfigError:  # `people` tells it
        return
    by_ssh = [url for url in _live_urls(app) if protocol_of(url) == "ssh"]
    if by_ssh:
        yield Finding(
            "submodule-without-key",
            f"{by_ssh[0]!r} is fetched by ssh, without the server's own key",
            "a push that needs another commit of it fails, if it takes that key",
            f"edit {app.layout.server_toml}: [submodules] ssh_key = true",
            severity="note",
        )


def _live_urls(app: App) -> list[str]:
    """Return where submodules of what is live come from, sorted, each once."""
    found: set[str] = set()
    for chain in CHAINS:
        head = app.ledger.chains.read(chain).head
        if head is None or head.commit is None:
            continue
        try:
            source = read_source(app, head.ref or NO_REF, head.commit)
        except ReleaseFailed:  # its deploy.toml is told elsewhere
            continue
        if source.tree and source.config.checkout.submodules:
            found.update(urls(app.repository.git, source.tree).values())
    return sorted(found)
