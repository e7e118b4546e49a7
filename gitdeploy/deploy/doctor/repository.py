"""The bare repository: hooks and settings, locks and leftovers, damaged objects."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import NOBODY, Finding, Fix
from gitdeploy.deploy.hook_files import wrong
from gitdeploy.deploy.receiving import HARMLESS, HOOKS, set_gate, settings, wire
from gitdeploy.deploy.report import Report
from gitdeploy.model import RefUpdate
from gitdeploy.repository import GATE, GitLock, differing
from gitdeploy.repository.upkeep import Damage
from gitdeploy.system import files

__all__ = ["closed_gate", "damage_findings", "findings", "lost", "wiring_findings"]

_NO_ID: Final = "0" * 40
_NAMED: Final = 5


def lost(app: App) -> Finding | None:
    """Return that there is no repository, where there is none."""
    path = app.layout.repository
    if all((path / name).exists() for name in ("HEAD", "config", "objects", "refs")):
        return None
    return Finding(
        "repository-missing",
        f"{path} is no repository any more",
        "nobody who visits; every push and every clone fails",
        f"gitdeploy setup {app.name}",
    )


def closed_gate(app: App) -> bool:
    """Return whether the ledger says that failed deployments are rejected."""
    return app.ledger.setting("gate") != "no"


def wiring_findings(app: App, *, gate: bool) -> Iterator[Finding]:
    """Yield what keeps git from asking us; one git, for `status` too."""
    for hook in HOOKS:
        place = app.layout.repository / "hooks" / hook
        if said := wrong(hook, place):
            means = _without(hook, gate=gate)
            yield Finding("hook-broken", f"{place} {said}", means, fix=_wire)
    have = app.repository.settings()
    if changed := differing(have, settings(app, have)):
        means = "nobody yet: git does not treat a push as it should"
        if "core.hooksPath" in changed:
            means = _without("proc-receive", gate=gate)
        yield Finding(
            "settings-changed",
            f"{app.layout.repository}/config: changed: {', '.join(changed)}",
            means,
            fix=_wire,
        )
    key, value = GATE
    if have.get(key.lower()) != (value if gate else None):
        yield _gate_moved(app, gate=gate)


def findings(app: App, *, gate: bool) -> Iterator[Finding]:
    """Yield the locks and leftovers of gits that were killed."""
    for lock in app.repository.locks():
        if lock.stale or lock.holder is None:
            yield _lock(lock, gate=gate)
    for left in app.repository.debris():
        yield Finding(
            "git-leftover",
            f"{left.path} was left by a git that was killed",
            NOBODY,
            fix=lambda app, _: app.repository.remove_debris(),
        )


def damage_findings(app: App, last: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is missing or damaged in the repository; reads all of it.

    Args:
        app: The app.
        last: Where the ledger saw each ref last.
    """
    damage = app.repository.damage(HARMLESS)
    if damage is None:
        return
    for ref in damage.refs:
        yield _broken_ref(app, ref, last.get(ref, _NO_ID))
    if damage.objects or damage.places:
        yield _lost_objects(app, damage)
    elif not damage.refs:
        yield _unclear(app, damage.said[0])


def _without(hook: str, *, gate: bool) -> str:
    """Return what happens without a hook."""
    if hook == "pre-receive":
        return "who has no right to push: it is kept, though never deployed"
    if hook == "proc-receive":
        return "everybody: every push is refused" if gate else "nobody: it is not used"
    if gate:
        return "nobody yet: nothing is tidied up after a push"
    return "everybody: pushes are accepted, and nothing is deployed"


def _gate_moved(app: App, *, gate: bool) -> Finding:
    key, _ = GATE
    said = "is not what setup made it" if gate else "is set, and setup left it out"
    means = "a push whose deployment fails is not rejected, only put back"
    return Finding(
        "gate-open" if gate else "gate-closed",
        f"{app.layout.repository}/config: {key} {said}",
        means if gate else "whoever relies on pushes being put back, not rejected",
        fix=lambda app, _: set_gate(app.repository, closed=closed_gate(app)),
    )


def _wire(app: App, _report: Report) -> None:
    wire(app)


def _lock(lock: GitLock, *, gate: bool) -> Finding:
    since = f"{datetime.fromtimestamp(lock.made_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    means = "whoever pushes: what it locks cannot change"
    if not lock.stale:
        what = f"{lock.path} is there since {since}, and its git is hidden from us"
        return Finding("foreign-lock", what, means, f"rm {lock.path}")
    if gate:
        means = "nobody: a push that it is in the way of removes it"
    what = f"{lock.path} was left at {since} by a git that is gone"
    return Finding("stale-lock", what, means, fix=_remove_locks)


def _remove_locks(app: App, _report: Report) -> None:
    app.repository.remove_stale_locks()


def _broken_ref(app: App, ref: str, last: str) -> Finding:
    known = last != _NO_ID and app.repository.pushed([last])[last].type != "missing"
    fix: Fix | None = partial(_restore, ref=ref, id_=last) if known else None
    return Finding(
        "broken-ref",
        f"{app.layout.repository / ref} holds no object id",
        f"nobody who visits; {ref} can be neither pushed nor cloned",
        "" if known else f"rm {app.layout.repository / ref}",
        fix=fix,
    )


def _restore(app: App, _report: Report, *, ref: str, id_: str) -> None:
    """Give a ref that holds rubbish the value back that the ledger saw last."""
    files.remove_file(app.layout.repository / ref)
    app.repository.move([RefUpdate(ref, _NO_ID, id_)], why="restored")


def _lost_objects(app: App, damage: Damage) -> Finding:
    path = app.layout.repository
    fetch = f"git --git-dir={path} fetch --refetch CLONE HEAD"
    if damage.places:
        rubbish = " ".join(_pattern(f"{path}/{place}") for place in damage.places)
        fetch = f"mkdir -p {path}/damaged && mv {rubbish} {path}/damaged && {fetch}"
    named = ", ".join(damage.objects[:_NAMED]) or ", ".join(damage.places)
    more = len(damage.objects) - _NAMED
    return Finding(
        "objects-lost",
        f"{path} lacks objects, or cannot read them: {named}"
        f"{f' and {more} more' if more > 0 else ''}",
        "nobody who visits; pushes, redeployments and clones that need them fail."
        " CLONE is the path or URL of a clone that has them",
        fetch,
    )


def _pattern(place: str) -> str:
    return f"{place}*" if "/pack-" in place else place


def _unclear(app: App, said: str) -> Finding:
    path = app.layout.repository
    return Finding(
        "repository-damaged",
        f"{path}: {said}",
        "nobody who visits; pushes may fail",
        f"git --git-dir={path} fsck --full --no-dangling",
    )
