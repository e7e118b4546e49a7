"""What nobody foresaw is a failed push with a log, never an app that is stuck."""

import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.git import Work
from support.held import events, opened
from support.server import Server

from gitdeploy.cli import doctor as doctor_verb
from gitdeploy.cli import repair as repair_verb
from gitdeploy.deploy import (
    activate,
    doctor,
    flip,
    flow,
    prepare,
    repair,
    showing,
    trial,
)
from gitdeploy.deploy.acceptance import Gate
from gitdeploy.deploy.push import Push, receive
from gitdeploy.deploy.report import Report
from gitdeploy.model import RefUpdate, Verdict
from gitdeploy.system.client import Client

MAIN = "refs/heads/main"
ACTIVATES = '[[activate]]\nrun = "true"\n'


def no(*_words: object, **_more: object) -> None:
    raise RuntimeError("nobody foresaw this")


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tracebacks are kept."""
    place = tmp_path / "logs"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    work.commit("one", **{"page": "one", "deploy.toml": ACTIVATES})
    assert work.push("main").code == 0
    return server


def pushed(server: Server, work: Work) -> Verdict:
    """Push what a clone has checked out, with the hook's work done in this process."""
    server.git("fetch", "-q", str(work.path), "HEAD")
    with opened(server) as app:
        old = server.refs()[MAIN]
        push = Push((RefUpdate(MAIN, old, work.head),))
        gate = Gate(app.repository)
        (verdict,) = receive(app, push, gate, Report(Client(None)))
        return verdict


WHERE = {
    "the decision": (flow, "judge"),
    "the checkout": (prepare, "materialise"),
    "the seal": (prepare, "_seal"),
    "the intent": (flow, "check_showable"),
    "the flip": (showing, "flip"),
    "the links": (flip, "_show_links"),
    "what it was made of": (trial, "_asks_anything"),
    "the activation": (activate, "activate"),
    "its place": (activate, "workplace"),
}


@pytest.mark.parametrize("where", WHERE.values(), ids=list(WHERE))
def test_it_fails_the_push_and_leaves_all_as_it_was(
    shop: Server,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    logs: Path,
    where: tuple[object, str],
) -> None:
    """The traceback is kept, and the next push just works."""
    before, links = shop.refs(), shop.links()
    work.commit("two", **{"page": "two", "deploy.toml": ACTIVATES})
    with monkeypatch.context() as patch:
        patch.setattr(*where, no)
        verdict = pushed(shop, work)
    assert verdict.word == "failed"
    assert "a bug: RuntimeError: nobody foresaw this" in verdict.reason
    assert "nobody foresaw this" in next(logs.iterdir()).read_text()
    assert {ref: before[ref] for ref in (MAIN,)} == {MAIN: shop.refs()[MAIN]}
    assert shop.status()["pending"] is False
    assert bool(shop.releases()[0]["bad_at"]) == (where[0] in (activate, trial))
    if where[1] != "_show_links":  # then they cannot be put back either
        assert shop.links() == links
    work.commit("three", **{"page": "three", "deploy.toml": ACTIVATES})
    assert pushed(shop, work).word == "deployed"
    assert (shop.target / "shop-staging/page").read_text() == "three"


def test_after_the_verdict_it_takes_nothing_back(
    shop: Server, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has happened, and is told so."""
    work.commit("two", page="two")
    monkeypatch.setattr(flow.wording, "conclude", no)
    assert pushed(shop, work).word == "deployed"
    assert events(shop)[0].verdict == "deployed"
    assert (shop.target / "shop-staging/page").read_text() == "two"


@pytest.mark.parametrize(
    ("verb", "room", "name"),
    [
        (repair_verb, repair, "repair"),
        (doctor_verb, doctor, "examine"),
    ],
    ids=["repair", "doctor"],
)
def test_one_app_s_failure_never_stops_another_s(
    shop: Server, monkeypatch: pytest.MonkeyPatch, verb, room, name: str
) -> None:
    """The exit status tells of it, and the others are told as ever."""
    shop.setup("wiki")
    done = getattr(room, name)

    def wrong(app, *words, **more):
        if app.name == "shop":
            no()
        return done(app, *words, **more)

    for place in (room, verb):
        if hasattr(place, name):
            monkeypatch.setattr(place, name, wrong)
    result = CliRunner().invoke(verb.command, ["--root", str(shop.root)])
    assert isinstance(result.exception, RuntimeError)
    assert "wiki" in result.output


def test_no_app_waits_for_what_another_s_pusher_chose(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First all links show the truth, whatever has to be tried out after that."""
    shop.setup("wiki")
    seen: list[tuple[str, bool]] = []
    from gitdeploy.deploy import recover

    mend = recover.recover

    def note(app, *words, **more):
        seen.append((app.name, more.get("tries", True)))
        return mend(app, *words, **more)

    monkeypatch.setattr(recover, "recover", note)
    result = CliRunner().invoke(repair_verb.command, ["--root", str(shop.root)])
    assert result.exit_code == 0, result.output
    quick = [("shop", False), ("wiki", False)]
    assert seen == [*quick, ("shop", True), ("wiki", True)]
