"""A step runs only where what it makes could differ, and else gives the same bytes."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Push, Work
from support.server import Server

STEP = """
[[build.steps]]
name = "{name}"
run = '''echo {name} >> {runs}; {run}'''
{more}
"""
MAKE = "mkdir -p lib/bin; cp lock.json lib/made; ln -s made lib/link"
STATED = 'inputs = ["lock.json", "patches/*"]\noutputs = ["lib"]'


class Shop:
    """An app whose steps write down that they ran."""

    def __init__(self, server: Server, work: Work, runs: Path) -> None:
        self.server = server
        self.work = work
        self._runs = runs
        self._runs.touch()
        self._seen = 0

    def step(self, run: str = MAKE, more: str = STATED, name: str = "deps") -> str:
        """Return a step of deploy.toml."""
        return STEP.format(name=name, run=run, more=more, runs=self._runs)

    def push(
        self, toml: str | None = None, *, options: tuple[str, ...] = (), **files: str
    ) -> Push:
        """Commit and push main."""
        if toml is not None:
            files["deploy.toml"] = toml
        self.work.commit("change", **files)
        return self.work.push("main", options=options)

    def ran(self, toml: str | None = None, **more: object) -> list[str]:
        """Push, which succeeds, and return which steps ran."""
        push = self.push(toml, **more)  # type: ignore[arg-type]
        assert push.code == 0, push.output
        return self.new_runs()

    def new_runs(self) -> list[str]:
        """Return which steps ran since this was asked last."""
        names = self._runs.read_text().split()
        new, self._seen = names[self._seen :], len(names)
        return new

    @property
    def live(self) -> Path:
        found = self.server.link("shop-staging")
        assert found is not None
        return found

    def log(self) -> str:
        """Return the newest release's log."""
        logs = (self.server.root / "shop/logs").glob("*.log")
        return max(logs, key=lambda path: int(path.name.split("-")[0])).read_text()


@pytest.fixture
def shop(server: Server, make_work: Callable[..., Work], tmp_path: Path) -> Shop:
    server.setup("shop")
    return Shop(server, make_work("ada", server.url()), tmp_path / "runs")


def tree(top: Path) -> dict[str, tuple[object, ...]]:
    """Return all that can be told apart below a directory, but for times."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(directory, name)
            status = path.lstat()
            content = (
                os.readlink(path)
                if path.is_symlink()
                else path.read_bytes()
                if path.is_file()
                else b""
            )
            twins = status.st_nlink if path.is_file() else 0
            found[str(path.relative_to(top))] = (status.st_mode, content, twins)
    return found


# --- the same bytes ---------------------------------------------------------


ODD = """
mkdir -p lib/a/b 'lib/white space'; printf 1 > lib/a/file; ln lib/a/file lib/a/b/twin
ln -s a/file lib/link; ln -s nowhere lib/dangling; ln -s . lib/a/b/self
printf '#!/bin/sh\\n' > lib/run; chmod 755 lib/run; printf x > lib/secret
chmod 600 lib/secret; printf x > lib/fixed; chmod 444 lib/fixed; mkdir lib/empty
chmod 750 lib/empty; truncate -s 100000 lib/sparse
printf x > "$(printf 'lib/\\303\\244')"; printf x > "$(printf 'lib/\\377')"
printf x > "$(printf 'lib/new\\nline')"
"""


@pytest.mark.parametrize("reuse", ["copy", "share"])
def test_a_reused_output_is_what_running_the_step_gives(shop: Shop, reuse: str) -> None:
    """Contents, modes, links, hard links and odd names."""
    toml = shop.step(ODD, f'{STATED}\nreuse = "{reuse}"')
    assert shop.ran(toml, **{"lock.json": "1"}) == ["deps"]
    assert shop.ran(**{"index.html": "other"}) == []
    reused = shop.live
    assert shop.ran(options=("rebuild",), **{"index.html": "third"}) == ["deps"]
    again = shop.live
    assert again != reused
    made, fresh = tree(reused / "lib"), tree(again / "lib")
    assert made.keys() == fresh.keys()
    assert len(made) == 16
    for name, (mode, content, twins) in fresh.items():
        assert made[name][:2] == (mode, content), name
        if reuse == "copy":
            assert made[name][2] == twins, name


def test_the_pusher_reads_which_inputs_did_not_change(shop: Shop) -> None:
    """And the log says from which release the outputs come."""
    shop.ran(shop.step(), **{"lock.json": "1"})
    push = shop.push(**{"index.html": "2"})
    lines = [line.split() for line in push.remote_lines]
    reused = ["deps", "reused:", "lock.json,", "patches/*", "unchanged"]
    assert any(line[:5] == reused for line in lines), push.output
    assert "deps  taken from release 1" in shop.log()


@pytest.mark.parametrize("reuse", ["copy", "share"])
def test_text_that_names_the_release_names_the_new_one(shop: Shop, reuse: str) -> None:
    """As the scripts of a virtual environment do; an earlier release may be pruned."""
    run = (
        "mkdir -p lib/bin; printf '#!%s/lib/python\\n' $PWD > lib/bin/pip;"
        "chmod 755 lib/bin/pip; ln -s $PWD/lib/bin/pip lib/pip;"
        "printf '\\0%s' $PWD > lib/binary"
    )
    toml = shop.step(run, f'{STATED}\nreuse = "{reuse}"')
    toml += '[[build.steps]]\nrun = "cat lib/bin/pip"\n'
    shop.ran(toml, **{"lock.json": "1"})
    first = shop.live
    for number in "234":
        assert shop.ran(**{"index.html": number}) == []
        live = shop.live
        assert (live / "lib/bin/pip").read_text() == f"#!{live}/lib/python\n"
        mode = stat.S_IMODE((first / "lib/bin/pip").stat().st_mode)
        assert stat.S_IMODE((live / "lib/bin/pip").stat().st_mode) == mode
        assert (live / "lib/pip").readlink() == live / "lib/bin/pip"
        assert (live / "lib/binary").read_text() == f"\0{first}"
    assert (first / "lib/bin/pip").read_text() == f"#!{first}/lib/python\n"


# --- when it runs -----------------------------------------------------------


def test_it_runs_again_when_an_input_changed_or_the_pusher_says_so(shop: Shop) -> None:
    """And again from the earlier release, once the input is what it was."""
    assert shop.ran(shop.step(), **{"lock.json": "1"}) == ["deps"]
    assert shop.ran(**{"lock.json": "2"}) == ["deps"]
    assert shop.ran(**{"lock.json": "1", "index.html": "1"}) == []
    assert shop.ran(options=("rebuild",), **{"index.html": "2"}) == ["deps"]


@pytest.mark.parametrize(
    ("tool", "outcome"),
    [
        ('"no-such-tool --version"', "deps failed: tool: exit 127"),
        (
            '["no-such-tool"]',
            "deps failed: tool: no-such-tool: no such program in PATH",
        ),
    ],
)
def test_a_tool_that_says_nothing_fails_the_release(
    shop: Shop, tool: str, outcome: str
) -> None:
    """It is said that it was the tool, not the step."""
    push = shop.push(shop.step(more=f"{STATED}\ntool = {tool}"), **{"lock.json": "1"})
    assert push.code == 1
    assert push.status("main").reason == outcome
    assert shop.new_runs() == []


def test_off_always_runs_and_is_never_a_donor(shop: Shop) -> None:
    """Though it states inputs and outputs."""
    toml = shop.step(more=f'{STATED}\nreuse = "off"')
    assert shop.ran(toml, **{"lock.json": "1"}) == ["deps"]
    assert shop.ran(**{"index.html": "1"}) == ["deps"]
    assert shop.ran(shop.step()) == ["deps"]


def test_what_the_author_should_know_stands_in_the_log(shop: Shop) -> None:
    """A slip of the pen makes nothing unchanged; it costs time and is told."""
    slip = 'inputs = ["lock.json", "lock.jsno"]\noutputs = ["lib"]'
    shop.ran(shop.step(more=slip), **{"lock.json": "1"})
    assert "deps  always runs: the commit has no lock.jsno" in shop.log()
    assert shop.ran(**{"index.html": "1"}) == ["deps"]
    shop.ran(shop.step("true"))
    assert "deps  no file matches patches/*" in shop.log()
    assert "deps  cannot be reused: it made no lib" in shop.log()
    assert shop.ran(**{"index.html": "2"}) == ["deps"]


# --- one step after another -------------------------------------------------

ASSETS = 'inputs = ["src/**/*.js"]\noutputs = ["dist"]'


def two_steps(shop: Shop, first: str = STATED) -> str:
    assets = (
        "mkdir -p dist lib/.cache; cat lib/made src/*.js > dist/all;"
        "cp dist/all lib/.cache"
    )
    return shop.step(more=first) + shop.step(assets, ASSETS, name="assets")


def test_a_later_step_runs_when_an_earlier_one_would(shop: Shop) -> None:
    """What is bundled depends on the dependencies, whether that is stated or not."""
    files = {"lock.json": "1", "src/a.js": "a"}
    assert shop.ran(two_steps(shop), **files) == ["deps", "assets"]
    assert shop.ran(**{"index.html": "1"}) == []
    assert shop.ran(**{"src/a.js": "b"}) == ["assets"]
    assert shop.ran(**{"lock.json": "2"}) == ["deps", "assets"]
    assert (shop.live / "dist/all").read_text() == "2b"
    assert shop.ran(**{"lock.json": "1"}) == []
    assert (shop.live / "dist/all").read_text() == "1b"


def test_what_a_later_step_added_is_not_passed_on(shop: Shop) -> None:
    """A cache in node_modules: the dependencies are reused without it."""
    shop.ran(two_steps(shop), **{"lock.json": "1", "src/a.js": "a"})
    assert (shop.live / "lib/.cache/all").exists()
    only = shop.step() + shop.step("true", ASSETS, name="assets")
    assert shop.ran(only) == ["assets"]
    assert sorted(os.listdir(shop.live / "lib")) == ["bin", "link", "made"]


# --- who passes on ----------------------------------------------------------


def test_a_promotion_to_prod_with_its_own_shared_state_reuses_outputs(
    shop: Shop,
) -> None:
    """scope = "chain": the release is of prod alone, its dependencies are not."""
    shared = '[shared]\ndirs = ["storage"]\nscope = "chain"\n'
    assert shop.ran(shared + shop.step(), **{"lock.json": "1"}) == ["deps"]
    shop.work.tag("v1")
    assert shop.work.push("v1").code == 0
    prod = shop.server.link("shop")
    assert prod is not None
    assert prod != shop.live
    assert (prod / "lib/made").read_text() == "1"
    assert shop.new_runs() == []


def test_prod_takes_from_another_commit_only_what_it_has_shown(shop: Shop) -> None:
    """What a step reads and does not state may have gone into it."""
    shared = '[shared]\ndirs = ["storage"]\nscope = "chain"\n'
    toml = shared + shop.step("mkdir lib; cat side lock.json > lib/made || true")
    assert shop.ran(toml, **{"lock.json": "1", "side": "left"}) == ["deps"]
    shop.work.remove("side")
    assert shop.ran(**{"index.html": "1"}) == []
    assert (shop.live / "lib/made").read_text() == "left1"
    assert released(shop, "v1") == ["deps"]
    assert shop.ran(**{"index.html": "2"}) == []
    assert (shop.live / "lib/made").read_text() == "1"
    assert released(shop, "v2") == []


def released(shop: Shop, tag: str) -> list[str]:
    """Release what is committed, and return which steps ran; prod has what it makes."""
    shop.work.tag(tag)
    push = shop.work.push(tag)
    assert push.code == 0, push.output
    prod = shop.server.link("shop")
    assert prod is not None
    assert (prod / "lib/made").read_text() == "1"
    return shop.new_runs()


def test_what_a_later_step_changed_by_a_second_name_is_not_passed_on(
    shop: Shop,
) -> None:
    """With the time that it had: only its content tells."""
    hidden = (
        "touch -r lib/made t; ln lib/made n; printf 9 > n; touch -r t n; rm t;"
        "ln n other"
    )
    toml = shop.step() + f'[[build.steps]]\nrun = "{hidden}"\n'
    assert shop.ran(toml, **{"lock.json": "1"}) == ["deps"]
    assert (shop.live / "lib/made").read_text() == "9"
    assert shop.ran(shop.step(), **{"index.html": "1"}) == ["deps"]
    assert (shop.live / "lib/made").read_text() == "1"
    assert "lib/made was changed there" in shop.log()


def test_outputs_of_a_failed_release_are_not_trusted(shop: Shop) -> None:
    """Only a ready release is a donor."""
    bad = shop.step() + '[[build.steps]]\nrun = "false"\n'
    assert shop.push(bad, **{"lock.json": "1"}).code == 1
    assert shop.ran(shop.step()) == ["deps", "deps"]


def test_what_somebody_changed_since_is_not_passed_on(shop: Shop) -> None:
    """The step runs again, and its outputs are those that are passed on then."""
    shop.ran(shop.step(), **{"lock.json": "1"})
    before = tree(shop.live / "lib")
    (shop.live / "lib/made").write_text("2")
    assert shop.ran(**{"index.html": "1"}) == ["deps"]
    assert tree(shop.live / "lib") == before
    assert shop.ran(**{"index.html": "2"}) == []
    assert tree(shop.live / "lib") == before


def test_what_a_later_step_changed_is_not_passed_on(shop: Shop) -> None:
    """At once, in the same size: no clock is too coarse for that."""
    toml = shop.step() + '[[build.steps]]\nrun = "printf 9 > lib/made"\n'
    assert shop.ran(toml, **{"lock.json": "1"}) == ["deps"]
    assert (shop.live / "lib/made").read_text() == "9"
    assert shop.ran(shop.step(), **{"index.html": "1"}) == ["deps"]
    assert (shop.live / "lib/made").read_text() == "1"
    assert "lib/made was changed there" in shop.log()


def test_an_output_below_a_link_is_neither_kept_nor_replaced(
    shop: Shop, tmp_path: Path
) -> None:
    """A link may lead anywhere, and what lies there is not ours to remove."""
    away = tmp_path / "away"
    away.mkdir()
    toml = f'[steps]\nconfine = "off"\n[links]\nallowed = ["{away}"]\n'
    (shop.server.root / "shop/server.toml").write_text(toml)
    run = f"ln -sfn {away} way; mkdir -p way/out"
    toml = shop.step(run, 'inputs = ["lock.json"]\noutputs = ["way/out"]')
    assert shop.ran(toml, **{"lock.json": "1"}) == ["deps"]
    assert shop.ran(**{"index.html": "1"}) == ["deps"]
    assert (away / "out").is_dir()


def test_what_a_release_made_goes_with_it(shop: Shop) -> None:
    """Its record is no longer than the release itself."""
    shop.ran(shop.step(), **{"lock.json": "1"})
    shop.ran(**{"index.html": "1"})
    records = shop.server.root / "shop/outputs"
    assert len(os.listdir(records)) == 2
    for number in "123":
        shop.ran("[releases]\nkeep = 0\n", **{"index.html": number})
    shop.server.gitdeploy("prune", "shop")
    assert os.listdir(records) == []
