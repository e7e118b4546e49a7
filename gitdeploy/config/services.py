"""[[services]]: processes that run on, and the sockets that outlive them."""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import field

from gitdeploy.config.addresses import clash
from gitdeploy.config.reading import Table
from gitdeploy.config.rules import refuse_empty, refuse_too_many
from gitdeploy.config.values import BadValueError, Seconds, shown

__all__ = ["Address", "Service", "ServiceName", "refuse_clashes", "refuse_shared"]

# Compiled where a service is described: most files describe none.
_NAME: Final = r"[a-z0-9][a-z0-9-]{0,31}"
_FILE: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,58}\.sock"
_TCP: Final = r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})"
_PATH: Final = r"(?:/[A-Za-z0-9._@+-]+)+"
_LAST_PORT: Final = 65535


class ServiceName(str):
    """What a service is called, in units, files and messages."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> "ServiceName":
        """Return the name.

        Raises:
            BadValueError: It is not made of a-z, 0-9 and dashes, or is too long.
        """
        if not (isinstance(found, str) and re.fullmatch(_NAME, found)):
            should = "1 to 32 characters of a-z, 0-9 and dash, no dash first"
            raise BadValueError(should, shown(found))
        return cls(found)


class Address(str):
    """Where a service listens: `127.0.0.1:8000`, `[::1]:8000`, or a unix socket."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> "Address":
        """Return the address.

        Raises:
            BadValueError: It is neither an IP address with a port, nor the name of a
                socket, nor the absolute path of one.
        """
        if not (isinstance(found, str) and (_is_tcp(found) or _is_unix(found))):
            should = 'such as "127.0.0.1:8000", "[::1]:8000" or "web.sock"'
            raise BadValueError(should, shown(found))
        return cls(found)

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket."""
        return not _is_tcp(self)

    @property
    def is_own(self) -> bool:
        """Whether each chain has one of its own, in the app's run directory."""
        return self.is_unix and not self.startswith("/")


class Service(Table, frozen=True, kw_only=True):
    """[[services]]: a process that runs on in the live release, and its socket."""

    name: ServiceName
    """What it is called: a-z, 0-9 and dash, at most 32 characters; unique."""
    run: str | tuple[str, ...]
    """What serves, in the release directory; it gets the socket as descriptor 3."""
    listen: Address
    """What the socket is bound to, by the supervisor; see `Address`."""
    ready_after_s: Seconds = field(name="ready_after", default=Seconds(3))
    """Seconds it has to stay up until the earlier one is stopped; default 3s."""
    notify: bool = False
    """Whether it says itself that it is ready, READY=1 by sd_notify(3); default no."""
    within_s: Seconds = field(name="within", default=Seconds(30))
    """Seconds until it has to be ready; default 30s."""
    stop_timeout_s: Seconds = field(name="stop_timeout", default=Seconds(30))
    """Seconds it has after SIGTERM to finish what it answers; default 30s."""

    def __post_init__(self) -> None:
        refuse_empty(self.run, ".run")
        if self.ready_after_s >= self.within_s:
            got = f"{self.ready_after_s:.0f} s of {self.within_s:.0f} s"
            raise BadValueError("shorter than within", got, at=".ready_after")


def refuse_clashes(services: Sequence[Service], at: str) -> None:
    """Refuse two services of one chain with the same name or address."""
    refuse_too_many(services, at)
    for n, service in enumerate(services):
        for other in services[:n]:
            same = {
                "name": (service.name, service.name == other.name),
                "listen": (service.listen, clash(service.listen, other.listen)),
            }
            for key, (value, is_same) in same.items():
                if is_same:
                    should = f"a {key} no other service has"
                    raise BadValueError(should, shown(value), at=f"{at}[{n}].{key}")


def refuse_shared(
    dev: Sequence[Service], prod: Sequence[Service], at: str = ".services"
) -> None:
    """Refuse an address that services of both chains would listen on."""
    taken = [service.listen for service in prod if not service.listen.is_own]
    for n, service in enumerate(dev):
        if any(clash(service.listen, one) for one in taken):
            raise BadValueError(
                'a unix socket such as "web.sock", of which each chain has its own,'
                " or of one chain only (see [chains.dev] services)",
                f"{shown(service.listen)} for dev and prod",
                at=f"{at}[{n}].listen",
                write='"web.sock"',
            )


def _is_tcp(text: str) -> bool:
    import ipaddress

    match = re.fullmatch(_TCP, text)
    if not match or not 1 <= int(match["port"]) <= _LAST_PORT:
        return False
    try:
        six = match["six"]
        ipaddress.IPv6Address(six) if six else ipaddress.IPv4Address(match["four"])
    except ValueError:
        return False
    return True


def _is_unix(text: str) -> bool:
    names = text.split("/")
    safe = re.fullmatch(_PATH if text.startswith("/") else _FILE, text)
    return bool(safe) and "." not in names and ".." not in names
