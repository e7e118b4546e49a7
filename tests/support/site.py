"""A web server that answers as what is live says, and remembers what was asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Site:
    """A running web server.

    Attributes:
        url: Its address.
        asked: Where tests may keep notes of theirs.
        says: What each answer ends with.
    """

    def __init__(self, url: str, asked: Path) -> None:
        self.url = url
        self.asked = asked
        self.says = ""
        self._heard: list[str] = []

    def heard(self) -> list[str]:
        """Return the status of each answer so far."""
        return list(self._heard)

    def answered(self, status: str) -> None:
        """Remember an answer."""
        self._heard.append(status)


@contextmanager
def serving(directory: Path, asked: Path) -> Iterator[Site]:
    """Serve a directory for the body: its file `status` says how it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = (directory / "status").read_text()
            site.answered(status)
            self.send_response(int(status))
            self.end_headers()
            self.wfile.write((directory / "page").read_bytes() + site.says.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_address[1]}/", asked)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
