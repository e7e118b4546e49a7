"""What the server does on a pusher's behalf is bounded by the server."""

import json
import threading
from collections.abc import Iterator
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.services import until
from support.sinks import mailbox, posts

from hostile.scene import Scene

SECRET = "canary-of-the-metadata"  # noqa: S105 - of nobody


class Internal:
    """What answers on this machine, and whether somebody asked it.

    Attributes:
        port: Of every address of the machine.
        asked: What was asked, by path.
        to: Where it redirects to; empty: it answers.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self.to = ""


@pytest.fixture
def internal() -> Iterator[Internal]:
    """A server that answers whoever asks with a secret."""
    found = Internal(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            if found.to and self.path != "/end":
                self.send_response(302)
                self.send_header("Location", found.to)
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SECRET.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def health(url: str, chain: str = "", text: str = SECRET) -> str:
    """Return a deploy.toml whose health asks there, and a step that tells it ran."""
    table = f"[chains.{chain}.health]" if chain else "[health]"
    step = '[[build.steps]]\nrun = "echo the step ran"\n'
    asked = f'{table}\nurl = "{url}"\ntext = "{text}"\nwithin = "1s"\n'
    return f"{step}{asked}"


ELSEWHERE = (
    ("169.254.169.254", ""),
    ("2852039166", "prod"),
    ("[::ffff:169.254.169.254]", ""),
    ("[fd00:ec2::254]", "prod"),
    ("192.0.2.7", ""),
    ("[fe80::1]", "dev"),
)


def test_health_that_asks_elsewhere_is_refused_before_anything_is_built(
    attack: Scene,
) -> None:
    """Also where it is prod's, and only dev is pushed to."""
    work = attack.clone("mallory")
    for host, chain in ELSEWHERE:
        push = attack.push(work, health(f"http://{host}/", chain))
        assert push.code == 1
        key = f"chains.{chain}.health.url" if chain else "health.url"
        assert f"{key}: " in str(push)
        assert "the step ran" not in str(push)
    assert attack.json("releases", "shop")["releases"] == []


def test_server_toml_says_who_else_may_be_asked(attack: Scene) -> None:
    """And the refusal names the line that is missing."""
    work = attack.clone("mallory")
    push = attack.push(work, health("http://192.0.2.7:8080/"))
    (hint,) = [line for line in push.output.splitlines() if "[health] hosts" in line]
    attack.server_toml('[health]\nhosts = ["192.0.2.7:8080"]\n')
    assert '[health] hosts = ["192.0.2.7:8080"]  in server.toml' in hint
    push = attack.push(work, health("http://192.0.2.7:8080/"))
    assert "the step ran" in push.output
    assert push.code == 1  # nobody is there


def test_loopback_is_no_oracle_where_steps_have_no_network(
    attack: Scene, internal: Internal
) -> None:
    closed = '[steps]\nconfine = "require"\nnetwork = false\n'
    attack.server_toml(closed)
    work = attack.clone("mallory")
    url = f"http://127.0.0.1:{internal.port}/"
    for asked in (url, f"http://localhost:{internal.port}/"):
        push = attack.push(work, health(asked))
        assert push.code == 1
        assert "does not let" in str(push)
    assert internal.asked == []
    attack.server_toml(f'{closed}[health]\nhosts = ["127.0.0.1:{internal.port}"]\n')
    push = attack.push(work, health(url))
    assert push.code == 0, push.output
    assert internal.asked == ["/"]


def test_a_redirect_leads_nowhere_else(attack: Scene, internal: Internal) -> None:
    """An allowed host that sends us on is followed on this machine alone."""
    attack.server_toml('[health]\nhosts = ["shop.example.org"]\n')
    work = attack.clone("mallory")
    for to in (
        "http://169.254.169.254/latest/meta-data/",
        "http://192.0.2.7/",
        f"http://2852039166:{internal.port}/end",
    ):
        internal.to = to
        push = attack.push(work, health(f"http://127.0.0.1:{internal.port}/"))
        assert push.code == 1
        assert "redirected to another server" in str(push)
        assert SECRET not in str(push)
    assert "/end" not in internal.asked


def test_what_was_live_is_gone_back_to_although_it_asks_what_is_no_more_let(
    attack: Scene, internal: Internal
) -> None:
    """A roll back in the night does not fail by a line of server.toml."""
    url = f"http://127.0.0.1:{internal.port}/"
    work = attack.clone("mallory")
    for tag in ("v1", "v2"):
        assert attack.push(work, health(url), page=tag).code == 0
        assert attack.release(work, tag).code == 0
        work.git("config", "core.sshCommand", " ".join(attack.client("mallory")))
    attack.server_toml('[steps]\nconfine = "require"\nnetwork = false\n')
    done = attack.ssh("rita", "rollback shop prod")
    assert done.returncode == 0, done.stdout + done.stderr
    assert attack.served()["page"] == b"v1"
    assert "not asked: the server does not let" in done.stderr


REF = "<img/src=x>@everyone-evil.example.org"


def test_what_a_pusher_writes_acts_in_no_notice(attack: Scene) -> None:
    """Neither by mail nor in a chat; and the record for programs has it as it is."""
    with mailbox() as (url, got), posts() as sink:
        chat = f"json://{sink.url.removeprefix('http://')}"
        on = 'on = ["deployed", "failed", "refused"]'
        attack.server_toml(f'[notify]\nurls = ["{url}", "{chat}"]\n{on}\n')
        work = attack.clone("mallory")
        failing = (
            '[[build.steps]]\nname = "<!channel> [x](//y.example.org)"\nrun = "false"'
        )
        assert attack.push(work, failing).code == 1
        assert attack.push(work, "", f"HEAD:refs/heads/{REF}", page="2").code == 1
        until(lambda: len(got) == len(sink.got) == 2, "both are told")
    texts = [str(message["Subject"]) for message in got]
    for message in got:
        assert message.get_content_type() == "text/plain"
        body = message.get_payload(decode=True)
        assert isinstance(body, bytes)
        texts.append(body.decode())
    texts += [json.loads(body)["message"] for _, body in sink.got]
    texts += [json.loads(body)["title"] for _, body in sink.got]
    for text in texts:
        shown = str(make_header(decode_header(text)))
        for acting in ("<img", "@everyone", "<!channel", "](", "evil.example"):
            assert acting not in shown
    assert any("channel" in text for text in texts)
