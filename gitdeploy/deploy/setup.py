"""An app made, or made whole again: repository, hooks, directories, ledger, links."""

import os
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy import modes
from gitdeploy.deploy import permissions
from gitdeploy.deploy.app import DEFAULT_LINKS, App, default_target, set_up_apps
from gitdeploy.deploy.inherited import beginning
from gitdeploy.deploy.moved_shared import move_shared
from gitdeploy.deploy.receiving import GATE_FROM, git_version, set_gate, wire
from gitdeploy.deploy.recover import locked
from gitdeploy.deploy.relocate import relocate
from gitdeploy.errors import SystemFailed, UsageError
from gitdeploy.layout import Layout, Public, check_app_name, colliding_app
from gitdeploy.ledger import Ledger
from gitdeploy.model import CHAINS
from gitdeploy.system import disk, files
from gitdeploy.system.git import make_repository
from gitdeploy.system.owner import check_ours
from gitdeploy.system.surroundings import Surroundings

__all__ = ["SetUp", "set_up"]

_MOST_LINKS: Final = 100


class SetUp(Struct, frozen=True):
    """What `set_up` came to."""

    app: App
    changes: tuple[str, ...]
    """Sentences about what was made or repaired; empty where all was right."""
    gate: bool
    """Whether a failed deployment rejects the push."""
    told: tuple[str, ...] = ()
    """What its owner should know of who has rights to a new app."""

    @property
    def kept(self) -> list[str]:
        """What was there and is not used any more, as sentences."""
        return [change for change in self.changes if change.startswith("kept ")]


def set_up(  # noqa: PLR0913 - the options of the verb
    root: Path,
    name: str,
    surroundings: Surroundings,
    by: str,
    *,
    target: Path | None,
    links: int | None,
    gate: bool | None,
) -> SetUp:
    """Make an app, or make whole what is missing of it; what is right is not touched.

    Args:
        root: Absolute.
        name: The app's.
        surroundings: What the door took from the environment.
        by: Who acts.
        target: The directory of the links; None: as it was, else `root/www`.
        links: Positions a chain; None: as it was, else 3.
        gate: Whether to reject pushes that fail; None: as it was, else where git
            can.

    Changes: directories, repository, ledger, hooks, links, in this order. Safe to
        repeat.

    Raises:
        UsageError: The name, the number or the target cannot be.
        StateError: The app was set up before, and its ledger is lost or damaged.
        AccessDenied: The root or the app is another user's of the machine.
        SystemFailed: A directory is not writable, or git is missing or too old.
    """
    check_app_name(name)
    if links is not None and not 1 <= links <= _MOST_LINKS:
        raise UsageError(f"--links: should be 1 to {_MOST_LINKS}, got {links}")
    layout = Layout(root, name)
    check_ours(root, layout.home)
    work = _Work(layout)
    place = Public(target or default_target(root), name, links or DEFAULT_LINKS)
    _check_place(layout, place)
    work.directories()
    app = App(layout, surroundings, by)
    work.ledger()
    with locked(app, "setup", wait_s=60, tell=lambda _: None):
        work.repository(app)
        can = git_version(surroundings) >= GATE_FROM
        with_gate = work.gate(app, wanted=gate, possible=can)
        work.links(app, target, links)
        work.changes += move_shared(app)
        work.changes += permissions.mend(layout, app.public.target)
        files.sync_filesystems([root, app.public.target])
    return SetUp(app, tuple(work.changes), with_gate, tuple(work.told))


class _Work:
    """The parts of an app, each made or repaired; remembers what it did."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.changes: list[str] = []
        self.told: list[str] = []

    def directories(self) -> None:
        layout = self._layout
        with _writable(layout.root):
            files.make_directory(layout.root, modes.ROOT.made)
        for path in _directories(layout):
            mode = modes.in_home(path.name * (path != layout.home), is_directory=True)
            with _writable(path):
                if files.make_directory(path, mode.made):
                    self.changes.append(f"made {path}")

    def ledger(self) -> None:
        missing = not self._layout.ledger.exists()
        with _writable(self._layout.ledger):
            ledger = Ledger(self._layout.ledger, create=True)
            if missing:
                made, self.told = beginning(self._layout.root, self._layout.app)
                ledger.set_setting("made", made)
            ledger.close()
        if missing:
            self.changes.append(f"made {self._layout.ledger}")

    def repository(self, app: App) -> None:
        path, repository = self._layout.repository, app.repository
        if not (path / "HEAD").exists():
            with _writable(path):
                make_repository(repository.git)
            self.changes.append(f"made {path}")
        if repository.git("rev-parse", "--show-object-format") != b"sha1\n":
            raise UsageError(f"{path} names objects by SHA-256; that is not supported")
        self.changes += wire(app)

    def gate(self, app: App, *, wanted: bool | None, possible: bool) -> bool:
        """Open or close the gate; return whether it is there."""
        remembered = app.ledger.setting("gate") != "no"
        gate = possible and (remembered if wanted is None else wanted)
        app.ledger.set_setting("gate", "yes" if gate else "no")
        self.changes += set_gate(app.repository, closed=gate)
        return gate

    def links(self, app: App, target: Path | None, links: int | None) -> None:
        """Make the links of every position; remove those no longer wanted."""
        before = app.public if app.ledger.setting("target") else None
        now = app.public
        after = Public(
            Path(os.path.realpath(target or now.target)),
            now.app,
            links or now.positions,
        )
        _refuse_strangers(before, after)
        with _writable(after.target):
            if files.make_directory(after.target, modes.TARGET.made):
                self.changes.append(f"made {after.target}")
            made, gone = relocate(app, after.target, after.positions)
        self.changes += [f"linked {after.target / name}" for name in made]
        self.changes += [f"removed {path}" for path in gone]


def _directories(layout: Layout) -> tuple[Path, ...]:
    inner = (layout.releases, layout.shared, layout.logs, layout.empty)
    return (layout.home, *inner)


def _check_place(layout: Layout, public: Public) -> None:
    """Refuse names and places that would be another's, before anything is made."""
    target = public.target
    others = set_up_apps(layout.root)
    if other := colliding_app(layout.app, others):
        raise UsageError(
            f"app name {layout.app!r} collides with the links of app {other!r}",
            hint="choose another name",
        )
    if target in (layout.home, layout.repository) or layout.home in target.parents:
        raise UsageError(f"{target} cannot be the target: it is the app's own")
    if (layout.repository / ".git").exists():
        raise UsageError(f"{layout.repository} is not a bare repository")
    if layout.releases.is_dir() and os.listdir(layout.releases):
        Ledger(layout.ledger).close()  # never one that begins anew beside releases
    if layout.app in others:
        return
    if layout.home == default_target(layout.root):
        raise UsageError(f"{layout.app} is where links go; choose another name")
    _refuse_strangers(None, public)


def _refuse_strangers(before: Public | None, after: Public) -> None:
    """Refuse to replace what has a link's name and was not made by us."""
    ours = {before.target / name for name in _all_names(before)} if before else set()
    for path in (after.target / name for name in _all_names(after)):
        if os.path.lexists(path) and path not in ours:
            raise UsageError(
                f"{path} exists and is not this app's link",
                hint="choose another app name or --target, or move it away",
            )


def _all_names(public: Public) -> list[str]:
    return [name for chain in CHAINS for name in public.names(chain)] + [*public.heads]


class _writable:  # noqa: N801 - reads as a statement
    """Say which place is not writable, and what would make it so."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError):
            raise SystemFailed(
                disk.blamed(error) if error.filename else f"{self._path}: {error}",
                hint=f"the user {os.geteuid()} must be able to write to it",
            ) from error
