"""Who wants to know what became of a deployment is told, and nobody waits for it."""

import gzip
import hmac
import json
import os
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from support.git import Work
from support.server import Server
from support.sinks import Posts, mailbox, posts

from gitdeploy.channels import Notice, tame
from gitdeploy.config import Seconds, parse_server
from gitdeploy.config.notify import Address, Notify, Webhook
from gitdeploy.deploy import notices
from gitdeploy.errors import ConfigError
from gitdeploy.model import Deployment
from gitdeploy.system import flock, processes

SECRET = "correct horse battery staple"  # noqa: S105 - made up
PAGE = Path(__file__).resolve().parent.parent / "docs/notifications.md"


@pytest.fixture
def hook() -> Iterator[Posts]:
    """A webhook that remembers."""
    with posts() as sink:
        yield sink


def tell(server: Server, hook: Posts, words: str = "") -> None:
    """Write into server.toml that a webhook is told."""
    toml = f'{words}\n[notify.webhook]\nurl = "{hook.url}"\nsecret = "{SECRET}"\n'
    (server.root / "shop/server.toml").write_text(f"[notify]\n{toml}")


def eventually(true: Callable[[], bool], within_s: float = 30) -> None:
    """Wait until something is true."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.02)


def told(server: Server, hook: Posts, number: int) -> list[dict[str, object]]:
    """Return what a webhook was told, once that is so much and all is told."""
    eventually(lambda: len(hook.got) >= number)
    eventually(lambda: not flock.is_held(server.root / "shop/notifying"))
    records = [json.loads(body) for _, body in hook.got]
    assert len(records) == number, records
    return records


def test_an_address_that_is_no_url_is_refused_and_not_shown():
    for url in ("mailto://user:pa[ss@host", "plain", "mailto://a b\\u0007c"):
        with pytest.raises(ConfigError) as no:
            parse_server(f'[notify]\nurls = ["{url}"]'.encode(), where="server.toml")
        assert "notify.urls[0]: should be a URL such as" in no.value.message
        assert url[-4:] not in no.value.message


def test_a_webhook_is_told_of_what_was_pushed_and_of_what_failed(
    server: Server, work: Work, hook: Posts
) -> None:
    """Signed, so that the documented lines know it for ours."""
    tell(server, hook, 'on = ["deployed", "failed", "rolled back", "refused"]')
    work.commit("one", page="one")
    assert work.push("main").code == 0
    work.commit("two", **{"deploy.toml": '[[build.steps]]\nrun = "exit 1"'})
    assert work.push("main").code == 1
    assert work.push("HEAD:refs/heads/other").code == 1
    records = told(server, hook, 3)
    assert [r["event"] for r in records] == ["deployed", "failed", "refused"]
    event = records[0]["deployment"]
    assert event == server.history()[-1]
    assert records[2]["live"]["dev"]["number"] == 1  # type: ignore[index]
    is_ours = documented()
    for headers, body in hook.got:
        assert is_ours(SECRET.encode(), headers, body)
        assert not is_ours(b"another", headers, body)
        assert not is_ours(SECRET.encode(), headers, body + b" ")


def documented() -> Callable[..., bool]:
    """Return the function that docs/notifications.md shows."""
    (python,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Callable[..., bool]] = {}
    exec(python, {"hmac": hmac, "time": time}, names)  # type: ignore[arg-type]  # noqa: S102 - ours
    return names["is_ours"]


def test_mail_is_sent_after_a_push_a_failure_and_a_roll_back(
    server: Server, work: Work
) -> None:
    """By a real mail server, through apprise."""
    with mailbox() as (url, got):
        toml = server.root / "shop/server.toml"
        toml.write_text(f'[notify]\nurls = ["{url}"]\n')
        for page in ("one", "two"):
            work.commit(page, page=page)
            assert work.push("main").code == 0
        server.gitdeploy("rollback", "shop", "dev")
        work.commit("bad", **{"deploy.toml": '[[build.steps]]\nrun = "exit 1"'})
        assert work.push("main").code == 1
        eventually(lambda: len(got) == 4)
        eventually(lambda: not flock.is_held(server.root / "shop/notifying"))
    user = server.history()[0]["by"]
    assert [message["Subject"] for message in got] == [
        f"shop: staged main (release 1) by {user}",
        f"shop: staged main (release 2) by {user}",
        f"shop: rolled back dev to release 1 by {user}",
        f"shop: stage of main failed, by {user}",
    ]


def test_what_fails_is_tried_again_and_then_told_to_the_log(
    server: Server, work: Work, hook: Posts
) -> None:
    """A channel that is dead for good holds up nobody."""
    tell(server, hook, "tries = 3")
    hook.answers = [500, 502]
    work.commit("one", page="one")
    assert work.push("main").code == 0
    assert [r["event"] for r in told(server, hook, 3)] == ["deployed"] * 3
    log = server.root / "shop/logs/notify.log"
    assert not log.exists()
    hook.answers = [500, 500, 500]
    work.commit("two", page="two")
    assert work.push("main").code == 0
    told(server, hook, 6)
    (line,) = log.read_text().splitlines()
    assert "webhook http://127.0.0.1: it answered 500: shop: staged main" in line


def test_nobody_waits_for_a_channel_that_never_answers(
    server: Server, work: Work, hook: Posts
) -> None:
    """And whoever is killed while telling has it told by the next one."""
    tell(server, hook)
    hook.hangs.set()
    work.commit("one", page="one")
    assert work.push("main").code == 0  # it would not return
    eventually(lambda: len(hook.got) == 1)
    home = server.root / "shop"
    for one in processes.running():
        if one.pid != os.getpid() and str(home / "notifying") in one.paths(str(home)):
            os.kill(one.pid, signal.SIGKILL)
    eventually(lambda: not flock.is_held(home / "notifying"))
    hook.hangs.clear()
    shown = server.json("notify", "shop")
    assert (shown["channels"], shown["waiting"]) == (
        [{"name": "webhook http://127.0.0.1"}],
        1,
    )
    work.commit("two", page="two")
    assert work.push("main").code == 0
    numbers = [r["deployment"]["number"] for r in told(server, hook, 3)]  # type: ignore[index]
    assert numbers == [1, 1, 2]


def test_what_was_before_is_not_told(server: Server, work: Work, hook: Posts) -> None:
    """Who writes server.toml today wants to know of today."""
    for page in ("one", "two"):
        work.commit(page, page=page)
        assert work.push("main").code == 0
    tell(server, hook)
    later = time.time() + 10
    os.utime(server.root / "shop/server.toml", (later, later))
    assert server.json("notify", "shop")["waiting"] == 0


def test_secrets_are_shown_nowhere(server: Server, work: Work, hook: Posts) -> None:
    """Neither in logs nor by the verb, nor where the file is wrong."""
    tell(server, hook, "tries = 1")
    hook.answers = [500]
    work.commit("one", page="one")
    said = work.push("main").output
    told(server, hook, 1)
    hook.answers = [500]
    test = server.gitdeploy("notify", "shop", "--test", check=False)
    assert test.returncode == 1
    assert "webhook http://127.0.0.1 could not be told" in test.stderr
    said += test.stdout + test.stderr + server.gitdeploy("notify", "shop").stdout
    files = [path for path in (server.root / "shop").rglob("*") if path.is_file()]
    said += "".join(
        path.read_bytes().decode("latin-1")
        for path in files
        if path.name != "server.toml"
    )
    (server.root / "shop/server.toml").write_text(
        '[notify.webhook]\nurl = "private-path"\nsecret = 7\n'
    )
    said += server.gitdeploy("notify", "shop", check=False).stderr
    assert "notify.webhook" in said
    assert SECRET not in said
    assert "private-path" not in said


def test_a_test_tells_everybody_now(server: Server, work: Work, hook: Posts) -> None:
    """And says who was told; without anybody it says how to name one."""
    done = server.gitdeploy("notify", "shop", "--test", check=False)
    assert done.returncode == 2
    assert "server.toml" in done.stderr
    assert server.json("notify", "shop")["channels"] == []
    tell(server, hook)
    shown = server.json("notify", "shop", "--test")["channels"]
    assert shown == [{"name": "webhook http://127.0.0.1", "ok": True, "why": ""}]
    assert json.loads(hook.got[0][1])["event"] == "test"
    assert work.path.exists()


def event(verdict: str | None, chain: str | None = "prod", action: str = "release"):
    """An event of which only these matter."""
    return Deployment(
        *(1, action, chain, None, None, None, 1, "1", None, "ended"),
        *(verdict, None, "ada", "2026-01-01T00:00:00Z", None, None),
    )


@pytest.mark.parametrize(
    ("verdict", "chain", "word"),
    [
        ("deployed", "prod", "deployed"),
        ("rolled forward", "prod", "deployed"),
        ("rolled back", "prod", "rolled back"),
        ("failed", "prod", "failed"),
        ("deployed", "dev", None),
        ("refused", None, None),
        ("unchanged", "prod", None),
        ("accepted", None, None),
        ("superseded", "prod", None),
        ("cancelled", "prod", None),
        ("abandoned", "prod", None),
        (None, "prod", None),
    ],
)
def test_who_is_told_of_what(verdict, chain, word):
    assert notices.event_word(event(verdict, chain), Notify(chains=("prod",))) == word


def test_pauses_grow_and_a_channel_that_raises_is_only_one_that_fails():
    pauses: list[float] = []

    class Broken:
        name = "broken"

        def send(self, _notice: Notice) -> str:
            raise ValueError(SECRET)

    why = notices.send_patiently(Broken(), Notice("", "", {}), 4, pauses.append)
    assert (why, pauses) == ("a bug: ValueError", [0.5, 2.0, 8.0])


ACTING = {
    "everybody": "@everyone",
    "whoever is there": "@here",
    "one": "<@1234>",
    "a group": "<!subteam^S012>",
    "a channel": "<!channel>",
    "a room": "@room",
    "a link": "https://evil.example.org/?a=b",
    "a link with words": "[log in](https://evil.example.org)",
    "a link of Slack's": "<https://evil.example.org|log in>",
    "a host": "evil.example.org",
    "a picture": "![](//evil.example.org/p.png)",
    "HTML": "<img src=x onerror=alert(1)>",
    "code": "```",
    "bold": "**",
    "a spoiler": "||x||",
    "a heading": "# Deployed",
    "a quote": "> Deployed",
    "a name for a picture": ":tada:x",
    "an address without slashes": "javascript:alert(1)",
}


@pytest.mark.parametrize("text", ACTING.values(), ids=ACTING)
def test_nothing_in_a_notice_acts(text):
    tamed = tame(f"{text} and main")
    assert tamed.replace("\u200b", "") == f"{text} and main"
    acting = r"@\w|<[!@#a-z]|\]\(|//\w.*://|://|\w\.[a-z]{2}|``|\*\*|\|\||^[#>] "
    acting += r"|\w:[a-z]"
    assert not re.search(acting, tamed)


def test_ordinary_words_are_told_as_they_are():
    for text in ("shop: staged main (release 1) by ada", "v1.2.3", "on web1, 12:30:05"):
        assert tame(text) == text


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
def test_a_notice_by_mail_is_plain_text_and_has_our_headers_alone():
    with mailbox() as (url, got):
        notify = Notify(urls=(Address(url),))
        title = "shop: staged <b>x</b>\r\nBcc: all@example.org\n\n<script>"
        said = "<script>x</script>\x1b[2J\nlive"
        assert not notices.told(notify, Notice(title, said, {}))
    (message,) = got
    assert message.get_content_type() == "text/plain"
    assert message["Bcc"] is None
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert b"<script" not in body
    assert b"\x1b" not in body
    assert len(body.splitlines()) == 2


class Dripping:
    """A webhook that answers for ever, or with far too much."""

    def __init__(self, answer: Callable[[socket.socket], object]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                self._answer(connection)


def test_one_deadline_holds_for_all_of_a_notice():
    """A byte now and then is no answer: the outbox does not wait for it."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not sink.over.wait(0.05):
            connection.sendall(b"x")

    with Dripping(drip) as sink:
        notify = Notify(within_s=Seconds(1), webhook=Webhook(url=Address(sink.url)))
        told = notices.told(notify, Notice("a", "b", {}))
    assert told == [("webhook http://127.0.0.1", "not told within 1.0 s and 256 MiB")]


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_what_a_service_answers_takes_no_memory(kind):
    """However much it is once it is unpacked."""
    packed = gzip.compress(bytes(700 * 2**20), 1)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}"

    def bomb(connection: socket.socket) -> None:
        connection.sendall(head.encode() + b"\r\n\r\n" + packed)

    with Dripping(bomb) as sink:
        notify = Notify(tries=1, webhook=Webhook(url=Address(sink.url)))
        if kind == "apprise":
            url = sink.url.replace("http", "json")
            notify = Notify(tries=1, urls=(Address(url),))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        told = notices.told(notify, Notice("a", "b", {}))
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most <= max(before, 450 * 1024)  # KiB
    assert len(told) == (kind == "apprise")  # whose library reads all of it


def test_a_webhook_that_sends_us_on_is_not_followed(hook: Posts) -> None:
    """Whoever answers there must not choose what else this machine asks."""

    def away(connection: socket.socket) -> None:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {hook.url}\r\nContent-Length: 0"
        connection.sendall(answer.encode() + b"\r\n\r\n")

    with Dripping(away) as sink:
        notify = Notify(tries=1, webhook=Webhook(url=Address(sink.url)))
        told = notices.told(notify, Notice("a", "b", {}))
    assert told == [("webhook http://127.0.0.1", "it answered 302")]


def test_what_nobody_would_read_is_not_told(hook: Posts) -> None:
    notify = Notify(webhook=Webhook(url=Address(hook.url)))
    assert not notices.told(notify, Notice("a", "b", {"why": ["x" * 10**6]}))
    assert len(hook.got[0][1]) < 5000


@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
def test_a_notice_is_as_long_as_anybody_reads(hook: Posts) -> None:
    notify = Notify(urls=(Address(hook.url.replace("http", "json")),))
    assert not notices.told(notify, Notice("a" * 10**5, "b" * 10**5, {}))
    assert len(hook.got[0][1]) < 10_000
