"""What is asked of a release before it is shown and after; who asks is not known."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, field

from gitdeploy.config.commands import Command, called
from gitdeploy.config.reading import Table
from gitdeploy.config.rules import (
    is_url_path,
    is_web_url,
    refuse_bad_headers,
    refuse_empty,
)
from gitdeploy.config.values import BadValueError, Label, Seconds, shown

__all__ = ["Answer", "Check", "Health"]

_Status: TypeAlias = Annotated[int, Meta(ge=100, le=599)]
_HEALTHY: Final = (200,)


class Answer(Table, frozen=True, kw_only=True):
    """How something is asked by HTTP, and which answer is the right one."""

    expect: Annotated[tuple[_Status, ...], Meta(min_length=1)] = _HEALTHY
    """The HTTP status codes that are right, 100 to 599; default 200."""
    text: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    """What the answer has to hold, in its first MiB; None: nothing in particular."""
    headers: dict[str, str] = field(default_factory=dict)
    """What is sent along, by names of HTTP headers, such as Host; default none."""
    redirects: Annotated[int, Meta(ge=0, le=20)] = 5
    """How many redirects are followed, on the same server only; default 5."""
    timeout_s: Seconds = field(name="timeout", default=Seconds(10))
    """Seconds until one answer counts as missing; default 10s."""


class Check(Answer, frozen=True, kw_only=True):
    """[[checks]]: what must hold before the flip; either `run` or `serve`."""

    run: Command | None = None
    """A command that has to succeed in the new release."""
    serve: Command | None = None
    """A command that serves the new release on `$PORT` or `$SOCKET` until probed."""
    url: str | None = None
    """The path probed where `serve` runs, from `/`; None with `run`."""
    tls: bool = False
    """Whether `serve` speaks TLS; its certificate is not verified. Default no."""
    name: Label | None = None
    """What people call it, 1 to 40 characters; None: see `title`."""
    within_s: Seconds = field(name="within", default=Seconds(30))
    """Seconds until `run` has ended or `serve` has answered; default 30s."""

    def __post_init__(self) -> None:
        if (self.run is None) == (self.serve is None):
            got = "neither" if self.run is None else "both"
            raise BadValueError("a table with either run or serve", got)
        refuse_empty(self.run, ".run")
        refuse_empty(self.serve, ".serve")
        refuse_bad_headers(self.headers)
        self._refuse_bad_url()

    @property
    def command(self) -> Command:
        """What it starts."""
        command = self.run if self.run is not None else self.serve
        assert command is not None
        return command

    @property
    def title(self) -> str:
        """The name, else the path that is asked, else the first line of `run`."""
        return self.name or called(self.url or self.command)

    def _refuse_bad_url(self) -> None:
        if self.url is None and self.serve is not None:
            raise BadValueError("given where serve is", "nothing", at=".url")
        if self.url is not None and self.serve is None:
            raise BadValueError("given only where serve is", shown(self.url), at=".url")
        if self.url is not None and not is_url_path(self.url):
            raise BadValueError("a path that begins with /", shown(self.url), at=".url")
        asked = [key for key in ("text", "headers", "tls") if getattr(self, key)]
        asked += ["expect"] * (self.expect != _HEALTHY)
        if self.run is not None and asked:
            should = "given only where serve is"
            raise BadValueError(should, "it with run", at=f".{asked[0]}")


class Health(Answer, frozen=True, kw_only=True):
    """[health]: what is asked after the flip; a wrong answer means flipping back."""

    url: str
    """What is asked, `http://` or `https://`."""
    within_s: Seconds = field(name="within", default=Seconds(30))
    """Seconds after the flip until it has to be healthy; default 30s."""
    healthy_for_s: Seconds | None = field(name="healthy_for", default=None)
    """Seconds for which every answer has to be right; None: one answer is enough."""
    watch_s: Seconds | None = field(name="watch", default=None)
    """Seconds after the verdict for which it is asked on; None: it is not."""
    every_s: Seconds = field(name="every", default=Seconds(5))
    """Seconds from one question to the next while it is watched; default 5s."""

    def __post_init__(self) -> None:
        if not is_web_url(self.url):
            should = "a URL that begins with http:// or https://"
            raise BadValueError(should, shown(self.url), at=".url")
        refuse_bad_headers(self.headers)
        if self.healthy_for_s is not None and self.healthy_for_s >= self.within_s:
            should = "shorter than within"
            got = f"{self.healthy_for_s:.0f} s of {self.within_s:.0f} s"
            raise BadValueError(should, got, at=".healthy_for")
