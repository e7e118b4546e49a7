"""Maintenance: visitors see a page, atomically, and the chains are untouched."""

import json
import os
import re
import shutil
import sqlite3
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.git import Work
from support.nginx import nginx
from support.readers import look_through
from support.server import Server
from support.shop import busy, code, staged

from gitdeploy.deploy import maintenance
from gitdeploy.deploy.app import App
from gitdeploy.deploy.maintenance_page import MESSAGE, message_of, page_saying
from gitdeploy.deploy.recover import locked
from gitdeploy.door import surroundings
from gitdeploy.system import files

PAGE = (Path(__file__).resolve().parent.parent / "docs/maintenance.md").read_text()


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """Release 1 on both chains, release 2 staged."""
    return staged(server, work)


def on(shop: Server, *words: str) -> str:
    return shop.gitdeploy("maintenance", "shop", "on", *words).stdout


def off(shop: Server) -> str:
    return shop.gitdeploy("maintenance", "shop", "off").stdout


def shown(shop: Server) -> str:
    """Return what the public link shows: the page's or release's directory."""
    link = shop.link("shop")
    assert link is not None
    return f"{link.parent.name}/{link.name.partition('-')[0]}"


# --- the verb ---------------------------------------------------------------------


def test_the_link_shows_a_page_and_then_prod_again(shop: Server) -> None:
    """Nothing else moves: neither the chains, nor the other links, nor a ref."""
    links, refs, chains = shop.links(), shop.refs(), shop.status()["chains"]
    said = on(shop, "--message", "Back <b>at</b>\n ten & soon")
    assert "shop shows a page: Back <b>at</b> ten & soon" in said
    assert "gitdeploy maintenance shop off" in said
    assert shown(shop) == "maintenance/1"
    page = (shop.target / "shop" / "index.html").read_text()
    assert "<p>Back &lt;b&gt;at&lt;/b&gt; ten &amp; soon</p>" in page
    assert (shop.target / "shop" / ".maintenance").read_text() == page
    assert {**shop.links(), "shop": links["shop"]} == links
    assert (shop.refs(), shop.status()["chains"]) == (refs, chains)
    assert code(shop, "doctor", "shop") == 0
    assert "nothing to repair" in shop.gitdeploy("repair", "shop").stdout
    assert "over, shop is release 1" in off(shop)
    assert shop.links() == links
    assert code(shop, "doctor", "shop") == 0


def test_on_twice_and_off_when_off_are_rightly_nothing_to_do(shop: Server) -> None:
    """Another message is another page, of the same maintenance."""
    assert f"shows a page: {MESSAGE}" in on(shop)
    first = shop.status()["maintenance"]
    assert "since" in on(shop)
    assert shown(shop) == "maintenance/1"
    assert "Another" in on(shop, "--message", "Another")
    assert shown(shop) == "maintenance/2"
    again = shop.status()["maintenance"]
    assert again == {**first, "message": "Another"}
    off(shop)
    assert "off, shop is release 1" in off(shop)
    assert shop.status()["maintenance"] is None
    assert [e["action"] for e in shop.history()][:3] == [
        "maintenance off",
        "maintenance on",
        "maintenance on",
    ]


def test_what_it_is_is_told_as_text_and_as_json(shop: Server) -> None:
    """By the verb without a word, by status and by history."""
    ask = ("maintenance", "shop")
    assert "off, shop is release 1" in shop.gitdeploy(*ask).stdout
    assert shop.json(*ask)["maintenance"] is None
    turned = shop.json(*ask, "on", "--message", "Wait")
    assert (turned["app"], turned["changed"]) == ("shop", True)
    assert turned["maintenance"] == shop.status()["maintenance"]
    assert sorted(turned["maintenance"]) == ["by", "message", "since"]
    assert turned["path"] == str(shop.link("shop"))
    assert shop.json(*ask)["changed"] is False
    assert "shows a page" in shop.gitdeploy(*ask).stdout
    said = shop.gitdeploy("status", "shop").stdout
    assert re.search(r"^maintenance +on, by .*: Wait$", said, re.MULTILINE)
    assert "maintenance on" in shop.gitdeploy("history", "shop").stdout
    event = shop.history()[0]
    assert (event["verdict"], event["reason"]) == ("accepted", "Wait")


def test_a_wrong_word_and_a_busy_app_are_told(shop: Server) -> None:
    assert code(shop, "maintenance", "shop", "perhaps") == 2
    assert code(shop, "maintenance", "shop", "off", "--message", "x") == 2
    with busy(shop):
        assert code(shop, "maintenance", "shop", "on", "--wait", "0") == 75
    assert shop.status()["maintenance"] is None


def test_pages_do_not_pile_up(shop: Server) -> None:
    """The one before stays: somebody may be reading it."""
    for message in "abcd":
        on(shop, "--message", message)
    pages = os.listdir(shop.root / "shop" / "maintenance")
    assert sorted(pages) == ["3", "4"]


def test_a_message_is_read_back_from_its_page() -> None:
    for message in ("plain", "<p>a</p>", "ä & \u2028 'q'"):
        assert message_of(page_saying(message)) == message
    assert message_of(b"\xff") == MESSAGE


# --- beside deployments -------------------------------------------------------------


def test_pushes_releases_and_roll_backs_change_the_chain_and_keep_the_page(
    shop: Server, work: Work
) -> None:
    """Each says that visitors do not see it; after `off` they see what came of it."""
    on(shop)
    work.tag("v2")
    push = work.push("v2")
    assert push.code == 0
    assert any("shop shows a page" in line for line in push.remote_lines)
    assert (shown(shop), shop.status()["chains"]["prod"][0]["number"]) == (
        "maintenance/1",
        2,
    )
    work.commit("three", **{"index.html": "three"})
    push = work.push("main")
    assert push.code == 0
    assert not any("shows a page" in line for line in push.remote_lines)
    assert "shop shows a page until" in shop.gitdeploy("rollback", "shop").stdout
    assert shown(shop) == "maintenance/1"
    shop.gitdeploy("rollforward", "shop")
    shop.gitdeploy("setup", "shop", "--links", "2")
    assert shown(shop) == "maintenance/1"
    off(shop)
    assert shown(shop) == "releases/2"


def test_the_page_moves_with_the_links(shop: Server, tmp_path: Path) -> None:
    on(shop)
    shop.gitdeploy("setup", "shop", "--target", str(tmp_path / "public"))
    shop.target = tmp_path / "public"
    assert shown(shop) == "maintenance/1"
    off(shop)
    assert shown(shop) == "releases/1"


# --- crashes and hands ----------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


@pytest.mark.parametrize("next_", ["repair", "push"])
@pytest.mark.parametrize("turned", ["on", "off"])
def test_a_kill_between_ledger_and_link_is_finished_by_whoever_comes_next(
    shop: Server,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    turned: str,
    next_: str,
) -> None:
    """The ledger is the truth; the link resolves all the time."""
    before = "releases/1"
    if turned == "off":
        on(shop)
        before = "maintenance/1"

    def die(_app: App) -> list[str]:
        raise Killed

    monkeypatch.setattr(maintenance, "show", die)
    turn = maintenance.turn_on if turned == "on" else maintenance.turn_off
    with (
        App.open(shop.root, "shop", surroundings(os.environ), "ada") as app,
        pytest.raises(Killed),
        locked(app, "maintenance", wait_s=10, tell=print),
    ):
        turn(app)
    assert shown(shop) == before
    assert shop.status()["pending"] is True
    if next_ == "repair":
        assert f"maintenance {turned}" in shop.gitdeploy("repair", "shop").stdout
    else:
        work.commit("same")
        assert work.push("main").code == 0
    assert shown(shop) == ("maintenance/1" if turned == "on" else "releases/1")
    assert shop.status()["pending"] is False


@pytest.mark.parametrize("turned", ["on", "off"])
def test_where_the_link_cannot_be_made_all_is_as_before(
    shop: Server, monkeypatch: pytest.MonkeyPatch, turned: str
) -> None:
    """And the event says why."""
    if turned == "off":
        on(shop)
    before, now = shown(shop), shop.status()["maintenance"]

    def full(link: Path, _target: str) -> None:
        raise OSError(28, "No space left on device", str(link))

    turn = maintenance.turn_on if turned == "on" else maintenance.turn_off
    with (
        App.open(shop.root, "shop", surroundings(os.environ), "ada") as app,
        locked(app, "maintenance", wait_s=10, tell=print),
        monkeypatch.context() as patch,
    ):
        patch.setattr(files, "replace_link", full)
        with pytest.raises(OSError, match="space"):
            turn(app)
    assert (shown(shop), shop.status()["maintenance"]) == (before, now)
    assert shop.history()[0]["verdict"] == "failed"
    assert code(shop, "doctor", "shop") == 0


def test_a_page_that_somebody_removed_is_told_and_made_again(shop: Server) -> None:
    on(shop, "--message", "Wait")
    shutil.rmtree(shop.root / "shop" / "maintenance")
    found = shop.gitdeploy("doctor", "shop", "--json", check=False)
    assert [f["name"] for f in json.loads(found.stdout)["findings"]] == ["page-lost"]
    shop.gitdeploy("doctor", "shop", "--fix")
    assert "Wait" in (shop.target / "shop" / "index.html").read_text()
    shutil.rmtree(shop.root / "shop" / "maintenance" / "1")
    shop.gitdeploy("repair", "shop")
    assert "Wait" in (shop.target / "shop" / "index.html").read_text()


def test_a_ledger_rebuilt_from_the_links_does_not_open_the_site(shop: Server) -> None:
    on(shop, "--message", "Wait & see")
    for path in (shop.root / "shop").glob("ledger.db*"):
        path.unlink()
    shop.gitdeploy("repair", "--from-links", "shop")
    assert shop.status()["maintenance"]["message"] == "Wait & see"
    shop.gitdeploy("repair", "shop")
    assert shown(shop) == "maintenance/1"
    off(shop)
    assert shown(shop) == "releases/1"


def test_who_works_with_a_ledger_that_never_heard_of_it_is_not_disturbed(
    shop: Server,
) -> None:
    """No row is no maintenance."""
    with sqlite3.connect(shop.root / "shop" / "ledger.db") as ledger:
        rows = ledger.execute("SELECT * FROM setting WHERE name = 'maintenance'")
        assert rows.fetchall() == []
    ledger.close()
    assert shop.status()["maintenance"] is None


# --- who looks --------------------------------------------------------------------


def snippet(shop: Server) -> str:
    """Return what the page says nginx needs, for this server's links."""
    (found,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    return str(found).replace("/home/deploy/gitdeploy/www", str(shop.target))


@pytest.mark.parametrize("root", ["shop", "shop/public"])
def test_nginx_answers_503_with_the_page_and_then_200(
    server: Server, work: Work, tmp_path: Path, root: str
) -> None:
    """With the lines of docs/maintenance.md, whatever the document root is."""
    pages = dict.fromkeys(("index.html", "public/index.html", "public/a/b"), "site")
    work.commit("one", **pages)
    work.tag("v1")
    assert work.push("main", "v1").code == 0
    with nginx(server, tmp_path / "n", root=root, more=snippet(server)) as (live, dev):
        deep = live if root == "shop" else f"{live}a/b"
        assert _asked(live)[:2] == (200, "site")
        on(server, "--message", "Wait")
        for url in (live, deep, f"{live}no/such/page"):
            status, page, headers = _asked(url)
            assert (status, "<p>Wait</p>" in page) == (503, True), url
            assert headers["Retry-After"] == "300"
            assert headers["Content-Type"] == "text/html"
        assert _asked(live, data=b"a=1")[0] == 503
        assert _asked(dev)[0] == 200
        off(server)
        assert _asked(deep)[:2] == (200, "site")
        assert _asked(f"{live}.maintenance-page")[0] == 404


@pytest.mark.usefixtures("make_page")
def test_no_look_through_the_link_misses_while_it_is_turned_on_and_off(
    shop: Server, tmp_path: Path
) -> None:
    """A tight loop of readers against two hundred switches, pages removed and all."""
    with App.open(shop.root, "shop", surroundings(os.environ), "ada") as app:

        def toggle() -> None:
            with locked(app, "maintenance", wait_s=10, tell=print):
                if maintenance.turn_off(app) is None:
                    assert maintenance.turn_on(app)

        head = shop.target / "shop"
        looked = look_through(head, tmp_path, toggle, looks=20_000, acts=200)
    assert looked.missed == 0
    assert looked.acts >= 200


@pytest.fixture
def make_page(shop: Server, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let release and page have the file that the readers look at."""
    assert shop.links()
    whole = "a" * 64 * 1024
    work.commit("page", page=whole)
    work.tag("v2")
    assert work.push("main", "v2").code == 0
    write = files.replace_file

    def with_page(path: Path, by: Path) -> None:
        if by.is_dir():
            (by / "page").write_text(whole)
        write(path, by)

    monkeypatch.setattr(files, "replace_file", with_page)


def _asked(url: str, data: bytes | None = None) -> tuple[int, str, dict[str, str]]:
    """Return the status, the body and the headers of an answer."""
    try:
        with urllib.request.urlopen(url, data, timeout=10) as answer:  # noqa: S310 - ours
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_health_is_not_asked_while_a_page_is_what_answers(
    shop: Server, work: Work
) -> None:
    """Else no release could be made then; and it is said."""
    shop.gitdeploy("maintenance", "shop", "on")
    toml = '[chains.prod]\nhealth = { url = "http://127.0.0.1:9/", within = "1s" }\n'
    work.commit("asked", **{"deploy.toml": toml})
    work.tag("asked")
    said = work.push("main", "asked")
    assert said.code == 0, said.output
    assert "not asked: maintenance is on" in said.output
