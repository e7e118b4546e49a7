"""What there is to see of an app, as the objects that `--json` shows; changes nothing.

Nothing here waits for the lock: what is shown was true a moment ago.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from msgspec.structs import asdict

from gitdeploy.deploy.app import App
from gitdeploy.deploy.flip import missing
from gitdeploy.errors import ConfigError
from gitdeploy.lock import holder, waiting
from gitdeploy.model import CHAINS, ChainName, Deployment, Entry, Release, Watch
from gitdeploy.system import flock

__all__ = [
    "Shape",
    "event_shape",
    "history",
    "live",
    "places",
    "releases",
    "status",
]

Shape: TypeAlias = dict[str, Any]
"""What `--json` prints; see DESIGN, section 9."""

_ALL: Final = -1
"""No limit, to SQLite."""


# --- status ---------------------------------------------------------------------


def status(app: App) -> Shape:
    """Return what is live, and what stands in the way of the next push."""
    from gitdeploy.deploy.maintenance import shape as maintenance
    from gitdeploy.deploy.recover import unheard

    freeze, running = app.ledger.freeze, holder(app.layout.lock)
    unfinished = app.ledger.deployments.unfinished()
    unseen = unheard(app)
    return {
        "app": app.name,
        "repository": str(app.layout.repository),
        "target": str(app.public.target),
        "chains": {chain: _positions(app, chain) for chain in CHAINS},
        "locked": asdict(freeze) if freeze else None,
        "maintenance": maintenance(app),
        "running": asdict(running) if running else None,
        "queue": [asdict(one) for one in waiting(app.layout.lock)],
        "pending": bool(unfinished or unseen),
        "unfinished": [event_shape(app, event) for event in unfinished],
        "missed": [asdict(update) for update in unseen],
        "missing": missing(app),
        "trouble": _trouble(app),
        "steps": _steps(app),
        "watched": [_watch(app, watch) for watch in app.ledger.watches.all()],
        "behind": [text for chain in CHAINS for text in _behind(app, chain)],
    }


def live(app: App, chain: ChainName) -> Shape | None:
    """Return the head of a chain; None where it has none."""
    head = app.ledger.chains.first(chain, 1)
    return _position(app, chain, 1, head[0]) if head else None


def _watch(app: App, watch: Watch) -> Shape:
    alive = flock.is_held(app.layout.watching(watch.chain))
    return {**asdict(watch), "alive": alive}


def _trouble(app: App) -> list[str]:
    """Return a sentence for each thing that keeps git from asking us."""
    from gitdeploy.deploy.doctor.repository import closed_gate, wiring_findings

    found = wiring_findings(app, gate=closed_gate(app))
    return [finding.what for finding in found]


def _steps(app: App) -> Shape:
    """Return what holds the commands of deploy.toml, and why it is no more."""
    from gitdeploy.deploy.bounding import bounds_shape
    from gitdeploy.deploy.confining import means_of

    try:
        means, why = means_of(app)
    except ConfigError as error:  # nothing is deployed until it is mended
        return {
            "confine": None,
            "confined_by": "refused",
            "why": error.message,
            "network": False,
            "bounds": {},
        }
    wanted = app.server.steps
    refused = wanted.confine == "require" and means != "bubblewrap"
    network = wanted.network if means == "bubblewrap" else True
    return {
        "confine": wanted.confine,
        "confined_by": "refused" if refused else means,
        "why": why,
        "network": network,
        "bounds": bounds_shape(app, boxed=means == "bubblewrap"),
    }


def _positions(app: App, chain: ChainName) -> list[Shape]:
    positions = app.public.positions
    entries = app.ledger.chains.first(chain, positions)
    shown = [*entries, *[None] * (positions - len(entries))]
    return [_position(app, chain, n, entry) for n, entry in enumerate(shown, start=1)]


def _position(app: App, chain: ChainName, position: int, entry: Entry | None) -> Shape:
    release = app.ledger.releases.get(entry.release) if entry else None
    return {
        "position": position,
        "link": app.public.name(chain, position),
        "release": release.name if release else None,
        "number": release.number if release else None,
        "commit": entry.commit if entry else None,
        "ref": entry.ref if entry else None,
        "path": str(app.directory(release)) if release else None,
        "since": entry.since if entry else None,
    }


def _behind(app: App, name: ChainName) -> Iterator[str]:
    """Yield a sentence for every ref that a roll back on the server left behind."""
    chain = app.ledger.chains.read(name)
    left = [entry for group in chain.undone for entry in group if entry.ref]
    back = app.ledger.deployments.latest_on(name) if left else None
    if back is None or back.verdict != "rolled back" or back.ref or not chain.head:
        return
    for ref, commit in _held(app, {entry.ref for entry in left if entry.ref}).items():
        live = commit == chain.head.commit
        if not live and any(e.ref == ref and e.commit == commit for e in left):
            yield f"{name} is behind {ref}: rolled back by {back.by} at {back.started}"


def _held(app: App, refs: set[str]) -> dict[str, str | None]:
    """Return the commits that refs hold now; refs that are gone are missing."""
    ids = app.repository.refs(*sorted(refs))
    pushed = app.repository.pushed(sorted(set(ids.values()))) if ids else {}
    return {ref: pushed[id_].commit for ref, id_ in ids.items()}


# --- releases -------------------------------------------------------------------


def releases(app: App) -> Shape:
    """Return every release there ever was, newest first; pruned ones too."""
    on = places(app)
    return {
        "app": app.name,
        "releases": [
            _release(app, release, on.get(release.number, []))
            for release in app.ledger.releases.newest(_ALL)
        ],
    }


def places(app: App) -> dict[int, list[str]]:
    """Return the positions that links show, by release: `prod-1`."""
    places: dict[int, list[str]] = {}
    for chain in CHAINS:
        entries = app.ledger.chains.first(chain, app.public.positions)
        for position, entry in enumerate(entries, start=1):
            places.setdefault(entry.release, []).append(f"{chain}-{position}")
    return places


def _release(app: App, release: Release, on: list[str]) -> Shape:
    log = app.layout.log(release.name)
    gone = release.state == "pruned"
    return {
        "number": release.number,
        "name": release.name,
        "commit": release.commit,
        "tree": release.tree,
        "state": release.state,
        "on": on,
        "created": release.created,
        "ready": release.ready,
        "pinned": release.pinned,
        "left_at": release.left_at,
        "left_why": release.left_why,
        "failed_why": release.failed_why,
        "bad_at": release.bad_at,
        "bad_why": release.bad_why,
        "files": release.files,
        "size_bytes": release.size_bytes,
        "path": None if gone else str(app.directory(release)),
        "log": str(log) if log.exists() else None,
    }


# --- history --------------------------------------------------------------------


def history(app: App, limit: int) -> Shape:
    """Return the latest events, newest first.

    Args:
        app: The app.
        limit: How many at most; 0 for all.
    """
    events = app.ledger.deployments.history(limit or _ALL)
    return {
        "app": app.name,
        "deployments": [event_shape(app, event) for event in events],
    }


def event_shape(app: App, event: Deployment) -> Shape:
    """Return one event."""
    was = event.from_release
    return {
        "id": event.id,
        "action": event.action,
        "chain": event.chain,
        "ref": event.ref,
        "old": event.old,
        "new": event.new,
        "release": event.release_name,
        "number": event.release,
        "from": app.ledger.releases.get(was).name if was else None,
        "from_number": was,
        "state": event.state,
        "verdict": event.verdict,
        "reason": event.reason,
        "by": event.by,
        "started": event.started,
        "seconds": event.seconds,
        "timings": json.loads(event.timings) if event.timings else [],
        "public_seconds": event.public_seconds,
        "key": event.key,
        "overrode": event.overrode,
        "signer": event.signer,
        "certificate": asdict(event.certificate) if event.certificate else None,
    }
