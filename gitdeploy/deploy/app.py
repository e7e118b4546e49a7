"""One app with its rooms wired together: repository, ledger, links."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from msgspec.structs import replace

from gitdeploy.access import EVERYTHING, Rights, rights_of
from gitdeploy.errors import UsageError
from gitdeploy.ground import Ground
from gitdeploy.layout import (
    Layout,
    Public,
    access_toml,
    allowed_signers,
    check_app_name,
    keyring,
)
from gitdeploy.ledger import Ledger
from gitdeploy.model import CHAINS, ChainName, Release
from gitdeploy.system.owner import check_ours
from gitdeploy.system.surroundings import Surroundings

if TYPE_CHECKING:  # what a hook does not need, it does not import
    from gitdeploy.config import ServerConfig
    from gitdeploy.config.access import Access
    from gitdeploy.lock import Turn
    from gitdeploy.repository import Repository
    from gitdeploy.signatures import Signatures
    from gitdeploy.system.ground import Kind

__all__ = [
    "DEFAULT_LINKS",
    "SERVICES_INSTALLED",
    "SERVICES_KEPT",
    "SHARED_MOVED",
    "App",
    "damaged_apps",
    "default_target",
    "granted",
    "set_up_apps",
]

DEFAULT_LINKS: Final = 3
SHARED_MOVED: Final = "shared_moved"
"""The setting that says that no chain's shared directory lies in the app's any more."""
SERVICES_INSTALLED: Final = "services"
"""The setting that says that somebody installed them: new ones are, by the flip."""
SERVICES_KEPT: Final = "services kept"
"""The setting that says which services were started; see `kept`."""


class App:
    """An app that was set up.

    Attributes:
        layout: Where everything lies.
        surroundings: What the door took from the environment.
        by: Who acts, for the ledger and the lock.
        key: Fingerprint of the ssh key they came with; None: the server's own user.
        turn: The app's lock, while we hold it.
        taken_back: The chains whose head recovery has taken back, a moment ago.
        leaves_trials: Whether recovery left something to be tried out by others.
        quarantine: By which gits of ours find what git has not taken yet.
    """

    def __init__(
        self,
        layout: Layout,
        surroundings: Surroundings,
        by: str,
        key: str | None = None,
    ) -> None:
        self.layout = layout
        self.surroundings = surroundings
        self.by = by
        self.key = key
        self.turn: Turn | None = None
        self.taken_back: set[ChainName] = set()
        self.leaves_trials = False
        self.quarantine: Mapping[str, str] = {}
        self._server_as_of: tuple[int, ...] | None = None

    @classmethod
    def open(
        cls,
        root: Path,
        name: str,
        surroundings: Surroundings,
        by: str,
        key: str | None = None,
    ) -> Self:
        """Return the app of that name below `root`.

        Raises:
            UsageError: There is none, or the name cannot be one.
            AccessDenied: It is another user's of the machine.
        """
        check_app_name(name)
        layout = Layout(root, name)
        check_ours(root, layout.home)
        if not layout.home.is_dir():
            known = ", ".join(set_up_apps(root)) or "none"
            raise UsageError(
                f"{root} has no app {name}; it has: {known}",
                hint=f"gitdeploy setup {name}",
            )
        return cls(layout, surroundings, by, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if "ledger" in self.__dict__:
            self.ledger.close()

    @property
    def name(self) -> str:
        """The app's name."""
        return self.layout.app

    @cached_property
    def ledger(self) -> Ledger:
        """The app's ledger, opened when it is first needed."""
        return Ledger(self.layout.ledger)

    @cached_property
    def repository(self) -> "Repository":
        """The bare repository that people push to."""
        from gitdeploy.repository import Repository
        from gitdeploy.system.git import Git

        git = Git(
            self.layout.repository,
            self.surroundings,
            keeps=self._lock,
            quarantine=self.quarantine,
        )
        return Repository(git)

    def _lock(self) -> tuple[int, ...]:
        """Return the lock's descriptor while we hold it.

        git has it too: when we are killed, nobody is let in before the git that we
        started has ended.
        """
        return (self.turn.fd,) if self.turn else ()

    @cached_property
    def public(self) -> Public:
        """The app's links."""
        target = self.ledger.setting("target")
        links = int(self.ledger.setting("links") or DEFAULT_LINKS)
        root = self.layout.root
        where = root / target if target else default_target(root)
        return Public(Path(os.path.realpath(where)), self.name, links)

    @property
    def may_keep_services(self) -> bool:
        """Whether a service was ever started; cheap."""
        setting = self.ledger.setting
        return bool(setting(SERVICES_INSTALLED) or setting(SERVICES_KEPT))

    @cached_property
    def server(self) -> "ServerConfig":
        """What the server's own file says about the app."""
        from gitdeploy.config import parse_server

        path = self.layout.server_toml
        self._server_as_of = _as_of(path)
        data = path.read_bytes() if path.exists() else b""
        return parse_server(data, where=str(path))

    def look_again(self) -> None:
        """Forget what may have changed by now of what the server's files say.

        Whoever is about to change a chain, a ref or a file does this first, with the
        lock held: rights that were asked for before a wait mean nothing after it.
        """
        self.__dict__.pop("rights", None)
        if _as_of(self.layout.server_toml) != self._server_as_of:
            self.__dict__.pop("server", None)

    @cached_property
    def rights(self) -> Rights:
        """What whoever acts may do with the app, if their key still lets them in.

        Raises:
            ConfigError: access.toml or server.toml is broken: nobody is let in.
        """
        if self.key is None:
            return EVERYTHING
        from gitdeploy.deploy.keys import turned_away

        return replace(self.rights_of(self.by), turned_away=turned_away(self))

    def rights_of(self, person: str) -> Rights:
        """Return what was granted to a person.

        Raises:
            ConfigError: access.toml or server.toml is broken: nobody is let in.
        """
        own = self.server.access
        files = [("access.toml", granted(self.layout.root)), ("server.toml", own)]
        return rights_of(person, self.name, files, self.ledger.setting("made") or "")

    @cached_property
    def signatures(self) -> "Signatures":
        """Who signed what is in the repository."""
        from gitdeploy.signatures import Signatures

        root, git = self.layout.root, self.repository.git
        keys = allowed_signers(root), keyring(root)
        return Signatures(git, self.surroundings, *keys)

    def directory(self, release: Release) -> Path:
        """Return a release's directory."""
        return self.layout.release(release)

    def shared_of(self, scope: str, chain: ChainName) -> Ground:
        """Return the shared directory for a release of a chain; see `Layout`.

        What was shared by a chain before `setup` moved it is still where it was.
        """
        place = self.layout.shared_of(scope, chain)
        if scope != "chain" or not self.shared_is_unmoved:
            return place
        before = Ground(self.layout.shared, chain)
        return before if _kind_of(before) == "directory" else place

    @property
    def shared_is_unmoved(self) -> bool:
        """Whether what is a chain's own may still lie in what the app shares.

        Not by the name alone: there are releases whose deploy.toml wants it so.
        """
        if self.ledger.setting(SHARED_MOVED):
            return False
        from gitdeploy.deploy.content import chain_in

        there = (_kind_of(Ground(self.layout.shared, chain)) for chain in CHAINS)
        if all(kind == "missing" for kind in there):
            return False
        releases = self.ledger.releases.made_here()
        return any(chain_in(release.content) for release in releases)

    def ready_with(self, content: str) -> list[Release]:
        """Return the releases with that content that can be shown, newest first."""
        return [
            release
            for release in self.ledger.releases.ready_with(content)
            if self.directory(release).is_dir()
        ]


def _kind_of(place: Ground) -> "Kind":
    from gitdeploy.system import ground

    try:
        return ground.kind_of(place)
    except OSError:
        return "other"


def _as_of(path: Path) -> tuple[int, ...] | None:
    """Return what is another one whenever a file is; None: there is none."""
    try:
        now = path.stat()
    except OSError:
        return None
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def default_target(root: Path) -> Path:
    """Return where links go unless somebody says otherwise."""
    return root / "www"


def granted(root: Path) -> "Access":
    """Return what access.toml grants; nothing to anybody where there is none.

    Raises:
        ConfigError: The file is broken.
    """
    from gitdeploy.config.access import parse_access

    path = access_toml(root)
    data = path.read_bytes() if path.exists() else b""
    return parse_access(data, where=str(path))


def set_up_apps(root: Path) -> list[str]:
    """Return the names of the apps below `root`, sorted."""
    return sorted(path.parent.name for path in root.glob("*/ledger.db"))


def damaged_apps(root: Path) -> list[str]:
    """Return the names below `root` that were apps and have lost their ledger."""
    homes = (path.parent for path in root.glob("*/releases"))
    return sorted(home.name for home in homes if not (home / "ledger.db").exists())
