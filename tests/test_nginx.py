"""A real nginx serves what the links show, and notices every flip."""

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.git import Work
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
    server {{ listen 127.0.0.1:{port}; root {www}/shop; }}
    server {{ listen 127.0.0.1:{staging}; root {www}/shop-staging; }}
}}
"""


@contextmanager
def nginx(server: Server, here: Path) -> Iterator[tuple[str, str]]:
    """Serve prod and dev; give their URLs."""
    port, staging = free_port(), free_port()
    here.mkdir(mode=0o755)
    config = here / "nginx.conf"
    config.write_text(
        CONFIG.format(here=here, www=server.target, port=port, staging=staging)
    )
    user = "user root;\n" if Path("/root").owner() == _owner(here) else ""
    config.write_text(user + config.read_text())
    with started(needs("nginx"), "-e", str(here / "error.log"), "-c", str(config)):
        urls = f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{staging}/"
        for url in urls:
            _wait_for(url)
        yield urls


def test_nginx_serves_staging_and_live_through_the_links(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """Stage, release, roll back: each seen at once, without a reload."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", **{"index.html": "one"})
    assert ada.push("main").code == 0
    with nginx(server, tmp_path / "nginx") as (live, staging):
        assert _status(live) == 403
        assert _get(staging) == "one"
        ada.tag("v1")
        assert ada.push("v1").code == 0
        assert _get(live) == "one"
        ada.commit("two", **{"index.html": "two"})
        ada.tag("v2")
        assert ada.push("main", "v2").code == 0
        assert (_get(live), _get(staging)) == ("two", "two")
        server.gitdeploy("rollback", "shop")
        assert (_get(live), _get(staging)) == ("one", "two")


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - ours
        return str(response.read().decode())


def _status(url: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(url)
    caught.value.close()
    return caught.value.code


def _wait_for(url: str) -> None:
    """Wait until somebody listens, whatever the answer; at most 10 s."""
    import socket
    import time

    port = int(url.rstrip("/").rsplit(":", 1)[1])
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end, "nginx does not listen"
            time.sleep(0.02)
        else:
            return


def _owner(path: Path) -> str:
    return path.owner()
