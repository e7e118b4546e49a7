"""The tables of deploy.toml, one struct each; how a file becomes them is in `reading`.

Names of fields are those of TOML, with the unit added where there is one:
`timeout` is `timeout_s` here. Rules that concern one table are checked by it.
"""

from typing import Annotated, Final, Literal, Self

from msgspec import Meta, field
from msgspec.structs import replace

from gitdeploy.config.commands import Activation, Run, Step
from gitdeploy.config.paths import (
    FilePath,
    RelativePath,
    StartFolder,
    refuse_below,
    refuse_overlap,
)
from gitdeploy.config.patterns import Patterns, RefPattern, refuse_bad_order
from gitdeploy.config.probing import Check, Health
from gitdeploy.config.reading import Table
from gitdeploy.config.rules import (
    placed,
    refuse_bad_names,
    refuse_same_names,
    refuse_too_many,
)
from gitdeploy.config.services import Service, refuse_clashes, refuse_shared
from gitdeploy.config.shared import Scope, wider_apart
from gitdeploy.config.values import Seconds
from gitdeploy.model import CHAINS, ChainName

__all__ = [
    "DEFAULTS",
    "Build",
    "ChainOverride",
    "Chains",
    "Checkout",
    "Config",
    "Refs",
    "Releases",
    "Service",
    "Shared",
]


class Refs(Table, frozen=True, kw_only=True):
    """[refs]: which refs deploy, and what becomes of the others."""

    stage: Patterns = (RefPattern("main"), RefPattern("master"))
    """Branches that go to the dev chain, by pattern; none to 100."""
    release: Patterns = (RefPattern("*"),)
    """Tags that go to the prod chain, by pattern; none to 100."""
    preview: Patterns = ()
    """Branches that get a link of their own, by pattern; default none."""
    other: Literal["refuse", "store"] = "refuse"
    """What becomes of any other ref; `store` keeps it and deploys nothing."""
    move_tags: bool = False
    """Whether a release tag may be moved to another commit; default no."""

    def __post_init__(self) -> None:
        for name in ("stage", "release", "preview"):
            refuse_bad_order(getattr(self, name), f".{name}")


class Shared(Table, frozen=True, kw_only=True):
    """[shared]: what outlives releases and is linked into each."""

    files: tuple[FilePath, ...] = ()
    """Files below the release; default none. None overlaps another, or `dirs`."""
    dirs: tuple[RelativePath, ...] = ()
    """Folders below the release, no slash at the end; default none."""
    scope: Scope = "app"
    """`chain`: dev and prod have shared files and folders of their own; `app`: only
    where `server.toml` says so."""

    def __post_init__(self) -> None:
        refuse_overlap([*placed(".files", self.files), *placed(".dirs", self.dirs)])


class Checkout(Table, frozen=True, kw_only=True):
    """[checkout]: what of the commit becomes the release."""

    submodules: bool = False
    """Whether submodules are checked out too; default no."""
    share: Literal["auto", "always", "never"] = "auto"
    """Whether unchanged files are shared with the release before; see `donor`."""
    path: StartFolder = StartFolder(".")
    """The folder of the repository that is deployed; default `.`, all of it."""


class Build(Table, frozen=True, kw_only=True):
    """[build]: the steps that make a release, in order, and what they share."""

    timeout_s: Seconds = field(name="timeout", default=Seconds(600))
    """Seconds until a command without a timeout of its own is killed; default 10m."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables of every command, by POSIX names; default none."""
    on_disconnect: Literal["finish", "cancel"] = "finish"
    """What becomes of a push whose client is gone before the flip; default finish."""
    steps: tuple[Step, ...] = ()
    """At most 100, in the order they run; names are unique. Default none."""

    def __post_init__(self) -> None:
        refuse_bad_names(self.env)
        refuse_too_many(self.steps, ".steps")
        refuse_same_names(self.steps)


class ChainOverride(Table, frozen=True, kw_only=True):
    """[chains.dev] or [chains.prod]: what replaces the general one on that chain."""

    activate: tuple[Activation, ...] | None = None
    """Replaces `[[activate]]`; None: not replaced."""
    deactivate: tuple[Activation, ...] | None = None
    """Replaces `[[deactivate]]`; None: not replaced."""
    checks: tuple[Check, ...] | None = None
    """Replaces `[[checks]]`; None: not replaced."""
    health: Health | Literal["off"] | None = None
    """Replaces `[health]`; `off`: nothing is asked; None: not replaced."""
    services: tuple[Service, ...] | None = None
    """Replaces `[[services]]`; None: not replaced."""
    env: dict[str, str] | None = None
    """Replaces `[build] env`, all of it; None: not replaced."""

    def __post_init__(self) -> None:
        refuse_bad_names(self.env or {})
        refuse_clashes(self.services or (), ".services")
        for key in ("activate", "deactivate", "checks"):
            refuse_too_many(getattr(self, key) or (), f".{key}")


class Chains(Table, frozen=True, kw_only=True):
    """[chains]: overrides by chain."""

    dev: ChainOverride = ChainOverride()
    """What differs on the dev chain; default nothing."""
    prod: ChainOverride = ChainOverride()
    """What differs on the prod chain; default nothing."""


class Releases(Table, frozen=True, kw_only=True):
    """[releases]: how many are kept."""

    keep: Annotated[int, Meta(ge=0, le=10_000)] = 10
    """Ready releases kept besides those on a link, 0 to 10000; default 10."""


class Config(Table, frozen=True, kw_only=True):
    """deploy.toml as a whole."""

    refs: Refs = Refs()
    """Which refs deploy."""
    shared: Shared = Shared()
    """What outlives releases."""
    checkout: Checkout = Checkout()
    """What of the commit becomes the release."""
    build: Build = Build()
    """The steps that make a release."""
    checks: tuple[Check, ...] = ()
    """What must hold before the flip, at most 100; default none."""
    activate: tuple[Activation, ...] = ()
    """Commands after the flip, in the live release, at most 100; default none."""
    deactivate: tuple[Activation, ...] = ()
    """Commands on a roll back, in the release being left; default none."""
    health: Health | None = None
    """What is asked after the flip; None: nothing."""
    services: tuple[Service, ...] = ()
    """Processes that run on in the live release, at most 100; default none."""
    releases: Releases = Releases()
    """How many are kept."""
    chains: Chains = Chains()
    """What differs on one chain."""

    def __post_init__(self) -> None:
        for key in ("activate", "deactivate", "checks"):
            refuse_too_many(getattr(self, key), f".{key}")
        refuse_clashes(self.services, ".services")
        self._refuse_shared_sockets()
        shared = placed(".shared.files", self.shared.files)
        shared += placed(".shared.dirs", self.shared.dirs)
        for n, step in enumerate(self.build.steps):
            outputs = placed(f".build.steps[{n}].outputs", step.outputs)
            refuse_overlap(shared + outputs)
            refuse_below(
                self.shared.dirs, placed(f".build.steps[{n}].inputs", step.inputs)
            )

    def kept_apart(self, scope: Scope) -> Self:
        """Return it with dev and prod at least as far apart as `scope` says."""
        wanted = wider_apart(self.shared.scope, scope)
        if wanted == self.shared.scope:
            return self
        return replace(self, shared=replace(self.shared, scope=wanted))

    def env_for(self, chain: ChainName) -> dict[str, str]:
        """Return a new dict of the variables that commands on a chain see."""
        own = self._override(chain).env
        return dict(self.build.env if own is None else own)

    def checks_for(self, chain: ChainName) -> tuple[Check, ...]:
        """Return what must hold before a release is shown on a chain."""
        own = self._override(chain).checks
        return self.checks if own is None else own

    def activate_for(self, chain: ChainName) -> tuple[Activation, ...]:
        """Return the commands to run once a release is shown on a chain."""
        own = self._override(chain).activate
        return self.activate if own is None else own

    def deactivate_for(self, chain: ChainName) -> tuple[Activation, ...]:
        """Return the commands to run before a release is rolled back from."""
        own = self._override(chain).deactivate
        return self.deactivate if own is None else own

    def health_for(self, chain: ChainName) -> Health | None:
        """Return what is asked once a release is shown on a chain; None: nothing."""
        own = self._override(chain).health
        if own is None:
            return self.health
        return None if own == "off" else own

    @property
    def asks_the_server(self) -> bool:
        """Whether something of it is done by the server itself, on any chain."""
        return any(self.health_for(one) or self.services_for(one) for one in CHAINS)

    @property
    def ever_deactivates(self) -> bool:
        """Whether a roll back has commands to run, on any chain."""
        return any(self.deactivate_for(chain) for chain in CHAINS)

    def services_for(self, chain: ChainName) -> tuple[Service, ...]:
        """Return the processes that run on in a chain's live release."""
        own = self._override(chain).services
        return self.services if own is None else own

    def _refuse_shared_sockets(self) -> None:
        dev = self.chains.dev.services
        at = ".services" if dev is None else ".chains.dev.services"
        refuse_shared(self.services_for("dev"), self.services_for("prod"), at)

    def limit_s(self, command: Run) -> float:
        """Return the seconds after which a command is killed."""
        own = command.timeout_s
        return self.build.timeout_s if own is None else own

    def _override(self, chain: ChainName) -> ChainOverride:
        return self.chains.dev if chain == "dev" else self.chains.prod


DEFAULTS: Final = Config()
"""What applies to a commit without deploy.toml; made without reading anything."""
