"""Several pushes at once: one works, the others wait and are told."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from support.git import Work
from support.server import Server


def test_a_second_push_waits_and_is_told_for_whom(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """Then it goes on from what the first one left."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a="one")
    ada.tag("v1")
    assert ada.push("main").code == 0
    started, gate = tmp_path / "started", tmp_path / "gate"
    os.mkfifo(started)
    os.mkfifo(gate)
    toml = f"[[build.steps]]\nrun = 'echo > {started}; cat {gate}'\n"
    ada.commit("slow", **{"deploy.toml": toml})
    with ada.pushing("main") as slow, ExitStack() as stack:
        started.read_text()
        running = server.status()["running"]
        assert running["what"] == "push of main"
        waiting = stack.enter_context(ada.pushing("v1"))
        assert waiting.stderr is not None
        told = next(line for line in waiting.stderr if b"waiting" in line)
        assert f"(push of main, process {running['pid']}".encode() in told
        gate.write_text("go on\n")
        assert slow.wait(30) == 0
        waiting.communicate(timeout=30)
        slow.communicate(timeout=30)
        assert waiting.returncode == 0
    assert _name(server, "shop-staging").startswith("2-")
    assert _name(server, "shop").startswith("1-")
    assert server.status()["running"] is None


def test_of_many_pushes_to_one_branch_exactly_one_wins(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """What is live is what the branch holds, and the others are refused."""
    server.setup("shop")
    works = [make_work(f"dev{n}", server.url()) for n in range(6)]
    commits = [work.commit(f"c{n}", a=str(n)) for n, work in enumerate(works)]
    codes = _push_at_once([(work, "main") for work in works])
    assert sorted(codes) == [0, 1, 1, 1, 1, 1]
    winner = codes.index(0)
    assert server.refs()["refs/heads/main"] == commits[winner]
    live = server.link("shop-staging")
    assert live is not None
    assert (live / "a").read_text() == str(winner)
    ready = [r for r in server.releases() if r["state"] == "ready"]
    assert len(ready) == 1


def test_many_tags_pushed_at_once_are_all_released_one_after_the_other(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """Each is a release of its own; the links show the latest of them."""
    server.setup("shop", "--links", "6")
    ada = make_work("ada", server.url())
    for n in range(6):
        ada.commit(f"c{n}", a=str(n))
        ada.tag(f"v{n}")
    assert _push_at_once([(ada, f"v{n}") for n in range(6)]) == [0] * 6
    shown = [server.link(f"shop-prod-{n}") for n in range(1, 7)]
    assert len(set(shown)) == 6
    events = [e for e in server.history() if e["verdict"] == "deployed"]
    assert [path.name for path in shown if path] == [e["release"] for e in events]


def _push_at_once(pushes: list[tuple[Work, str]]) -> list[int]:
    """Start all pushes, then wait for each; return their exit statuses."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(work.pushing(refspec)) for work, refspec in pushes
        ]
        for child in children:
            child.communicate(timeout=60)
        return [child.returncode for child in children]


def _name(server: Server, link: str) -> str:
    path = server.link(link)
    assert path is not None
    return path.name
