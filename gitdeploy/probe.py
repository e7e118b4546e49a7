"""Questions over HTTP, and whether their answers are the right ones; changes nothing.

A question never takes longer than it may: whatever the other side does, its
connection is shut down then. Proxies of the environment are not asked.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.config import Answer, Health
from gitdeploy.config.places import Reach
from gitdeploy.config.values import Seconds
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.destinations import NotLet, addresses, connected
from gitdeploy.system.terminal import fit, human_time, printable
from gitdeploy.system.unix_socket import NotASocket, connected_unix

__all__ = [
    "HERE",
    "Candidate",
    "Heard",
    "ask",
    "ask_until_healthy",
    "free_port",
    "why_not_asked",
]

HERE: Final = Reach()
"""Loopback and this machine's own addresses."""

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_BODY_BYTES: Final = 2**20
_SOON_S: Final = 0.25
_LATER_S: Final = 1.0
_WORDS: Final = 100
_LOOK_UP_S: Final = 5.0
_MINUTE_S: Final = 60


class Candidate(Struct, frozen=True):
    """Where a release is served that nobody else is to reach."""

    port: int
    """On 127.0.0.1."""
    socket: Path
    """A unix socket; asked there as soon as it exists. Its directory is the release's
    to write to: nothing that has this name is followed."""
    tls: bool = False

    def url(self, path: str) -> str:
        """Return what to ask for a path."""
        return f"http{'s' * self.tls}://127.0.0.1:{self.port}{path}"


class Heard(Struct, frozen=True):
    """What came of a question."""

    right: bool
    words: str
    """What was answered, or why nothing was: `200`, `500`, `connection refused`."""
    answered: bool = False
    """Whether somebody answered, rightly or not."""


class _Wrong(Exception):
    """No answer that could be the right one."""


def ask(
    url: str, answer: Answer, *, at: Candidate | None = None, reach: Reach = HERE
) -> Heard:
    """Ask once, following redirects that stay on the same server.

    Args:
        url: What is asked.
        answer: What the right answer is, and how to ask.
        at: Who is connected to, whatever the URL and the answers say; None: the
            URL's own host.
        reach: Where may be asked where that is the URL's host, or a redirect's.
    """
    left = Stopwatch()
    try:
        for _ in range(answer.redirects + 1):
            status, location, body = _once(url, answer, at or reach, left)
            if status in answer.expect or status not in _REDIRECTS or not location:
                return _judged(status, body, answer)
            url = _followed(url, location, answer, pinned=at is not None)
    except _Wrong as error:
        return Heard(right=False, words=str(error))
    except Exception as error:  # noqa: BLE001 - who answers chose what made it
        return Heard(right=False, words=f"a wrong answer ({type(error).__name__})")
    return Heard(right=False, words=f"more than {answer.redirects} redirects")


def ask_until_healthy(
    health: Health,
    *,
    stop: Callable[[], bool],
    reach: Reach = HERE,
    running: Stopwatch | None = None,
) -> Heard:
    """Ask until it is healthy, or `within` is over; return the last that was heard.

    Args:
        health: What to ask, how long, and for how long all has to be right.
        stop: Asked between questions; when true, the last answer is returned.
        reach: Where may be asked.
        running: Since when it is asked already; None: since now.
    """
    watch, healthy_since = running or Stopwatch(), -1.0
    while True:
        asked_s = watch.seconds
        left_s = max(health.within_s - asked_s, _LATER_S)
        once = replace(health, timeout_s=Seconds(min(health.timeout_s, left_s)))
        heard = ask(health.url, once, reach=reach)
        if not heard.right:
            healthy_since = -1.0
        elif healthy_since < 0:
            healthy_since = asked_s
        if heard.right and watch.seconds - healthy_since >= (health.healthy_for_s or 0):
            return heard
        if watch.seconds >= health.within_s or stop():
            return _not_in_time(heard, health)
        time.sleep(_SOON_S if watch.seconds < _LATER_S * 10 else _LATER_S)


def why_not_asked(url: str, reach: Reach) -> tuple[str, str]:
    """Return why a URL may not be asked, and what in server.toml would let it.

    Both are empty where it may, and where nobody can tell: a name without an address.
    """
    words = urlsplit(url)
    try:
        host, port = words.hostname or "", words.port or _usual_port(words)
        addresses(host, port, reach, _LOOK_UP_S)
    except NotLet as error:
        if error.never:
            return f"{host} is link-local or serves metadata; it is never asked", ""
        place = f"[{host}]" if ":" in host else host
        place += "" if port == _usual_port(words) else f":{port}"
        why = f"the server does not let {place} be asked"
        return why, f'[health] hosts = ["{place}"]  in server.toml'
    except (OSError, ValueError):  # what is asked there is a wrong answer
        return "", ""
    return "", ""


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _not_in_time(heard: Heard, health: Health) -> Heard:
    if not heard.right:
        return Heard(right=False, words=f"{heard.words} after {_time(health.within_s)}")
    long_enough = _time(health.healthy_for_s or 0)
    words = f"not healthy for {long_enough} within {_time(health.within_s)}"
    return Heard(right=False, words=words)


def _time(seconds: float) -> str:
    """Return a limit as people write it: `30 s`, `0.5 s`, `2 min 0 s`."""
    return f"{seconds:g} s" if seconds < _MINUTE_S else human_time(float(seconds))


def _judged(status: int, body: bytes, answer: Answer) -> Heard:
    if status not in answer.expect:
        return Heard(right=False, words=str(status), answered=True)
    if answer.text is not None and answer.text not in body.decode("utf-8", "replace"):
        wanted = fit(printable(answer.text), _WORDS)
        words = f"{status} without the text {wanted!r}"
        return Heard(right=False, words=words, answered=True)
    return Heard(right=True, words=str(status), answered=True)


def _followed(url: str, location: str, answer: Answer, *, pinned: bool) -> str:
    """Return where a redirect leads, if that is the same server.

    One of a candidate that names the live site's address would be answered by the
    live site: its health says nothing of the candidate.
    """
    try:
        to = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(to)
        there.port  # noqa: B018 - reading it is what tells
    except ValueError as error:
        raise _Wrong(f"redirected to {fit(printable(location), _WORDS)}") from error
    asked_for = next((v for k, v in answer.headers.items() if k.lower() == "host"), "")
    same_scheme = there.scheme == here.scheme
    if there.scheme in ("http", "https") and (same_scheme or not pinned):
        if there.netloc == here.netloc:
            return to
        if there.hostname == here.hostname and not pinned:
            return to
        if asked_for and there.hostname == urlsplit(f"//{asked_for}").hostname:
            netloc = here.netloc if same_scheme else here.hostname or ""
            return there._replace(netloc=netloc).geturl()
    raise _Wrong(f"redirected to another server, {fit(printable(to), _WORDS)}")


def _once(
    url: str, answer: Answer, at: Candidate | Reach, watch: Stopwatch
) -> tuple[int, str, bytes]:
    """Return status, Location and, where its text matters, the body.

    Raises:
        _Wrong: There was no answer.
    """
    timeout_s = answer.timeout_s
    left_s = max(timeout_s - watch.seconds, 0.001)
    try:
        with _connected(urlsplit(url), at, left_s) as connection:
            words = urlsplit(url)
            path = (words.path or "/") + (f"?{words.query}" if words.query else "")
            headers = {"User-Agent": "gitdeploy", **answer.headers}
            connection.request("GET", path, headers={**headers, "Connection": "close"})
            response = connection.getresponse()
            body = response.read(_BODY_BYTES) if answer.text is not None else b""
    except (OSError, http.client.HTTPException, ValueError) as error:
        if watch.seconds >= timeout_s:
            raise _Wrong(f"no answer within {_time(timeout_s)}") from error
        raise _Wrong(_why(error)) from error
    if watch.seconds >= timeout_s:  # what was shut down looks like an end
        raise _Wrong(f"no answer within {_time(timeout_s)}")
    return response.status, response.headers.get("Location", ""), body


@contextmanager
def _connected(
    url: SplitResult, at: Candidate | Reach, timeout_s: float
) -> Iterator[http.client.HTTPConnection]:
    """Connect for the body; when its time is over, what it waits for fails."""
    host = url.hostname or ""
    port = url.port or _usual_port(url)
    connection = http.client.HTTPConnection(host, port)
    with _plain_socket(host, port, at, timeout_s) as plain, plain.dup() as same:
        out_of_time = threading.Timer(timeout_s, _shut_down, [same])
        out_of_time.daemon = True
        out_of_time.start()
        try:
            secret = url.scheme == "https"
            connection.sock = _secured(plain, host, at) if secret else plain
            yield connection
        finally:
            out_of_time.cancel()
            connection.close()


def _usual_port(url: SplitResult) -> int:
    return 443 if url.scheme == "https" else 80


def _plain_socket(
    host: str, port: int, at: Candidate | Reach, timeout_s: float
) -> socket.socket:
    if isinstance(at, Reach):
        return connected(host, port, at, timeout_s)
    try:
        here = connected_unix(at.socket.parent, at.socket.name, timeout_s)
    except NotASocket as error:  # it could lead to anybody's
        raise _Wrong("what lies at $SOCKET is no socket") from error
    return here or socket.create_connection((host, port), timeout_s)


def _secured(plain: socket.socket, host: str, at: Candidate | Reach) -> ssl.SSLSocket:
    """Return the connection with TLS; on this machine nobody's name is verified."""
    context = ssl.create_default_context()
    if isinstance(at, Candidate) or _is_here(host):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    if isinstance(error, NotLet):
        return f"{fit(printable(error.host), _WORDS)} may not be asked by this server"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, OSError):
        return (error.strerror or "no answer").lower()
    return f"no answer in HTTP ({type(error).__name__})"
