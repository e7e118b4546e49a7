"""What the verbs that only look show: status, releases, history, logs, plan."""

import os
import re
import sys

import pytest
from support import process
from support.shop import busy, staged

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def shop(server, work):
    return staged(server, work)


# --- status ------------------------------------------------------------------


def test_status_has_the_promised_shape(shop):
    status = shop.status()
    assert status["app"] == "shop"
    assert status["locked"] is None
    assert status["running"] is None
    assert status["pending"] is False
    assert status["behind"] == []
    head = status["chains"]["dev"][0]
    assert head["position"] == 1
    assert head["link"] == "shop-dev-1"
    assert head["release"].startswith("2-")
    assert head["ref"] == "refs/heads/main"
    assert head["commit"] == shop.refs()["refs/heads/main"]
    assert head["path"] == str(shop.link("shop-dev-1"))
    assert MOMENT.fullmatch(head["since"])


def test_a_position_without_a_release_is_null(shop):
    third = shop.status()["chains"]["prod"][2]
    assert third["position"] == 3
    assert third["link"] == "shop-prod-3"
    rest = {third[key] for key in third if key not in ("position", "link")}
    assert rest == {None}


def test_status_without_an_app_shows_every_app(shop):
    shop.setup("blog")
    apps = shop.json("status")["apps"]
    assert [app["app"] for app in apps] == ["blog", "shop"]
    shown = shop.gitdeploy("status").stdout
    assert "blog-dev-1" in shown
    assert "shop-dev-1" in shown


def test_status_of_an_empty_root_is_no_error(server):
    assert server.json("status") == {"apps": []}
    assert "no app" in server.gitdeploy("status").stdout


def test_status_says_who_works_on_the_app(shop):
    with busy(shop):
        running = shop.status()["running"]
        assert running["by"] == "bob"
        assert running["pid"] == os.getpid()
        assert "push of main by bob" in shop.gitdeploy("status", "shop").stdout


def test_status_says_that_a_branch_was_left_behind_on_the_server(shop):
    shop.gitdeploy("rollback", "shop", "dev")
    (sentence,) = shop.status()["behind"]
    assert sentence.startswith("dev is behind refs/heads/main: rolled back by ")
    assert "behind" in shop.gitdeploy("status", "shop").stdout
    assert shop.status()["pending"] is False
    shop.gitdeploy("rollforward", "shop", "dev")
    assert shop.status()["behind"] == []


def test_a_revert_that_was_pushed_leaves_nothing_behind(shop, work):
    work.revert()
    assert work.push("main").code == 0
    assert shop.status()["chains"]["dev"][0]["number"] == 1
    assert shop.status()["behind"] == []


def test_status_says_that_a_ref_moved_unseen(shop, work):
    assert shop.status()["pending"] is False
    old = work.oid("HEAD~1")
    shop.git("update-ref", "refs/heads/main", old)
    assert shop.status()["pending"] is True
    shown = shop.gitdeploy("status", "shop").stdout
    assert "moved to" in shown
    assert "gitdeploy repair shop" in shown
    assert "--deploy main" in shop.gitdeploy("repair", "shop").stdout
    shop.gitdeploy("repair", "shop", "--deploy", "main")
    assert shop.status()["pending"] is False
    assert shop.status()["chains"]["dev"][0]["number"] == 1


def test_tables_fit_80_columns(shop, work):
    work.write("deploy.toml", '[[build.steps]]\nrun = "exit 3  # for a long reason"\n')
    work.commit("bad")
    assert work.push("main").code == 1
    narrow = {"COLUMNS": "80"}
    for verb in ("status", "releases", "history"):
        shown = shop.gitdeploy(verb, "shop", env=narrow).stdout
        assert max(map(len, shown.splitlines())) <= 80
        assert "\x1b" not in shown
        assert "…" not in shown


# --- releases, history, logs, plan -------------------------------------------


def test_releases_have_the_promised_shape(shop):
    second, first = shop.releases()
    assert (second["number"], first["number"]) == (2, 1)
    assert second["on"] == ["dev-1"]
    assert first["on"] == ["dev-2", "prod-1"]
    assert first["state"] == "ready"
    assert first["files"] == 1
    assert first["size_bytes"] == 3
    assert first["pinned"] is False
    assert first["path"] == str(shop.link("shop"))
    assert os.path.exists(first["log"])
    keys = {"name", "commit", "tree", "created", "ready", "left_at", "left_why"}
    assert keys < set(first)


def test_a_release_that_failed_says_why(shop, work):
    work.write("deploy.toml", '[[build.steps]]\nname = "boom"\nrun = "exit 3"\n')
    work.commit("bad")
    work.push("main")
    assert shop.releases()[0]["state"] == "failed"
    assert "boom" in shop.releases()[0]["failed_why"]
    assert "boom" in shop.gitdeploy("releases", "shop").stdout


def test_history_has_the_promised_shape(shop):
    shop.gitdeploy("rollback", "shop", "dev")
    latest, *_, first = shop.history()
    assert latest["action"] == "rollback"
    assert latest["verdict"] == "rolled back"
    assert latest["ref"] is None
    assert latest["from"].startswith("2-")
    assert latest["release"].startswith("1-")
    assert first["action"] == "stage"
    assert first["chain"] == "dev"
    assert first["new"]
    assert first["by"]
    assert isinstance(first["seconds"], float)
    assert MOMENT.fullmatch(first["started"])


def test_history_can_be_limited(shop):
    assert len(shop.json("history", "shop", "--limit", "1")["deployments"]) == 1
    assert len(shop.json("history", "shop", "--limit", "0")["deployments"]) == 3


def test_logs_show_the_newest_release_printable(server, work):
    work.write(
        "deploy.toml", "[[build.steps]]\nrun = \"printf 'a\\\\033[31mb\\\\n'\"\n"
    )
    work.commit("one")
    work.push("main")
    shown = server.gitdeploy("logs", "shop").stdout
    assert "ab\n" in shown
    assert "\x1b" not in shown
    assert server.gitdeploy("logs", "shop", "1").stdout == shown
    followed = server.gitdeploy("logs", "shop", "-f").stdout
    assert followed == f"{shown}== deployed  dev\n"


def test_logs_follow_a_running_release_to_its_end(server, work):
    gate = server.root / "gate"
    os.mkfifo(gate)
    run = f"echo begun; cat {gate}; echo ended"
    work.write("deploy.toml", f'[[build.steps]]\nrun = "{run}"\n')
    work.commit("one")
    env = {"GITDEPLOY_ROOT": str(server.root)}
    follow = [sys.executable, "-m", "gitdeploy", "logs", "shop", "-f"]
    with work.pushing("main") as push:
        held_open = os.open(gate, os.O_WRONLY)  # waits until the step reads
        with process.started(*follow, env=env) as logs:
            assert logs.stdout is not None
            assert b"begun\n" in iter(logs.stdout.readline, b"")
            os.close(held_open)
            assert b"ended\n" in logs.communicate(timeout=30)[0]
        push.communicate(timeout=30)


def test_plan_says_what_a_push_would_do(shop, work):
    plan = shop.json("plan", "shop", "main")
    assert plan["ref"] == "refs/heads/main"
    assert plan["decision"] == "unchanged"
    assert plan["build"] is False
    work.write("deploy.toml", '[[build.steps]]\nname = "make it"\nrun = "true"\n')
    new = work.commit("three", **{"b.txt": "12345"})
    shop.git("fetch", "--quiet", str(work.path), "+main:refs/heads/main")
    plan = shop.json("plan", "shop", "main")
    assert plan["commit"] == new
    assert plan["decision"] == "deploy"
    (step,) = plan["steps"]
    assert step == {"name": "make it", "does": "run", "why": "it states no inputs"}
    assert plan["files"] == 3
    assert plan["changes"] == {"added": 2, "changed": 0, "removed": 0}
    assert plan["changed_bytes"] == 51
    assert plan["prune"] == []
    shown = shop.gitdeploy("plan", "shop", "main").stdout
    assert "make it" in shown
    assert shop.status()["chains"]["dev"][0]["number"] == 2


PLANNED = """
[chains.dev]
health = { url = "http://127.0.0.1:1/" }
checks = [{ run = "true", name = "fine" }, { serve = "true", url = "/up" }]
activate = [{ run = "true", name = "reload" }]
deactivate = [{ run = "true", name = "migrate back" }]

[[build.steps]]
name = "dependencies"
run = "cp lock made"
inputs = ["lock"]
outputs = ["made"]

[[build.steps]]
name = "assets"
run = "cat src/* >all"
inputs = ["src/**/*.js"]
outputs = ["all"]
"""


def test_plan_says_which_steps_are_reused_and_what_is_asked(shop, work):
    """By the verb of what is there, by the push option of what would come."""
    files = {"lock": "1", "src/a.js": "a", "deploy.toml": PLANNED}
    work.commit("four", **files)
    said = work.push("main", options=["plan", "skip-checks"])
    assert said.code == 1
    lines = [" ".join(line.split()) for line in said.remote_lines]
    assert any(
        line.startswith("step dependencies: run, lock changed") for line in lines
    )
    assert {"check fine", "check /up", "activate reload"} <= {*lines}
    assert "health http://127.0.0.1:1/" in lines
    assert not any(line.startswith(("deactivate", "step all: reuse")) for line in lines)
    work.write("deploy.toml", PLANNED.replace("health =", "#").replace("checks =", "#"))
    work.commit("five")
    assert work.push("main").code == 0
    work.commit("six", **{"src/a.js": "b", "src/deep/b.js": "c"})
    shop.git("fetch", "--quiet", str(work.path), "+main:refs/heads/main")
    plan = shop.json("plan", "shop", "main")
    number = shop.releases()[0]["number"]
    assert plan["steps"] == [
        {
            "name": "dependencies",
            "does": "reuse",
            "why": f"from release {number}: lock unchanged",
        },
        {
            "name": "assets",
            "does": "run",
            "why": "src/a.js, src/deep/b.js changed",
        },
    ]
    assert plan["activate"] == ["reload"]


def test_plan_names_what_would_go_wrong(shop, work):
    work.write("deploy.toml", "[nonsense]\n")
    work.commit("three")
    shop.git("fetch", "--quiet", str(work.path), "+main:refs/heads/main")
    plan = shop.json("plan", "shop", "main")
    assert plan["decision"] == "refuse"
    assert "nonsense" in plan["would"]
