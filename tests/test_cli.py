"""The verbs: their help, their exit statuses, their errors; setup and completion."""

import json
import re
import signal
import sys

import pytest
from support import process
from support.shop import busy, code, staged

from gitdeploy.cli.main import VERBS

ALL_VERBS = [verb for verbs in VERBS.values() for verb in verbs]


@pytest.fixture
def shop(server, work):
    return staged(server, work)


# --- help --------------------------------------------------------------------


@pytest.mark.parametrize("verb", ALL_VERBS)
def test_every_verb_has_help(server, verb):
    done = server.gitdeploy(verb, "--help")
    assert done.stdout.startswith(f"Usage: gitdeploy {verb} ")
    assert done.stderr == ""


def test_every_verb_stands_in_the_help_with_a_whole_sentence(server):
    shown = server.gitdeploy("--help").stdout
    for verb in ALL_VERBS:
        (line,) = re.findall(rf"^  {verb} +(\S.*)$", shown, re.MULTILINE)
        assert line.endswith(".")
        assert not line.endswith("..")


def test_help_fits_80_columns(server):
    for verb in ["", *ALL_VERBS]:
        words = [verb, "--help"] if verb else ["--help"]
        lines = server.gitdeploy(*words).stdout.splitlines()
        assert max(map(len, lines)) <= 80, verb


def test_a_verb_imports_only_what_it_needs(server):
    script = (
        "import sys; sys.argv[1:] = ['status']; from gitdeploy.cli.main import main;"
        "main(); print(*sorted(sys.modules))"
    )
    here = {"GITDEPLOY_ROOT": str(server.root)}
    done = process.run(sys.executable, "-c", script, env=here)
    modules = done.stdout.split()
    assert "gitdeploy.cli.status" in modules
    assert not {"git", "pygit2", "dotenv", "gitdeploy.cli.setup"} & set(modules)


def test_the_version_is_told(server):
    assert re.fullmatch(r"gitdeploy \S+\n", server.gitdeploy("--version").stdout)


# --- exit statuses and errors ------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["statsu"],
        ["status", "--nonsense"],
        ["status", "nosuch"],
        ["status", "../etc"],
        ["rollback"],
        ["rollback", "shop", "staging"],
        ["rollback", "shop", "--to", "1", "--steps", "1"],
        ["rollback", "shop", "--to", "99"],
        ["rollback", "shop", "--steps", "0"],
        ["pin", "shop", "99"],
        ["plan", "shop", "nosuch"],
        ["logs", "shop", "99"],
        ["deploy", "shop", "nosuch", "prod"],
        ["setup", "UPPER"],
        ["setup", "shop-staging"],
        ["env", "shop", "set"],
        ["env", "shop", "set", "1A=b"],
        ["repair", "--from-links"],
        ["completion", "csh"],
    ],
)
def test_a_wrong_command_exits_with_2(shop, words):
    done = shop.gitdeploy(*words, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if words:
        assert done.stderr.startswith("gitdeploy: ")


def test_an_error_is_one_sentence_and_a_hint(server):
    done = server.gitdeploy("statsu", check=False)
    first, second = done.stderr.splitlines()
    assert first.startswith("gitdeploy: no such verb 'statsu'")
    assert second == "hint: gitdeploy --help"


def test_nothing_to_go_to_exits_with_5(server, work):
    assert code(server, "rollback", "shop") == 5
    assert code(server, "rollforward", "shop") == 5
    assert code(server, "release", "shop") == 5
    assert code(server, "redeploy", "shop") == 5
    work.commit("one", **{"index.html": "one"})
    work.push("main")
    assert code(server, "rollback", "shop", "dev") == 5
    assert server.status()["chains"]["dev"][0]["number"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["rollback", "shop", "dev"],
        ["release", "shop"],
        ["redeploy", "shop"],
        ["prune", "shop"],
        ["repair", "shop"],
        ["env", "shop", "set", "A=1"],
    ],
)
def test_a_held_lock_exits_with_75_and_names_the_holder(shop, words):
    with busy(shop):
        done = shop.gitdeploy(*words, "--wait", "0", check=False)
    assert done.returncode == 75
    assert "bob (push of main" in done.stderr


def test_a_failing_build_on_the_server_exits_with_1(server, work):
    flag = server.root / "broken"
    work.write("deploy.toml", f'[[build.steps]]\nrun = "test ! -e {flag}"\n')
    work.commit("one")
    assert work.push("main").code == 0
    flag.touch()
    done = server.gitdeploy("redeploy", "shop", "dev", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(("shop", "  ", "gitdeploy: "))
    assert server.status()["chains"]["dev"][0]["number"] == 1


# --- setup and completion ----------------------------------------------------


def test_setup_says_how_to_push_and_then_that_all_is_right(server):
    first = server.setup("shop").stdout
    assert "git remote add server " in first
    assert "git push server main" in first
    assert str(server.repo()) in first
    assert "all is right" in server.setup("shop").stdout
    (server.target / "shop-dev-2").unlink()
    again = server.setup("shop").stdout
    assert "changed" in again
    assert "shop-dev-2" in again


def test_the_root_may_be_relative_and_come_from_the_environment(server):
    server.gitdeploy("setup", "shop", "--root", "elsewhere")
    assert (server.root / "elsewhere" / "shop.git").is_dir()
    shown = server.gitdeploy("status", "--json", env={"GITDEPLOY_ROOT": "elsewhere"})
    assert json.loads(shown.stdout)["apps"][0]["repository"].startswith("/")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(server, shell):
    assert "_GITDEPLOY_COMPLETE" in server.gitdeploy("completion", shell).stdout


def complete(server, *words: str) -> list[str]:
    env = {
        "_GITDEPLOY_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["gitdeploy", *words]),
        "COMP_CWORD": str(len(words)),
    }
    lines = server.gitdeploy(env=env).stdout.splitlines()
    return [line.partition(",")[2] for line in lines if line]


def test_verbs_apps_and_releases_complete(shop):
    assert complete(shop, "roll") == ["rollback", "rollforward"]
    assert complete(shop, "status", "s") == ["shop"]
    names = [release["name"] for release in shop.releases()]
    assert complete(shop, "pin", "shop", "2")[0] == names[0]
    assert complete(shop, "pin", "nosuch", "2") == []


def test_a_reader_that_leaves_is_no_bug(shop):
    env = {"GITDEPLOY_ROOT": str(shop.root)}
    with process.started(
        sys.executable, "-m", "gitdeploy", "history", "shop", "--json", env=env
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.wait(30) in (0, 1)
        assert child.stderr is not None
        assert b"Traceback" not in child.stderr.read()


def test_ctrl_c_exits_with_130(shop):
    env = {"GITDEPLOY_ROOT": str(shop.root)}
    words = ["rollback", "shop", "dev", "--wait", "60"]
    with (
        busy(shop),
        process.started(sys.executable, "-m", "gitdeploy", *words, env=env) as child,
    ):
        assert child.stderr is not None
        assert b"waiting for bob" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130


def test_the_usual_target_is_for_new_apps_only(server, tmp_path):
    usual = {"DEPLOYMENT_HELPER_TARGET": str(tmp_path / "usual")}
    server.setup("old")
    for app in ("old", "new"):
        server.gitdeploy("setup", app, env=usual)
    targets = {app["app"]: app["target"] for app in server.json("status")["apps"]}
    assert targets == {"old": str(server.target), "new": str(tmp_path / "usual")}
