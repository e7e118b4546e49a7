"""Connections that a pusher asks for: only to addresses that the server lets be asked.

A name is resolved once, each of its addresses is judged, and the very address that was
judged is connected to: a name server that answers differently the next time gains
nothing. Nothing is sent to learn whether an address is this machine's.
"""

import socket
import threading
from contextlib import suppress
from typing import Any, Final

from gitdeploy.config.addresses import plain_ip
from gitdeploy.config.places import Reach, is_never_asked
from gitdeploy.system.clock import Stopwatch

__all__ = ["NotLet", "addresses", "connected", "is_own"]

_LOCAL: Final = "localhost"
_DISCARD: Final = 9  # any port does: connect(2) of a datagram socket sends nothing


class NotLet(OSError):
    """The server does not let a host be asked.

    Attributes:
        host: The host, as it was named.
        never: Whether no server.toml could let it.
    """

    def __init__(self, host: str, *, never: bool = False) -> None:
        super().__init__(1, "the server does not let this host be asked")
        self.host = host
        self.never = never


def connected(host: str, port: int, reach: Reach, timeout_s: float) -> socket.socket:
    """Return a TCP connection to a host; its addresses are tried one after the other.

    Raises:
        NotLet: None of its addresses may be asked.
        OSError: It has no address, or nobody there takes the connection.
    """
    watch, failed = Stopwatch(), OSError("no answer")
    for address in addresses(host, port, reach, timeout_s):
        left_s = max(timeout_s - watch.seconds, 0.001)
        try:
            return socket.create_connection((address, port), left_s)
        except OSError as error:
            failed = error
    raise failed


def addresses(host: str, port: int, reach: Reach, timeout_s: float) -> list[str]:
    """Return the IP addresses at which a host may be asked; at least one.

    Raises:
        NotLet: There is none. Where only listed hosts are asked, no name of another
            is even looked up.
        OSError: It has no address at all.
    """
    name = host.rstrip(".").lower()
    is_here = name == _LOCAL or name.endswith(f".{_LOCAL}")
    known = plain_ip(host) or is_here or reach.names(host, port)
    if reach.only_listed and not known:
        raise NotLet(host)
    found = _resolved(_LOCAL if is_here else host, port, timeout_s)
    plain = dict.fromkeys(ip for address in found if (ip := plain_ip(address)))
    let = [
        str(ip)
        for ip in plain
        if reach.lets(name, port, str(ip), is_own=is_own(str(ip)))
    ]
    if not let:
        raise NotLet(host, never=all(map(is_never_asked, plain)))
    return let


def is_own(address: str) -> bool:
    """Return whether an IP address is this machine's, loopback included.

    Source:
        ip-route(8), table local: the kernel talks to itself from the address that
        it is talked to at.
    """
    ip = plain_ip(address)
    if ip is None or ip.is_loopback:
        return ip is not None
    kind = socket.AF_INET if ip.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    with suppress(OSError), socket.socket(kind, socket.SOCK_DGRAM) as probe:
        probe.connect((str(ip), _DISCARD))
        return bool(plain_ip(probe.getsockname()[0]) == ip)
    return False


def _resolved(host: str, port: int, timeout_s: float) -> list[str]:
    """Return the addresses of a host; getaddrinfo(3) itself knows no deadline."""
    if plain_ip(host):
        return [host]
    found: list[Any] = []
    failed: list[OSError | ValueError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            failed.append(error)

    looking = threading.Thread(target=look_up, daemon=True)
    looking.start()
    looking.join(timeout_s)
    if failed and isinstance(failed[0], OSError):
        raise failed[0]
    if not found:
        raise OSError(1, "its name could not be looked up")
    return [str(one[4][0]) for one in found]
