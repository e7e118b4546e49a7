"""Services of the app shop under a real supervisor, and those who ask them."""

import http.client
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitdeploy.deploy.app import App
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.services import restart_services
from gitdeploy.system.client import Client
from gitdeploy.system.surroundings import Surroundings
from support.git import Work
from support.server import Server
from support.tools import needs

WSGI = """
import os, time
RELEASE = os.environ["GITDEPLOY_RELEASE"].encode()
def app(env, start):
    if env["PATH_INFO"] == "/slow":
        time.sleep(1.5)
    start("200 OK", [("Content-Length", str(len(RELEASE)))])
    return [RELEASE]
"""

ASGI = """
import asyncio, os
RELEASE = os.environ["GITDEPLOY_RELEASE"].encode()
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": RELEASE})
"""

NODE = """
const http = require("http")
const server = http.createServer((request, response) => {
  const answer = () => response.end(process.env.GITDEPLOY_RELEASE)
  request.url === "/slow" ? setTimeout(answer, 1500) : answer()
})
server.listen({ fd: 3 })
process.on("SIGTERM", () => server.close(() => process.exit(0)))
"""

SURROUNDINGS = Surroundings(
    os.environ["PATH"], "/", "C.UTF-8", "root", "/bin/sh", tempfile.gettempdir()
)


def gunicorn() -> tuple[dict[str, str], list[str]]:
    """Return the files and the command of a gunicorn."""
    words = [sys.executable, "-m", "gunicorn", "--threads=4", "--no-control-socket"]
    return {"app.py": WSGI}, [*words, "app:app"]


def uvicorn() -> tuple[dict[str, str], list[str]]:
    """Return the files and the command of a uvicorn."""
    words = [sys.executable, "-m", "uvicorn", "--fd=3", "--lifespan=off"]
    return {"app.py": ASGI}, [*words, "--no-access-log", "app:app"]


def node() -> tuple[dict[str, str], list[str]]:
    """Return the files and the command of a server in Node."""
    return {"server.js": NODE}, [needs("node"), "server.js"]


def described(run: list[str], listen: str, **more: str) -> str:
    """Return a deploy.toml with the service web."""
    keys = {"ready_after": "1s", "within": "20s", "stop_timeout": "10s", **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    head = ["[[services]]", 'name = "web"', f"run = {json.dumps(run)}"]
    one_chain = "" if listen.endswith(".sock") else "[chains.prod]\nservices = []\n"
    return "\n".join([*head, f'listen = "{listen}"', *lines, one_chain])


@contextmanager
def short_server() -> Iterator[Server]:
    """A server whose paths fit a unix socket; its services end with the body."""
    root = Path(tempfile.mkdtemp(prefix="gd-"))
    server = Server(root)
    try:
        yield server
    finally:
        for app in root.glob("*/ledger.db"):
            server.gitdeploy("service", "uninstall", app.parent.name, check=False)
        shutil.rmtree(root)


def deploy(server: Server, work: Work, **files: str) -> str:
    """Push a commit and let the services of dev run it; return the release's name."""
    work.commit("a change", **files)
    push = work.push("main")
    assert push.code == 0, push.output
    settle(server)
    return live(server)


def live(server: Server) -> str:
    """Return the name of the release that is live on dev."""
    return server.status()["chains"]["dev"][0]["release"]


def settle(server: Server) -> None:
    """Let the services of dev run what is live there."""
    with App.open(server.root, "shop", SURROUNDINGS, "ada") as app:
        wanted = what_is_live(app, "dev")
        assert wanted
        restart_services(app, wanted, Report(Client(2)))


def slots(server: Server) -> dict[int, tuple[str, str, int]]:
    """Return the state, release and process of each slot of web on dev in use."""
    shown = json.loads(
        server.gitdeploy("service", "status", "shop", "--json", check=False).stdout
    )
    (web,) = [one for one in shown["services"] if one["chain"] == "dev"]
    return {s["slot"]: (s["state"], s["release"], s["pid"]) for s in web["slots"]}


def until(true: Callable[[], bool], what: str, within_s: float = 20) -> None:
    """Wait until something holds."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def ask(address: str, path: str = "/") -> str:
    """Return what a service answers on a connection of its own."""
    connection = _Connection(address)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, (answer.status, body)
    finally:
        connection.close()
    return body


@contextmanager
def asked_all_the_time(address: str, clients: int = 3) -> Iterator[Counter[str]]:
    """Ask a service again and again for the body; count its answers, and failures."""
    answers: Counter[str] = Counter()
    over = threading.Event()

    def go() -> None:
        while not over.is_set():
            try:
                answers[ask(address)] += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                answers[f"failed: {error!r}"] += 1

    threads = [threading.Thread(target=go) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def failures(answers: Counter[str]) -> dict[str, int]:
    """Return the failures among what was counted."""
    return {what: n for what, n in answers.items() if what.startswith("failed")}


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: str) -> None:
        super().__init__("localhost", timeout=20)
        self._address = address

    def connect(self) -> None:
        if self._address.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(20)
            self.sock.connect(self._address)
        else:
            host, _, port = self._address.rpartition(":")
            self.sock = socket.create_connection((host, int(port)), 20)


def alive(pid: int) -> bool:
    """Tell whether a process runs; what nobody has waited for has ended.

    Its parent may be the test itself, once that was a subreaper (prctl(2)).
    """
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(") ")[2][0] != "Z"
    return False
