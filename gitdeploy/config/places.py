"""Where an app may ask and listen, as far as the server decides it; only compared."""

import re
from typing import TYPE_CHECKING, Final, Self

import msgspec

from gitdeploy.config.addresses import host_and_port, is_any, plain_ip
from gitdeploy.config.reading import Table
from gitdeploy.config.services import Address
from gitdeploy.config.values import BadValueError, shown

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = [
    "Asking",
    "HostPlace",
    "Listening",
    "Reach",
    "is_never_asked",
    "may_listen",
]

_PLACE: Final = (
    r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<host>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_FIRST_FREE_PORT: Final = 1024  # ip(7), ip_unprivileged_port_start
_LAST_PORT: Final = 65535
_LONGEST: Final = 260
_NEVER: Final = (
    "169.254.0.0/16",  # link-local, RFC 3927; there cloud metadata is served
    "fe80::/10",  # link-local, RFC 4291
    "224.0.0.0/4",  # multicast
    "ff00::/8",
    "fd00:ec2::254",  # cloud metadata at addresses that look ordinary: AWS,
    "fd20:ce::254",  # Google,
    "100.100.100.200",  # Alibaba,
    "192.0.0.192",  # Oracle
)


class HostPlace(str):
    """Where a question may go: `shop.example.org`, `10.0.0.5:8080`, `[::1]:8080`."""

    __slots__ = ()

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the place; one without a port stands for every port.

        Raises:
            BadValueError: It is no host, or one that nobody may let be asked.
        """
        text = found.lower() if isinstance(found, str) else ""
        match = re.fullmatch(_PLACE, text)
        ip = plain_ip(match["six"] or match["host"]) if match else None
        fits = match and (ip or not match["six"]) and len(text) <= _LONGEST
        if not (match and fits and int(match["port"] or 1) <= _LAST_PORT):
            should = 'a host such as "shop.example.org" or "10.0.0.5:8080"'
            raise BadValueError(should, shown(found))
        if ip and is_never_asked(ip):
            should = "a host that may be asked; link-local and metadata never are"
            raise BadValueError(should, shown(found))
        return cls(text)

    @property
    def host(self) -> str:
        """The host alone: no brackets, no dot at its end."""
        match = re.fullmatch(_PLACE, self)
        assert match is not None
        return match["six"] or match["host"]

    @property
    def port(self) -> int:
        """The port; 0 for any."""
        match = re.fullmatch(_PLACE, self)
        assert match is not None
        return int(match["port"] or 0)


class Asking(Table, frozen=True, kw_only=True):
    """[health]: where the `[health]` of a deploy.toml may ask."""

    hosts: tuple[HostPlace, ...] = ()
    """Hosts besides this machine, or, with `[steps] network = false`, all there are;
    each with a port or for every port. Default none."""


class Listening(Table, frozen=True, kw_only=True):
    """[services]: where the `[[services]]` of a deploy.toml may listen."""

    listen: tuple[Address, ...] = ()
    """Addresses besides the app's own sockets in run/ and, with `[steps] network`,
    ports of loopback from 1024 on. Default none."""


class Reach(msgspec.Struct, frozen=True):
    """Where questions may go on a pusher's behalf."""

    hosts: tuple[HostPlace, ...] = ()
    only_listed: bool = False
    """Whether not even this machine may be asked unless it is listed."""

    def names(self, host: str, port: int) -> bool:
        """Return whether a host is listed by its very name or address."""
        ip, name = plain_ip(host), host.rstrip(".").lower()
        return any(
            place.port in (0, port)
            and (plain_ip(place.host) == ip if ip else place.host == name)
            for place in self.hosts
        )

    def lets(self, host: str, port: int, address: str, *, is_own: bool) -> bool:
        """Return whether an address that a host resolved to may be asked.

        Args:
            host: The host that a URL names.
            port: The port.
            address: One of the host's IP addresses.
            is_own: Whether it is this machine's.
        """
        ip = plain_ip(address)
        if ip is None or is_never_asked(ip):
            return False
        listed = self.names(host, port) or self.names(str(ip), port)
        return listed or (is_own and not self.only_listed)


def is_never_asked(ip: "IPv4Address | IPv6Address") -> bool:
    """Return whether an address is one that nothing is asked at, listed or not."""
    import ipaddress

    return any(ip in ipaddress.ip_network(network) for network in _NEVER)


def may_listen(listening: Listening, address: Address, *, network: bool) -> bool:
    """Return whether server.toml lets a service listen at an address.

    Args:
        listening: What server.toml lists.
        address: Where the service wants to listen.
        network: Whether commands of deploy.toml reach the network anyway.
    """
    if address.is_own or address in listening.listen:
        return True
    if address.is_unix:
        return False
    host, port = host_and_port(address)
    ip = plain_ip(host)
    is_loopback = ip is not None and ip.is_loopback and not is_any(host)
    return network and is_loopback and port >= _FIRST_FREE_PORT
