"""Everything of an app looked at: what is wrong, whom it hurts, what mends it.

Looking changes nothing and takes no lock. What is mended is mended as `setup`,
`repair` and `prune` would, with the lock held; the rest is left to a person.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor import (
    edited,
    ledger,
    links,
    machine,
    outward,
    people,
    releases,
    repository,
    rights,
    services,
    shared,
    sources,
    unfinished,
)
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.report import Report
from gitdeploy.errors import GitdeployError
from gitdeploy.lock import holder, lock_held
from gitdeploy.repository import GATE
from gitdeploy.system.disk import blamed

__all__ = ["Examined", "Finding", "examine", "heal"]

Look: TypeAlias = Callable[[App], Iterable[Finding]]


class Examined(Struct, frozen=True):
    """A finding, and what became of it."""

    finding: Finding
    fixed: bool = False

    @property
    def is_trouble(self) -> bool:
        """Whether it stands, and somebody has to do something."""
        return not self.fixed and self.finding.severity == "trouble"


def examine(app: App, *, held: bool = False) -> list[Finding]:
    """Return all that is not as it should be, in the order in which it is mended.

    What somebody is just doing to the app is not wrong: while another holds the
    lock, events are on their way, and so may be links and refs.

    Args:
        app: The app.
        held: Whether we hold its lock ourselves.
    """
    found = list(_guarded(app, rights.findings))
    if rights.unreadable(app.layout):
        return found
    unknown = list(_guarded(app, ledger.findings))
    gone = repository.lost(app)
    found += [*unknown, gone] if gone else unknown
    if not gone:
        found += _guarded(app, _of_repository if unknown else _of_known_repository)
    if not unknown:
        looks = _BY_LEDGER if gone else (*_BY_REPOSITORY, *_BY_LEDGER)
        found += _on_the_move(app, looks, held=held)
        found += _guarded(app, ledger.clock_findings)
    found += _guarded(app, machine.findings)
    found += _guarded(app, people.findings)
    return found


def heal(
    app: App, report: Report, *, wait_s: float, tell: Callable[[str], None]
) -> list[Examined]:
    """Mend what can be mended without guessing; return what was found, and the rest.

    Args:
        app: The app.
        report: Told how far a deployment is that was missed.
        wait_s: How long to wait for somebody else.
        tell: Called with a sentence when there is somebody to wait for, and for
            what could not be mended after all.

    Changes: rights first, without which there is no lock to hold; then whatever the
        findings say. Safe to repeat.

    Raises:
        LockHeld: Somebody else still works on the app after `wait_s`.
    """
    before = list(_guarded(app, rights.findings))
    _mend(app, report, before, tell)
    if rights.unreadable(app.layout):
        return _compared(before, examine(app))
    with lock_held(app.layout.lock, by=app.by, what="doctor", wait_s=wait_s, tell=tell):
        found = examine(app, held=True)
        _mend(app, report, found, tell)
        return _compared([*before, *found], examine(app, held=True))


def _of_repository(app: App) -> Iterator[Finding]:
    """Yield what is wrong with a repository whose ledger cannot be read."""
    gate = app.repository.setting(GATE[0]) is not None
    yield from repository.wiring_findings(app, gate=gate)
    yield from repository.findings(app, gate=gate)
    yield from repository.damage_findings(app, {})


def _of_known_repository(app: App) -> Iterator[Finding]:
    gate = repository.closed_gate(app)
    yield from repository.wiring_findings(app, gate=gate)
    yield from repository.findings(app, gate=gate)
    yield from repository.damage_findings(app, app.ledger.deployments.last_values())


def _on_the_move(app: App, looks: Sequence[Look], *, held: bool) -> list[Finding]:
    """Return what is wrong with what deployments change, and lasts.

    While somebody works on the app, that is what two looks agree on, and what was
    interrupted is not: perhaps it was not.
    """
    lasting = [look for look in looks if look not in _PASSING]
    while True:
        before = _moment(app)
        busy = not held and holder(app.layout.lock) is not None
        found = _look(app, lasting if busy else looks)
        if busy:
            seen = {(finding.name, finding.what) for finding in _look(app, lasting)}
            return [one for one in found if (one.name, one.what) in seen]
        if _moment(app) == before:
            return found


def _look(app: App, looks: Iterable[Look]) -> list[Finding]:
    return [finding for look in looks for finding in _guarded(app, look)]


def _moment(app: App) -> list[object]:
    """Return what changes whenever somebody works on the app."""
    return [(event.id, event.state) for event in app.ledger.deployments.history(1)]


def _guarded(app: App, look: Look) -> Iterator[Finding]:
    """Yield what a look finds; that it could not be had is a finding too."""
    try:
        yield from look(app)
    except GitdeployError as error:
        yield _unseen(error.message, error.hint)
    except OSError as error:
        yield _unseen(blamed(error), "")


def _unseen(what: str, hint: str) -> Finding:
    means = "nobody knows: this part could not be looked at"
    return Finding("cannot-look", what, means, hint)


def _mend(
    app: App,
    report: Report,
    found: Iterable[Finding],
    tell: Callable[[str], None],
) -> None:
    """Mend each that can be; one that cannot after all hinders no other."""
    for fix, finding in {one.fix: one for one in found if one.fix}.items():
        try:
            fix(app, report)
        except (GitdeployError, OSError) as error:
            tell(f"not mended: {finding.what}: {blamed(error)}")


def _compared(before: list[Finding], after: list[Finding]) -> list[Examined]:
    left = {(finding.name, finding.what) for finding in after}
    found = {(one.name, one.what): one for one in before if one.fix}
    fixed = [Examined(one, fixed=True) for key, one in found.items() if key not in left]
    return [*fixed, *(Examined(_tried(one, found)) for one in after)]


def _tried(one: Finding, found: Container[tuple[str, str]]) -> Finding:
    """Return what is left, without a way out that was just gone in vain."""
    return replace(one, fix=None) if (one.name, one.what) in found else one


_BY_REPOSITORY: Final[tuple[Look, ...]] = (
    unfinished.findings,
    shared.findings,
    sources.findings,
    edited.findings,
    services.findings,
    outward.findings,
    links.published_findings,
)
"""What needs the repository."""
_BY_LEDGER: Final[tuple[Look, ...]] = (
    releases.findings,
    releases.pruned_findings,
    links.findings,
)
"""What does not."""
_PASSING: Final = (unfinished.findings, releases.pruned_findings)
