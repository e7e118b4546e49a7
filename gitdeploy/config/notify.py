"""Who is told what became of a deployment; part of server.toml, as it holds secrets."""

from typing import Annotated, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from msgspec import Meta, field

from gitdeploy.config.reading import Table
from gitdeploy.config.rules import is_web_url
from gitdeploy.config.values import BadValueError, Seconds
from gitdeploy.model import CHAINS, ChainName

__all__ = ["Address", "Event", "Notify", "Secret", "Webhook"]

Event: TypeAlias = Literal["deployed", "failed", "rolled back", "refused"]

_URL: Final = "a URL such as mailto://user:password@example.org"
_USUAL: Final[tuple[Event, ...]] = ("deployed", "failed", "rolled back")


class Secret(str):
    """Text that is shown nowhere."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the secret.

        Raises:
            BadValueError: It is no text, or empty; what it is is not told.
        """
        if not isinstance(found, str) or not found:
            raise BadValueError("text", "something else")
        return cls(found)

    def __repr__(self) -> str:
        return "[hidden]"


class Address(Secret):
    """A secret URL, which can at least be taken apart."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the URL.

        Raises:
            BadValueError: It is no URL; what it is is not told.
        """
        text = Secret.read(found)
        try:
            words = urlsplit(text)
        except ValueError:
            raise BadValueError(_URL, "something else") from None
        if not words.scheme or not text.isprintable():
            raise BadValueError(_URL, "something else")
        return cls(text)


class Webhook(Table, frozen=True, kw_only=True):
    """[notify.webhook]: an address that gets each event as JSON."""

    url: Address
    """http:// or https://."""
    secret: Secret | None = None
    """The key that what is sent is signed with; None: it is not signed."""
    timeout_s: Seconds = field(name="timeout", default=Seconds(10))
    """Seconds until it has to answer; default 10s."""

    def __post_init__(self) -> None:
        if not is_web_url(self.url):
            should = "a URL that begins with http:// or https://"
            raise BadValueError(should, "something else", at=".url")


class Notify(Table, frozen=True, kw_only=True):
    """[notify]: who is told, and of what."""

    urls: tuple[Address, ...] = ()
    """Addresses as apprise has them, `mailto://…`, `slack://…`; default none."""
    on: tuple[Event, ...] = _USUAL
    """What is told; default deployed, failed and rolled back."""
    chains: tuple[ChainName, ...] = CHAINS
    """The chains that are told of; default both."""
    tries: Annotated[int, Meta(ge=1, le=10)] = 5
    """How often a channel that fails is tried, ever more slowly; default 5."""
    within_s: Seconds = field(name="within", default=Seconds(120))
    """Seconds for one notice, all its channels and tries; default 2m."""
    webhook: Webhook | None = None
    """An address of our own kind; default none."""

    @property
    def is_on(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self.urls or self.webhook)
