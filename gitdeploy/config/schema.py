"""The tables of deploy.toml, one struct each; how a file becomes them is in `reading`.

Names of fields are those of TOML, with the unit added where there is one:
`timeout` is `timeout_s` here. Rules that concern one table are checked by it.
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, field

from gitdeploy.config.paths import (
    FilePath,
    RelativePath,
    StartFolder,
    refuse_below,
    refuse_overlap,
)
from gitdeploy.config.reading import Table
from gitdeploy.config.rules import (
    is_url_path,
    is_web_url,
    placed,
    refuse_bad_names,
    refuse_empty,
    refuse_same_names,
    refuse_too_many,
)
from gitdeploy.config.values import BadValueError, Label, Seconds, shown
from gitdeploy.model import ChainName

__all__ = [
    "DEFAULTS",
    "Activation",
    "Build",
    "ChainOverride",
    "Chains",
    "Check",
    "Checkout",
    "Command",
    "Config",
    "Health",
    "Refs",
    "Releases",
    "Shared",
    "Step",
]

Command: TypeAlias = str | tuple[str, ...]
"""Text goes to `sh -eu`; a list is an argv and sees no shell."""

_TITLE_LENGTH: Final = 40

_Pattern: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
_Status: TypeAlias = Annotated[int, Meta(ge=100, le=599)]


class Refs(Table, frozen=True, kw_only=True):
    """[refs]: which refs deploy, and what becomes of the others."""

    stage: tuple[_Pattern, ...] = ("main", "master")
    """Patterns (fnmatch) of branches that go to the dev chain; may be empty."""
    release: tuple[_Pattern, ...] = ("*",)
    """Patterns (fnmatch) of tags that go to the prod chain; may be empty."""
    preview: tuple[_Pattern, ...] = ()
    """Patterns (fnmatch) of branches that get a link of their own; default none."""
    other: Literal["refuse", "store"] = "refuse"
    """What becomes of any other ref; `store` keeps it and deploys nothing."""
    move_tags: bool = False
    """Whether a release tag may be moved to another commit; default no."""


class Shared(Table, frozen=True, kw_only=True):
    """[shared]: what outlives releases and is linked into each."""

    files: tuple[FilePath, ...] = ()
    """Files below the release; default none. None overlaps another, or `dirs`."""
    dirs: tuple[RelativePath, ...] = ()
    """Folders below the release, no slash at the end; default none."""
    scope: Literal["app", "chain"] = "app"
    """`chain`: dev and prod have shared files and folders of their own."""

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


class _Run(Table, frozen=True, kw_only=True):
    """One command that has to succeed."""

    run: Command
    """What to run, in the release directory. Never empty."""
    name: Label | None = None
    """What people call it, 1 to 40 characters; None: see `title`."""
    timeout_s: Seconds | None = field(name="timeout", default=None)
    """Seconds until it is killed; None: `[build] timeout`. See `Config.limit_s`."""

    def __post_init__(self) -> None:
        refuse_empty(self.run, ".run")

    @property
    def title(self) -> str:
        """The name, else the first line of `run`, at most 40 characters."""
        if self.name is not None:
            return self.name
        text = self.run if isinstance(self.run, str) else " ".join(self.run)
        line = text.strip().splitlines()[0]
        plain = "".join(sign for sign in line if sign.isprintable()) or "command"
        return (
            plain if len(plain) <= _TITLE_LENGTH else plain[: _TITLE_LENGTH - 1] + "…"
        )


class Step(_Run, frozen=True, kw_only=True):
    """[[build.steps]]: one command that makes the release, before it is shown."""

    inputs: tuple[RelativePath, ...] = ()
    """What it reads, patterns as in `globs`; while it is the same, `outputs` are
    reused. Default none."""
    outputs: tuple[RelativePath, ...] = ()
    """Files and folders it makes. Given together with `inputs`, or neither is."""
    tool: Command | None = None
    """What tells the version of what makes `outputs`; None: nothing does."""
    reuse: Literal["copy", "share", "off"] = "copy"
    """How `outputs` come from an earlier release; `off`: never. Default copy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_empty(self.tool, ".tool")
        if self.outputs and not self.inputs:
            raise BadValueError("given where outputs is", "nothing", at=".inputs")
        if self.inputs and not self.outputs:
            raise BadValueError("given where inputs is", "nothing", at=".outputs")
        if self.tool is not None and not self.inputs:
            raise BadValueError("given only where inputs is", "a command", at=".tool")
        refuse_overlap(placed(".outputs", self.outputs))


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


class Check(Table, frozen=True, kw_only=True):
    """[[checks]]: what must hold before the flip; either `run` or `serve`."""

    run: Command | None = None
    """A command that has to succeed in the new release."""
    serve: Command | None = None
    """A command that serves the new release on `$PORT` until it was probed."""
    url: str | None = None
    """The path probed where `serve` runs, from `/`; None with `run`."""
    within_s: Seconds = field(name="within", default=Seconds(30))
    """Seconds until `run` has ended or `serve` has answered; default 30s."""

    def __post_init__(self) -> None:
        if (self.run is None) == (self.serve is None):
            got = "neither" if self.run is None else "both"
            raise BadValueError("a table with either run or serve", got)
        refuse_empty(self.run, ".run")
        refuse_empty(self.serve, ".serve")
        self._refuse_bad_url()

    def _refuse_bad_url(self) -> None:
        if self.url is None and self.serve is not None:
            raise BadValueError("given where serve is", "nothing", at=".url")
        if self.url is not None and self.serve is None:
            raise BadValueError("given only where serve is", shown(self.url), at=".url")
        if self.url is not None and not is_url_path(self.url):
            raise BadValueError("a path that begins with /", shown(self.url), at=".url")


class Activation(_Run, frozen=True, kw_only=True):
    """[[activate]] or [[deactivate]]: a command run around the flip, in the release."""


class Health(Table, frozen=True, kw_only=True):
    """[health]: what is asked after the flip; a wrong answer means flipping back."""

    url: str
    """What is asked, `http://` or `https://`."""
    expect: Annotated[tuple[_Status, ...], Meta(min_length=1)] = (200,)
    """The HTTP status codes that are healthy, 100 to 599; default 200."""
    within_s: Seconds = field(name="within", default=Seconds(30))
    """Seconds after the flip until it has to be healthy; default 30s."""

    def __post_init__(self) -> None:
        if not is_web_url(self.url):
            should = "a URL that begins with http:// or https://"
            raise BadValueError(should, shown(self.url), at=".url")


class ChainOverride(Table, frozen=True, kw_only=True):
    """[chains.dev] or [chains.prod]: what replaces the general one on that chain."""

    activate: tuple[Activation, ...] | None = None
    """Replaces `[[activate]]`; None: not replaced."""
    deactivate: tuple[Activation, ...] | None = None
    """Replaces `[[deactivate]]`; None: not replaced."""
    checks: tuple[Check, ...] | None = None
    """Replaces `[[checks]]`; None: not replaced."""
    health: Health | None = None
    """Replaces `[health]`; None: not replaced."""
    env: dict[str, str] | None = None
    """Replaces `[build] env`, all of it; None: not replaced."""

    def __post_init__(self) -> None:
        refuse_bad_names(self.env or {})
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
    releases: Releases = Releases()
    """How many are kept."""
    chains: Chains = Chains()
    """What differs on one chain."""

    def __post_init__(self) -> None:
        for key in ("activate", "deactivate", "checks"):
            refuse_too_many(getattr(self, key), f".{key}")
        shared = placed(".shared.files", self.shared.files)
        shared += placed(".shared.dirs", self.shared.dirs)
        for n, step in enumerate(self.build.steps):
            outputs = placed(f".build.steps[{n}].outputs", step.outputs)
            refuse_overlap(shared + outputs)
            refuse_below(
                self.shared.dirs, placed(f".build.steps[{n}].inputs", step.inputs)
            )

    def env_for(self, chain: ChainName) -> dict[str, str]:
        """Return a new dict of the variables that commands on a chain see."""
        override = self.chains.dev if chain == "dev" else self.chains.prod
        return dict(self.build.env if override.env is None else override.env)

    def limit_s(self, command: Step | Activation) -> float:
        """Return the seconds after which a command is killed."""
        own = command.timeout_s
        return self.build.timeout_s if own is None else own


DEFAULTS: Final = Config()
"""What applies to a commit without deploy.toml; made without reading anything."""
