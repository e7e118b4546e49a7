"""What somebody left who died, or began who lends the lock: whose it is, how long."""

import json
import threading
from pathlib import Path

import pytest
from support.git import Work
from support.held import opened, until
from support.server import Server
from support.site import serving

from gitdeploy.deploy import activate, asking, services, trial
from gitdeploy.deploy.app import App
from gitdeploy.deploy.lending import lending
from gitdeploy.deploy.placed import what_is_live
from gitdeploy.deploy.recover import locked, recover
from gitdeploy.ledger import dumps
from gitdeploy.lock import cancel, holder, waiting
from gitdeploy.model import Deployment
from gitdeploy.probe import Heard
from gitdeploy.system import clock
from gitdeploy.system.clock import Stopwatch

WITHIN_S = 300
AGO_S = 240
STEPPED_S = 5  # so far the clock on the wall may be set while the test runs
STEP = '[[activate]]\nrun = "true"\ntimeout = "5m"\n'


@pytest.fixture
def shop(server: Server, work: Work, tmp_path: Path) -> Server:
    """Two releases are staged; the later one asks for its health."""
    work.commit("one", page="one", status="200")
    assert work.push("main").code == 0
    with serving(server.target / "shop-staging", tmp_path / "asked") as site:
        asks = f'{STEP}[health]\nurl = "{site.url}"\nwithin = "{WITHIN_S}s"\n'
        work.commit("two", **{"page": "two", "status": "200", "deploy.toml": asks})
        assert work.push("main").code == 0
    return server


def died_in_trial(app: App) -> Deployment:
    """Leave what one leaves who died while the later release was tried out."""
    ledger, after = app.ledger, app.ledger.chains.read("dev")
    before = after.roll_back(1, after.entries[1].since)
    before = type(before)(before.name, before.entries)
    ledger.rewrite(before, at=clock.now(), why="test")
    event = ledger.deployments.begin(
        "release", by="ada", started=clock.now(), chain="dev"
    )
    plan = dumps(before, after)
    ledger.deployments.intend(event.id, release=2, from_release=1, plan=plan)
    ledger.change(event.id, after, at=clock.now(), why="test")
    return event


def test_whoever_goes_on_with_a_trial_has_the_time_that_was_left(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a wait of five minutes that began four minutes ago one; commands as well."""
    known: dict[str, float] = {}
    run = activate.run_step

    def ask(_health: object, **how: Stopwatch) -> Heard:
        known["health"] = how["running"].seconds
        return Heard(right=False, words="503")

    def note(step, place, *, timeout_s):
        known["left"] = place.left_s
        return run(step, place, timeout_s=timeout_s)

    monkeypatch.setattr(asking, "ask_until_healthy", ask)
    monkeypatch.setattr(activate, "run_step", note)
    with opened(shop) as app:
        event = died_in_trial(app)
        began = clock.later(-AGO_S)
        parts = {"of": f"{event.id}/2", "health": began, "commands": began}
        app.ledger.set_setting("trial_dev", json.dumps(parts))
        with locked(app, "repair", wait_s=9, tell=pytest.fail):
            pass
        assert AGO_S - STEPPED_S <= known["health"] < WITHIN_S
        assert 0 < known["left"] <= WITHIN_S - AGO_S + STEPPED_S
        ended = app.ledger.deployments.get(event.id)
        assert ended.verdict == "failed"
        assert ended.reason is not None
        assert "503" in ended.reason
    assert (shop.target / "shop-staging/page").read_text() == "one"


def test_the_trial_of_another_event_has_all_its_time(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[float] = []

    def ask(_health: object, **how: Stopwatch) -> Heard:
        known.append(how["running"].seconds)
        return Heard(right=True, words="200")

    monkeypatch.setattr(asking, "ask_until_healthy", ask)
    with opened(shop) as app:
        event = died_in_trial(app)
        parts = {"of": f"{event.id - 1}/2", "health": clock.later(-AGO_S)}
        app.ledger.set_setting("trial_dev", json.dumps(parts))
        with locked(app, "repair", wait_s=9, tell=pytest.fail):
            pass
        assert app.ledger.deployments.get(event.id).verdict == "deployed"
    assert known[0] < AGO_S


def test_what_is_overtaken_changes_nothing_any_more(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has moved the chain since, as nobody waited for that trial."""
    monkeypatch.setattr(asking, "ask_until_healthy", pytest.fail)
    with opened(shop) as app:
        event = died_in_trial(app)
        now = app.ledger.chains.read("dev").roll_back(1, "2026-01-01T00:00:00Z")
        app.ledger.rewrite(now, at=clock.now(), why="test")
        with locked(app, "repair", wait_s=9, tell=pytest.fail):
            pass
        assert app.ledger.chains.read("dev") == now
        assert app.ledger.deployments.get(event.id).verdict == "failed"


def test_what_a_lender_is_amid_is_left_alone_and_what_others_left_is_mended(
    shop: Server,
) -> None:
    """Also while the roll back that goes first dies in the middle."""
    with (
        opened(shop) as app,
        locked(app, "push of main", wait_s=9, tell=pytest.fail),
    ):
        mine = app.ledger.deployments.begin("stage", by="ada", started=clock.now())
        app.ledger.releases.begin(content="x", created=clock.now(), suffix="mine")
        lock = app.layout.lock
        left: list[int] = []
        with lending(app):
            other = threading.Thread(target=goes_first, args=(shop, left))
            other.start()
            until(lambda: waiting(lock), "it waits")
            assert app.turn is not None
            app.turn.look()
            other.join(30)
        (theirs,) = left
        assert app.ledger.deployments.get(mine.id).verdict is None
        assert [r.name.endswith("mine") for r in app.ledger.releases.preparing()]
        assert app.ledger.deployments.get(theirs).verdict == "abandoned"
        held = holder(lock)
        assert held is not None
        assert held.what == "push of main"
        recover(app)  # without the lender's ticket it is anybody's
        assert app.ledger.deployments.get(mine.id).verdict == "abandoned"


def goes_first(server: Server, left: list[int]) -> None:
    """Begin a roll back of prod and leave it there, as one who dies."""
    with (
        opened(server) as app,
        locked(app, "rollback prod", wait_s=30, tell=print, rolls_back="prod"),
    ):
        assert len(app.ledger.deployments.unfinished()) == 1  # the lender's, left alone
        begin = app.ledger.deployments.begin
        event = begin("rollback", by="bob", started=clock.now(), chain="prod")
        left.append(event.id)


def test_cancel_is_heard_once_so_that_going_back_can_be_cancelled_too(
    shop: Server,
) -> None:
    with (
        opened(shop) as app,
        locked(app, "push of main", wait_s=9, tell=pytest.fail),
    ):
        me = holder(app.layout.lock)
        assert me is not None
        assert app.turn is not None
        assert app.turn.heard_cancel() is None
        cancel(app.layout.lock, me, by="rita")
        assert app.turn.heard_cancel() == "rita"
        assert app.turn.heard_cancel() is None
        assert app.turn.cancelled_by == "rita"
        cancel(app.layout.lock, me, by="otto")
        assert app.turn.heard_cancel() == "otto"


def test_what_is_live_is_held_to_a_limit_that_was_set_since(shop: Server) -> None:
    """Its deploy.toml was right when it was pushed, and is not refused now."""
    with (shop.root / "shop/server.toml").open("a") as toml:
        toml.write("[limits]\nhealth_time = '1m'\n")
    with opened(shop) as app:
        wanted = what_is_live(app, "dev")
        assert wanted is not None
        assert wanted.config.health is not None
        assert wanted.config.health.within_s == 60


def a_bug(*_: object, **__: object) -> None:
    """Stands for what nobody foresaw."""
    raise ValueError("of ours")


@pytest.mark.parametrize(
    ("of", "why"),
    [("what is live again", "of ours"), ("stopping its services", "503")],
)
def test_a_bug_behind_a_trial_that_failed_holds_nobody(
    shop: Server, monkeypatch: pytest.MonkeyPatch, of: str, why: str
) -> None:
    """The earlier release is live, and history says what the trial failed of."""

    def ask(_health: object, **_: object) -> Heard:
        return Heard(right=False, words="503")

    monkeypatch.setattr(asking, "ask_until_healthy", ask)
    monkeypatch.setattr(App, "may_keep_services", True)
    if of == "stopping its services":
        monkeypatch.setattr(services, "stop_services", a_bug)
    else:
        monkeypatch.setattr(trial, "_asks_anything", a_bug)
    with opened(shop) as app:
        event = died_in_trial(app)
        with locked(app, "repair", wait_s=9, tell=pytest.fail):
            pass
        ended = app.ledger.deployments.get(event.id)
        assert ended.verdict == "failed"
        assert ended.reason is not None
        assert why in ended.reason
        assert ("fails too" in ended.reason) is (of == "what is live again")
        assert not app.ledger.deployments.unfinished()
    assert (shop.target / "shop-staging/page").read_text() == "one"


def test_a_roll_back_runs_nothing_of_a_release_that_does_not_work(
    shop: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who died took it back: the links are right at once, its commands come later."""
    monkeypatch.setattr(asking, "ask_until_healthy", pytest.fail)
    monkeypatch.setattr(trial, "_activated_again", pytest.fail)
    with opened(shop) as app:
        event = died_in_trial(app)
        app.ledger.deployments.condemn(event.id, "503")
        (told,) = recover(app, tries=False)
        assert told.endswith("was interrupted: 503")
        assert app.ledger.deployments.unfinished()
    assert (shop.target / "shop-staging/page").read_text() == "one"
