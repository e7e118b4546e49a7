"""Where everything of an app lies, and what its links are called; only computed."""

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from gitdeploy.errors import UsageError
from gitdeploy.ground import Ground
from gitdeploy.model import CHAINS, ChainName, Release

__all__ = [
    "Layout",
    "Public",
    "access_toml",
    "allowed_signers",
    "check_app_name",
    "colliding_app",
    "keyring",
]

_APP_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_MAX_NAME_BYTES: Final = 100


class Layout(Struct, frozen=True):
    """The places of one app below the root."""

    root: Path
    """Absolute."""
    app: str

    @property
    def repository(self) -> Path:
        """The bare repository that people push to."""
        return self.root / f"{self.app}.git"

    @property
    def home(self) -> Path:
        """The directory that holds everything below."""
        return self.root / self.app

    @property
    def releases(self) -> Path:
        """One directory a release."""
        return self.home / "releases"

    @property
    def shared(self) -> Path:
        """What outlives releases; what is in it is reached by `shared_of`."""
        return self.home / "shared"

    @property
    def logs(self) -> Path:
        """One file a release, everything its steps printed."""
        return self.home / "logs"

    @property
    def outputs(self) -> Path:
        """One file a release: what its steps made, as it lay on the disk then."""
        return self.home / "outputs"

    @property
    def modules(self) -> Path:
        """Mirrors of the submodules' repositories."""
        return self.home / "modules"

    @property
    def run(self) -> Path:
        """What services run by: their sockets, scripts, units and output."""
        return self.home / "run"

    @property
    def cache(self) -> Path:
        """HOME of confined commands: what package managers keep for the next time."""
        return self.home / "cache"

    @property
    def tmp(self) -> Path:
        """One directory for each confined command that runs: its /tmp."""
        return self.home / "tmp"

    @property
    def empty(self) -> Path:
        """What a position without a release resolves to."""
        return self.home / "empty"

    @property
    def manifests(self) -> Path:
        """One record for each release: which files its commit brought into it."""
        return self.home / "manifests"

    @property
    def maintenance(self) -> Path:
        """One directory for each page that visitors see instead of prod."""
        return self.home / "maintenance"

    @property
    def scratch(self) -> Path:
        """What `verify` lets git write, to compare it; gone afterwards."""
        return self.releases / ".verify"

    @property
    def alone(self) -> Path:
        """What a step sees as its release, with its inputs alone; gone afterwards."""
        return self.releases / ".inputs"

    @property
    def ledger(self) -> Path:
        """The SQLite file."""
        return self.home / "ledger.db"

    @property
    def lock(self) -> Path:
        """The file whose kernel lock serialises all that changes the app."""
        return self.home / "lock"

    @property
    def tidying(self) -> Path:
        """The file held locked by whoever removes what was pruned."""
        return self.home / "tidying"

    @property
    def notifying(self) -> Path:
        """The file held locked by whoever tells what became of deployments."""
        return self.home / "notifying"

    def watching(self, chain: ChainName) -> Path:
        """Return the file held locked by whoever watches a chain."""
        return self.home / f"watching-{chain}"

    @property
    def queue(self) -> Path:
        """One file for each who waits for the lock."""
        return self.home / "queue"

    @property
    def pushed(self) -> Path:
        """One file for each push that was judged before its refs moved."""
        return self.home / "pushed"

    @property
    def reserve(self) -> Path:
        """Room kept back for a roll back on a full disk."""
        return self.home / "reserve"

    @property
    def server_toml(self) -> Path:
        """What pushers must not decide."""
        return self.home / "server.toml"

    def release(self, release: Release) -> Path:
        """Return the directory of a release."""
        return Path(release.path) if release.path else self.releases / release.name

    def log(self, name: str) -> Path:
        """Return the log of the release of that name."""
        return self.logs / f"{name}.log"

    def manifest(self, name: str) -> Path:
        """Return the record of the release of that name."""
        return self.manifests / name

    def shared_of(self, scope: str, chain: ChainName) -> Ground:
        """Return the shared directory for a release of `chain`.

        That of a chain lies beside the app's: commands of a release that shares the
        app's see no other.

        Args:
            scope: `app` or `chain`, what server.toml and deploy.toml come to.
            chain: The chain the release is prepared for.
        """
        return Ground(self.shared_by(chain) if scope == "chain" else self.shared)

    def shared_by(self, chain: ChainName) -> Path:
        """Return the directory that only releases of one chain share."""
        return self.home / f"shared-{chain}"


class Public(Struct, frozen=True):
    """The links of one app in the target directory."""

    target: Path
    """Absolute."""
    app: str
    positions: int
    """How many links each chain has."""

    def name(self, chain: ChainName, position: int) -> str:
        """Return a chain link's name, `shop-prod-1`."""
        return f"{self.app}-{chain}-{position}"

    def names(self, chain: ChainName) -> tuple[str, ...]:
        """Return the names of a chain's links, head first."""
        return tuple(self.name(chain, n) for n in range(1, self.positions + 1))

    @property
    def heads(self) -> dict[str, str]:
        """The two links that never change: their names and what they point to."""
        return {
            self.app: self.name("prod", 1),
            f"{self.app}-staging": self.name("dev", 1),
        }

    def head_name(self, chain: ChainName) -> str:
        """Return the name a web server uses for a chain: `shop`, `shop-staging`."""
        return self.app if chain == "prod" else f"{self.app}-staging"

    def pointing_at(self, directory: Path, root: Path) -> str:
        """Return what a link in the target must hold to resolve to `directory`.

        Relative for what is ours, so that root and target can be moved together;
        absolute for a directory elsewhere, which would not move with them.
        """
        if directory.is_relative_to(root):
            return posixpath.relpath(directory, self.target)
        return str(directory)


def access_toml(root: Path) -> Path:
    """Return where it stands who may do what with the apps below `root`."""
    return root / "access.toml"


def allowed_signers(root: Path) -> Path:
    """Return where the ssh keys stand by which people sign, as ssh-keygen(1) has it."""
    return root / "allowed_signers"


def keyring(root: Path) -> Path:
    """Return the directory with the PGP keys by which people sign."""
    return root / "gnupg"


def check_app_name(app: str) -> None:
    """Say nothing if `app` can be an app's name.

    Raises:
        UsageError: It cannot; the message says which names can.
    """
    if not _APP_NAME.fullmatch(app) or len(app) > _MAX_NAME_BYTES:
        raise UsageError(
            f"app name {app!r}: should be made of a-z, 0-9, dot, dash and "
            f"underscore, start with a letter or digit, and have at most "
            f"{_MAX_NAME_BYTES} characters"
        )
    if app.endswith(".git"):
        raise UsageError(
            f"app name {app!r}: must not end in .git",
            hint=f"gitdeploy setup {app.removesuffix('.git')}",
        )


def colliding_app(app: str, others: Iterable[str]) -> str | None:
    """Return an app of `others` whose links would have the names of `app`'s links.

    `a` owns `a`, `a-staging`, `a-dev-1` … and `a-preview-…`: an app `a-staging`
    or `a-prod-1` beside it would fight for the same link.
    """
    for other in others:
        if other != app and (_owns(app, other) or _owns(other, app)):
            return other
    return None


def _owns(app: str, name: str) -> bool:
    rest = name.removeprefix(f"{app}-")
    chains = "|".join(CHAINS)
    return rest != name and bool(
        re.fullmatch(rf"staging|(?:{chains})-\d+|preview(-.*)?", rest)
    )
