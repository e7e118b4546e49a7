"""A real nginx on loopback that serves what the links show."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.process import started
from support.server import Server
from support.sshd import free_port
from support.tools import needs

CONFIG = """
daemon off;
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    server {{ listen 127.0.0.1:{port}; root {www}/{root}; {more} }}
    server {{ listen 127.0.0.1:{staging}; root {www}/shop-staging; }}
}}
"""


@contextmanager
def nginx(
    server: Server, here: Path, *, root: str = "shop", more: str = ""
) -> Iterator[tuple[str, str]]:
    """Serve prod and dev of the app shop for the body; give their URLs.

    Args:
        server: Whose links are served.
        here: A directory of nginx's own, made here.
        root: The document root of prod, below the target.
        more: What else stands in the server of prod.
    """
    port, staging = free_port(), free_port()
    here.mkdir(mode=0o755)
    config = here / "nginx.conf"
    config.write_text(
        CONFIG.format(
            here=here,
            www=server.target,
            port=port,
            staging=staging,
            root=root,
            more=more,
        )
    )
    user = "user root;\n" if here.owner() == "root" else ""
    config.write_text(user + config.read_text())
    with started(needs("nginx"), "-e", str(here / "error.log"), "-c", str(config)):
        for listened in (port, staging):
            wait_for(listened)
        yield f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{staging}/"


def wait_for(port: int) -> None:
    """Wait until somebody listens; at most 10 s."""
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.02)
        else:
            return
