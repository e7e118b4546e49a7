"""IP addresses and those of sockets, by what they lead to; only compared."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["clash", "host_and_port", "is_any", "is_path", "plain_ip"]

_NAT64: Final = "64:ff9b::/96"  # RFC 6052


def plain_ip(text: str) -> "IPv4Address | IPv6Address | None":
    """Return an IP address as what is really connected to; None where it is none.

    An IPv4 address within an IPv6 address is that IPv4 address, and the unspecified
    address is loopback, as connect(2) has it.
    """
    import ipaddress

    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in ipaddress.IPv6Network(_NAT64):
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner := ip.ipv4_mapped or ip.sixtofour:
            return plain_ip(str(inner))
    if ip.is_unspecified:
        return ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")  # noqa: PLR2004 - IPv4
    return ip


def clash(one: str, other: str) -> bool:
    """Return whether nobody can listen at two addresses at once, or tell them apart.

    Args:
        one: An IP address and a port, or the real path or the name of a unix socket.
        other: Another.
    """
    if is_path(one) or is_path(other):
        return one == other
    (host, port), (there, its_port) = map(host_and_port, (one, other))
    if port != its_port:
        return False
    here, away = plain_ip(host), plain_ip(there)
    if is_any(host) or is_any(there) or here == away:
        return True
    # Who asks localhost may come to either family's loopback.
    return bool(here and away and here.is_loopback and away.is_loopback)


def is_path(address: str) -> bool:
    """Return whether an address is a unix socket's."""
    return address.startswith("/") or ":" not in address


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of an IP address with a port; no brackets are left."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_any(host: str) -> bool:
    """Return whether that is every address of the machine."""
    import ipaddress

    ip = ipaddress.ip_address(host)
    inner = getattr(ip, "ipv4_mapped", None) or ip
    return bool(inner.is_unspecified)
