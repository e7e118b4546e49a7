"""Whatever goes wrong in recovery, a bug of ours as well, prod rolls back all the same.

Every function that recovery calls is found by watching one, and raises in turn.
"""

import gc
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import pytest
from support.git import Work
from support.held import opened
from support.server import Server

from gitdeploy.deploy import recover
from gitdeploy.deploy.app import App
from gitdeploy.deploy.flip import wanted_links
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.roll import roll_back
from gitdeploy.ledger import dumps
from gitdeploy.model import ChainName, Entry
from gitdeploy.system import clock
from gitdeploy.system.client import Client

LONG_AGO = "2020-01-01T00:00:00Z"
ASKS = """
[[activate]]
run = "true"
[health]
url = "http://127.0.0.1:9/"
within = "1s"
"""
# They catch what the others raise, and call nothing else; or the ledger is asked by
# them whether there is anything to do.
STORY = ("gitdeploy.deploy.", "gitdeploy.probe", "gitdeploy.links")
"""All functions of these are tried, and some of the rooms below them."""
NAMED = {
    *("__call__", "try_out", "withdraw", "activate", "wanted_of", "read_source"),
    *("workplace", "ask", "finish_pruning", "finish_relocating", "show"),
    "end_commands_of",
}
NOT_TRIED = ("_by_itself", "recover")


@pytest.fixture
def broken(server: Server, work: Work, monkeypatch, tmp_path: Path) -> Server:
    """Prod shows release 3, as its trial was killed; another thing of each kind too."""
    (tmp_path / "bugs").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "bugs"))
    for number, toml in ((1, ""), (2, ""), (3, ASKS)):
        name = str(number)
        work.commit(name, **{"index.html": name, "deploy.toml": toml})
        if number < 3:
            assert work.push("main").code == 0
            assert server.gitdeploy("release", "shop").returncode == 0
    work.push("main")  # nothing answers: it is ready, and back
    with opened(server) as app:
        die_in_trial(app, "prod", 3)
        die_in_trial(app, "dev", 3)
        app.ledger.releases.begin(content="x", created=LONG_AGO, suffix="dead")
        app.ledger.set_setting("removing", "yes")
        app.ledger.set_setting("leaving", f'["{app.public.target}", 4]')
    return server


def die_in_trial(app: App, name: ChainName, number: int) -> None:
    """Leave what a process leaves that was killed while it asked for health."""
    release = app.ledger.releases.get(number)
    before = app.ledger.chains.read(name)
    after = before.push(Entry(number, release.commit, None, LONG_AGO))
    event = app.ledger.deployments.begin(
        "release", by="ada", started=LONG_AGO, chain=name
    )
    deployments = app.ledger.deployments
    deployments.intend(event.id, release=3, from_release=2, plan=dumps(before, after))
    app.ledger.change(event.id, after, at=LONG_AGO, why="test")
    began = f'"commands": "{clock.now()}", "health": "{LONG_AGO}"'
    of = f'"of": "{event.id}/{number}"'
    app.ledger.set_setting(f"trial_{name}", f"{{{of}, {began}}}")


def called_by(act: Callable[[], object]) -> list[CodeType]:
    """Return the functions of ours that something calls, in any thread."""
    found: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and name.startswith("gitdeploy."):
            found[frame.f_code] = None

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return list(found)


def _raises(*_words: object, **_more: object) -> None:
    raise RuntimeError("nobody foresaw this")


def functions_of(code: CodeType) -> list[FunctionType]:
    return [f for f in gc.get_referrers(code) if isinstance(f, FunctionType)]


@contextmanager
def raising(functions: list[FunctionType]) -> Iterator[None]:
    """Let a function raise for the body, whoever calls it by whatever name."""
    codes = [function.__code__ for function in functions]
    for function, code in zip(functions, codes, strict=True):
        raises = _raises.__code__.replace(co_freevars=code.co_freevars)
        function.__code__ = raises
    try:
        yield
    finally:
        for function, code in zip(functions, codes, strict=True):
            function.__code__ = code


def rolled_back(server: Server, during: list[FunctionType]) -> str:
    """Roll prod back, where recovery goes wrong before; return what prod shows."""
    mend = recover.recover

    def mend_wrongly(app: App, *words: object, **more: object) -> object:
        with raising(during):
            return mend(app, *words, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, opened(server) as app:
        patch.setattr(recover, "recover", mend_wrongly)
        with recover.locked(app, "rollback prod", wait_s=9, tell=pytest.fail):
            roll_back(app, "prod", Report(Client(None)))
        links = wanted_links(app)
        assert links == {n: os.readlink(app.public.target / n) for n in links}
    link = server.link("shop")
    assert link is not None
    return link.name


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_prod_rolls_back_whatever_raises_in_recovery(
    broken: Server, tmp_path: Path
) -> None:
    """Each function in turn; what it shows is what was live before."""
    kept = tmp_path / "kept"
    shutil.copytree(broken.root, kept, symlinks=True)

    def act() -> None:
        with (
            opened(broken) as app,
            recover.working_on(app, "test", wait_s=9, tell=pytest.fail),
        ):
            assert len(recover.recover(app)) >= 3

    codes = [code for code in called_by(act) if code.co_name not in NOT_TRIED]
    functions = [found for code in codes if (found := functions_of(code))]
    ours = [one for one in functions if one[0].__module__.startswith(STORY)]
    others = [one for one in functions if one not in ours]
    tried = [*ours, *others[::5]]
    assert {one[0].__name__ for one in ours} >= NAMED
    for functions in tried:
        shutil.rmtree(broken.root)
        shutil.copytree(kept, broken.root, symlinks=True)
        name = functions[0].__qualname__
        assert rolled_back(broken, functions).startswith("2-"), name
    gc.collect()  # programs whose starter raised are missed here, not in another test
