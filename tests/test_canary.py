"""Secrets of the shared .env are found nowhere but there, whatever prints them."""

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from support import process
from support.git import Work
from support.server import Server
from support.sinks import posts
from support.tools import needs

CANARY = "cAn4ry/of+the=shop & more"
FORMS = {
    "as it is": CANARY,
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 within more": base64.b64encode(f"x{CANARY}yz".encode()).decode()[4:-4],
    "URL": quote(CANARY, safe=""),
}

PRINTS = """
. "$GITDEPLOY_SHARED_DIR/.env"
echo "$SECRET"
echo "$SECRET" >&2
printf %s "$SECRET" | base64 -w 0; echo
printf 'x%syz' "$SECRET" | base64
python3 -c 'import sys, urllib.parse as u; print(u.quote(sys.argv[1], ""))' "$SECRET"
printf '\\033[31m%s\\033[0m\\n' "$SECRET"
for piece in 1 2 3; do printf %s "$SECRET"; sleep 0.02; done; echo
"""

REDIRECTS = """
import http.server, os
secret = open(os.environ["GITDEPLOY_SHARED_DIR"] + "/.env").read().split("'")[1]
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://elsewhere.test/?token=" + secret)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""

SHARED = '[shared]\nfiles = [".env"]\n'
STEP = "[[build.steps]]\nname = 'prints'\nrun = 'sh prints'\n"
FAILS = "[[build.steps]]\nname = 'fails'\nrun = 'sh prints; exit 3'\n"
CHECK = "[[checks]]\nname = 'prints'\nrun = 'sh prints; exit 3'\n"
ACTIVATE = "[[activate]]\nname = 'prints'\nrun = 'sh prints; exit 3'\n"
SERVED = "[[checks]]\nname = 'page'\nserve = 'exec python3 page.py'\nwithin = '2s'\n"
SERVED += "url = '/'\n"

OURS = (b"git", b"/usr/bin/bwrap", b"/usr/bin/prlimit")

DEEDS = {
    "a step that succeeds": (STEP, 0),
    "a step that fails": (FAILS, 1),
    "a check that fails": (CHECK, 1),
    "an activation that fails": (ACTIVATE, 1),
    "a page that leads elsewhere": (SERVED, 1),
}


@contextmanager
def watched_processes() -> Iterator[list[bytes]]:
    """Every command line of gitdeploy's own and git's that is seen meanwhile."""
    seen: list[bytes] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes()
                except OSError:
                    continue
                if b"gitdeploy" in words or words.startswith(
                    (b"git", b"/usr/bin/bwrap")
                ):
                    seen.append(words)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        over.set()
        looking.join()


def everything(server: Server) -> Iterator[tuple[str, bytes]]:
    """Yield all that the server has on its disk, but for the one file."""
    for folder, _, names in os.walk(server.root):
        for name in names:
            path = Path(folder, name)
            if path == server.root / "shop/shared/.env" or path.is_symlink():
                continue
            yield str(path), path.read_bytes()


@pytest.mark.parametrize("confine", ["off", "require"])
def test_a_secret_is_found_nowhere_but_in_its_file(
    server: Server, work: Work, confine: str
) -> None:
    """Not in logs, ledger, refs, releases, notices, processes, or what is told."""
    needs("bwrap")
    told: list[str] = []
    with posts() as sink, watched_processes() as commands:
        (server.root / "shop/server.toml").write_text(
            f'[steps]\nconfine = "{confine}"\n[notify]\nurls = ["json://{sink.url[7:]}"]\n'
            'on = ["deployed", "failed", "rolled back", "refused"]\n'
        )
        server.gitdeploy("env", "shop", "set", "SECRET", input=f"{CANARY}\n")
        for number, (deed, (toml, code)) in enumerate(DEEDS.items()):
            files = {"deploy.toml": SHARED + toml, "prints": PRINTS, "n": str(number)}
            work.commit(deed, **files, **{"page.py": REDIRECTS})
            pushed = work.push("main")
            assert pushed.code == code, (deed, pushed.output)
            told.append(pushed.output)
        assert "[hidden]" in told[0]
        assert told[0].count("[hidden]") >= 8, told[0]
        for verb in ("status", "history", "releases", "doctor", "plan"):
            words = [verb, "shop", *(["main"] if verb == "plan" else [])]
            done = server.gitdeploy(*words, check=False)
            told.append(done.stdout + done.stderr)
        told.append(server.gitdeploy("history", "shop", "--json").stdout)
        told += [server.gitdeploy("logs", "shop", str(n)).stdout for n in (1, 2, 3, 4)]
        told.append(server.gitdeploy("env", "shop", "list").stdout)
        told.append(process.run("git", "ls-remote", server.url()).stdout)
        told += [body.decode() for _, body in sink.got]
    for what, form in FORMS.items():
        for text in told:
            assert form not in text, (what, text)
        for path, content in everything(server):
            assert form.encode() not in content, (what, path)
        assert not [words for words in commands if form.encode() in words], what
    assert commands
    for log in (server.root / "shop/logs").iterdir():
        assert log.stat().st_mode & 0o777 == 0o640
