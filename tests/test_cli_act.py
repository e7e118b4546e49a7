"""What the verbs that act come to: on the chains, on releases, on variables."""

import os
import stat

import pytest
from support.shop import code, staged

from gitdeploy.deploy.app import App
from gitdeploy.door import surroundings
from gitdeploy.model import Freeze


@pytest.fixture
def shop(server, work):
    return staged(server, work)


# --- acting ------------------------------------------------------------------


def test_rollback_goes_back_on_prod_unless_told_otherwise(shop):
    shop.gitdeploy("release", "shop")
    done = shop.gitdeploy("rollback", "shop")
    assert done.stdout.splitlines() == [
        "rolled back   prod: release 1 (v1) is live again as shop",
        "was           release 2",
    ]
    assert done.stderr == ""
    assert shop.status()["chains"]["prod"][0]["number"] == 1
    assert shop.status()["chains"]["dev"][0]["number"] == 2


def test_rollback_to_a_release_and_forward_again(shop, work):
    work.commit("three", **{"index.html": "three"})
    work.push("main")
    shop.gitdeploy("rollback", "shop", "dev", "--to", "1")
    assert shop.status()["chains"]["dev"][0]["number"] == 1
    shop.gitdeploy("rollforward", "shop", "dev")
    assert shop.status()["chains"]["dev"][0]["number"] == 3
    shop.gitdeploy("rollback", "shop", "dev", "--steps", "2")
    assert shop.status()["chains"]["dev"][0]["number"] == 1


def test_acting_can_be_told_as_json(shop):
    told = shop.json("release", "shop")
    assert told["verdict"] == "deployed"
    assert told["chain"] == "prod"
    assert told["release"].startswith("2-")
    assert told["from"].startswith("1-")


def test_release_of_what_is_live_is_unchanged(shop):
    shop.gitdeploy("release", "shop")
    assert "unchanged" in shop.gitdeploy("release", "shop").stdout


def test_deploy_links_any_directory(shop, tmp_path):
    build = tmp_path / "build"
    build.mkdir()
    (build / "index.html").write_text("by hand")
    shop.gitdeploy("deploy", "shop", build, "prod")
    assert shop.link("shop") == build
    assert shop.json("deploy", "shop", str(build), "prod")["verdict"] == "unchanged"
    assert str(build) in shop.gitdeploy("status", "shop").stdout
    shop.gitdeploy("rollback", "shop")
    assert shop.status()["chains"]["prod"][0]["number"] == 1


def test_redeploy_builds_anew_from_the_same_commit(shop):
    before = shop.status()["chains"]["dev"][0]
    shop.gitdeploy("redeploy", "shop", "dev")
    after = shop.status()["chains"]["dev"][0]
    assert after["number"] == 3
    assert after["commit"] == before["commit"]


# --- keeping -----------------------------------------------------------------


def test_a_locked_app_refuses_a_push_with_the_reason(shop, work):
    shop.gitdeploy("lock", "shop", "--reason", "database move")
    assert shop.status()["locked"]["reason"] == "database move"
    assert set(shop.status()["locked"]) == {"reason", "by", "since", "chain", "until"}
    assert "database move" in shop.gitdeploy("status", "shop").stdout
    work.commit("three", **{"index.html": "three"})
    push = work.push("main")
    assert push.code == 1
    assert "database move" in push.status("main").reason
    assert shop.status()["chains"]["dev"][0]["number"] == 2
    shop.gitdeploy("unlock", "shop")
    assert work.push("main").code == 0
    assert "was not locked" in shop.gitdeploy("unlock", "shop").stdout


def test_a_pinned_release_survives_prune(shop):
    shop.gitdeploy("rollback", "shop", "dev")
    shop.gitdeploy("pin", "shop", "2")
    assert shop.releases()[0]["pinned"] is True
    assert shop.json("prune", "shop", "--keep", "0")["removed"] == []
    shop.gitdeploy("pin", "shop", "2", "--off")
    would = shop.json("prune", "shop", "--keep", "0", "--dry-run")["removed"]
    assert [name.split("-")[0] for name in would] == ["2"]
    assert shop.releases()[0]["state"] == "ready"
    assert shop.json("prune", "shop", "--keep", "0")["removed"] == would
    assert shop.releases()[0]["state"] == "pruned"
    assert "pruned" not in shop.gitdeploy("releases", "shop").stdout.splitlines()[1]
    assert code(shop, "pin", "shop", "2") == 2


def test_repair_of_a_whole_app_finds_nothing(shop):
    assert shop.gitdeploy("repair", "shop").stdout.split() == [
        *["shop", "nothing", "to", "repair"]
    ]
    assert shop.json("repair") == {"apps": [{"app": "shop", "done": []}]}


def test_repair_puts_a_link_back(shop):
    (shop.target / "shop-prod-1").unlink()
    shop.gitdeploy("repair")
    assert shop.link("shop") == shop.link("shop-prod-1")


def test_a_lost_ledger_is_rebuilt_from_the_links(shop):
    before = shop.links()
    for path in (shop.root / "shop").glob("ledger.db*"):
        path.unlink()
    assert code(shop, "status", "shop") == 4
    shop.gitdeploy("repair", "--from-links", "shop")
    assert shop.links() == before
    assert shop.status()["chains"]["prod"][0]["number"] == 1


# --- env ---------------------------------------------------------------------


def test_values_are_never_shown_without_show(shop):
    secret = "sehr geheim"  # noqa: S105 - not one of ours
    done = [
        shop.gitdeploy("env", "shop", "set", f"TOKEN={secret}", "B=hunter22"),
        shop.gitdeploy("env", "shop", "list"),
        shop.gitdeploy("env", "shop", "list", "--json"),
        shop.gitdeploy("env", "shop", "unset", "B"),
    ]
    for one in done:
        assert secret not in one.stdout + one.stderr
        assert "hunter22" not in one.stdout + one.stderr
    assert done[1].stdout == "TOKEN\nB\n"
    assert secret in shop.gitdeploy("env", "shop", "list", "--show").stdout
    shown = shop.json("env", "shop", "list", "--show")
    assert shown["values"] == {"TOKEN": secret}


def test_a_group_that_may_read_the_file_still_may_and_nobody_else(shop):
    """The web server's group, say; a site must not break by `env set`."""
    shop.gitdeploy("env", "shop", "set", "A=1")
    path = shop.root / "shop" / "shared" / ".env"
    path.chmod(0o644)
    shop.gitdeploy("env", "shop", "set", "A=2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_file_is_private_and_the_next_steps_are_told(shop):
    path = shop.root / "shop" / "shared" / ".env"
    done = shop.gitdeploy("env", "shop", "set", "A=1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "A=1\n"
    assert "gitdeploy redeploy shop" in done.stderr
    shop.gitdeploy("env", "shop", "set", "A=1", "--chain", "dev")
    assert (shop.root / "shop" / "shared-dev" / ".env").read_text() == "A=1\n"


def test_a_value_can_come_from_the_standard_input(shop):
    shop.gitdeploy("env", "shop", "set", "KEY", input="two\nlines\n")
    assert shop.json("env", "shop", "list", "--show")["values"] == {"KEY": "two\nlines"}
    assert code(shop, "env", "shop", "set", "KEY", "OTHER", input="x") == 2


def test_edit_saves_what_can_be_read_and_nothing_else(shop, tmp_path):
    path = shop.root / "shop" / "shared" / ".env"
    editor = tmp_path / "editor"
    editor.touch(0o755)
    shop.gitdeploy("env", "shop", "set", "A=1")

    def edit(line: str) -> int:
        editor.write_text(f"#!/bin/sh\ncat >\"$1\" <<'END'\n{line}\nEND\n")
        return code(shop, "env", "shop", "edit", env={"EDITOR": str(editor)})

    assert edit("A=2") == 0
    assert path.read_text() == "A=2\n"
    assert edit("A='open") == 2
    assert path.read_text() == "A=2\n"
    assert code(shop, "env", "shop", "edit", env={"VISUAL": "false"}) == 1
    assert path.read_text() == "A=2\n"


@pytest.mark.parametrize(
    "until", ["soon", "0h", "2001-01-01T00:00Z", "2099-01-01T00:00"]
)
def test_a_lock_ends_at_a_time_to_come(shop, until):
    done = shop.gitdeploy("lock", "shop", "--until", until, check=False)
    assert done.returncode == 2
    assert "--until: should be" in done.stderr
    assert shop.status()["locked"] is None


def test_a_lock_that_is_over_is_none(shop):
    shop.gitdeploy("lock", "shop", "--until", "2099-01-01T00:00+02:00")
    assert shop.status()["locked"]["until"] == "2098-12-31T22:00:00Z"
    with App.open(shop.root, "shop", surroundings(os.environ), "ada") as app:
        app.ledger.set_freeze(
            Freeze("over", "ada", "2001-01-01T00:00:00Z", None, "2001-01-02T00:00:00Z")
        )
    assert shop.status()["locked"] is None
