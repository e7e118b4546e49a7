"""A step with stated inputs and outputs runs only when its inputs changed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Work
from support.server import Server

TOML = """
{more}
[[build.steps]]
name = "dependencies"
run = "echo ran >> {runs}; mkdir -p lib; cp lock.json lib/made; ln -s made lib/link"
inputs = ["lock.json", "patches/*"]
outputs = ["lib"]
"""


@pytest.fixture
def push(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> Callable[..., int]:
    """Commit files, push main, and return how often the step has run by then."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    runs = tmp_path / "runs"
    runs.touch()

    def push(*, more: str = "", options: tuple[str, ...] = (), **files: str) -> int:
        toml = TOML.format(runs=runs, more=more)
        ada.commit("change", **{"deploy.toml": toml, **files})
        ada.tag(f"v{ada.head[:7]}")
        done = ada.push("main", options=options)
        assert done.code == 0, done.output
        return len(runs.read_text().split())

    push.ada = ada  # type: ignore[attr-defined]
    push.runs = runs  # type: ignore[attr-defined]
    return push


def test_unchanged_inputs_run_nothing_and_give_the_same_bytes(
    server: Server, push: Callable[..., int]
) -> None:
    """Links stay links; another file's change does not matter."""
    assert push(**{"lock.json": "1", "index.html": "one"}) == 1
    assert push(**{"index.html": "two"}) == 1
    live = server.link("shop-staging")
    assert live is not None
    assert (live / "lib/made").read_text() == "1"
    assert (live / "lib/link").readlink() == Path("made")
    old = server.link("shop-dev-2")
    assert old is not None
    (live / "lib/made").write_text("changed")
    assert (old / "lib/made").read_text() == "1"


@pytest.mark.parametrize(
    "change",
    [
        {"lock.json": "2"},
        {"patches/a": "new"},
        {"more": '[build]\nenv = { MODE = "x" }'},
        {"options": ("rebuild",), "index.html": "two"},
    ],
    ids=["an input", "a file of a glob", "the environment", "-o rebuild"],
)
def test_a_change_that_matters_runs_the_step_again(
    push: Callable[..., int], change: dict[str, str]
) -> None:
    """Command, environment and inputs are what a step is known by."""
    assert push(**{"lock.json": "1", "index.html": "one"}) == 1
    assert push(**change) == 2


def test_a_promotion_to_prod_with_its_own_shared_state_reuses_outputs(
    server: Server, push: Callable[..., int]
) -> None:
    """scope = "chain": the release is of prod alone, its dependencies are not."""
    shared = '[shared]\ndirs = ["storage"]\nscope = "chain"\n'
    assert push(**{"lock.json": "1", "more": shared}) == 1
    ada: Work = push.ada  # type: ignore[attr-defined]
    assert ada.push("--tags").code == 0
    prod = server.link("shop")
    assert prod is not None
    assert prod != server.link("shop-staging")
    assert (prod / "lib/made").read_text() == "1"
    runs: Path = push.runs  # type: ignore[attr-defined]
    assert runs.read_text().split() == ["ran"]


def test_outputs_of_a_failed_release_are_not_trusted(
    server: Server, push: Callable[..., int]
) -> None:
    """Only a ready release is a donor."""
    ada: Work = push.ada  # type: ignore[attr-defined]
    runs: Path = push.runs  # type: ignore[attr-defined]
    toml = TOML.format(runs=runs, more="") + '[[build.steps]]\nrun = "false"\n'
    ada.commit("bad", **{"deploy.toml": toml, "lock.json": "1"})
    assert ada.push("main").code == 1
    assert push() == 2
    assert server.releases()
