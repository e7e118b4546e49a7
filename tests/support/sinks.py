"""Where notices go in tests: a web server and a mail server on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Posts:
    """What a web server got.

    Attributes:
        url: Its address.
        got: Headers and body of each request, oldest first.
        answers: The status of the next answers; 200 where none is left.
        hangs: Whether it never answers.
    """

    def __init__(self) -> None:
        self.url = ""
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.hangs = threading.Event()
        self.over = threading.Event()


@contextmanager
def posts() -> Iterator[Posts]:
    """A web server that remembers what is posted to it."""
    sink = Posts()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sink.got.append((dict(self.headers), body))
            if sink.hangs.is_set():
                sink.over.wait()
            self.send_response(sink.answers.pop(0) if sink.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sink.url = f"http://127.0.0.1:{server.server_address[1]}/hook/private-path"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield sink
    finally:
        sink.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def mailbox() -> Iterator[tuple[str, list[Message]]]:
    """A mail server: an address for apprise, and what was sent to it."""
    from aiosmtpd.controller import Controller

    got: list[Message] = []

    class Handler:
        async def handle_DATA(  # noqa: N802 - aiosmtpd's own word
            self,
            _server: Any,
            _session: Any,
            envelope: Any,
        ) -> str:
            got.append(message_from_bytes(envelope.content))
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=_free_port())
    controller.start()
    try:
        place = f"127.0.0.1:{controller.port}"
        yield f"mailto://{place}?from=shop@example.org&to=team@example.org", got
    finally:
        controller.stop()


def _free_port() -> int:
    from gitdeploy.probe import free_port

    return free_port()
