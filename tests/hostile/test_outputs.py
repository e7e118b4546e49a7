"""What a step made is passed on as it made it, and made of what it states alone.

mallory leaves something in a release that a later one takes its dependencies from; rita
tags a clean commit, and prod shows what that commit makes.
"""

import os
import shlex
from pathlib import Path

import pytest
from support.git import Work

from hostile.scene import REQUIRE, Scene

STEP = """
[releases]
keep = 9
[[build.steps]]
name = "deps"
run = '''{run}'''
inputs = ["lock"]
outputs = ["lib"]
"""
MAKE = "mkdir -p lib/deep; cat lock > lib/deep/made; date +%N > lib/deep/when"
CLEAN = STEP.format(run=MAKE)
# What a later command does to an output of the step, so that it looks the same.
HIDDEN = {
    "in place": "touch -r $f t; printf EVIL > $f; touch -r t $f",
    "by a second name": "ln $f n; touch -r $f t; printf EVIL > n; touch -r t n; rm n",
    "by a second name that stays": (
        "ln $f n; touch -r $f t; printf EVIL > n; touch -r t n"
    ),
    "renamed over": "touch -r $f t; printf EVIL > n; touch -r t n; mv n $f",
    "mapped into memory": (
        "touch -r $f t; python3 -c 'import mmap, sys;"
        ' f = open(sys.argv[1], "r+b"); m = mmap.mmap(f.fileno(), 0); m[:4] = b"EVIL"'
        "' $f; touch -r t $f"
    ),
    "behind a link": "mv lib/deep away; ln -s ../away lib/deep; printf EVIL > $f",
}


def give_back(attack: Scene, work: Work) -> None:
    """Let mallory push from a clone that rita has released."""
    work.git("config", "core.sshCommand", shlex.join(attack.client("mallory")))


def made(top: Path) -> str:
    return Path(os.path.join(top, "lib/deep/made")).read_text()


@pytest.mark.parametrize("where", ["[[build.steps]]", "[[checks]]", "[[activate]]"])
def test_what_a_later_command_rewrote_is_never_passed_on(
    attack: Scene, where: str
) -> None:
    """The same key, the same looks; the clean tag has what its own step makes."""
    work = attack.clone("mallory")
    for number, (how, deed) in enumerate(HIDDEN.items()):
        lock = f"good {number}"
        evil = f"{CLEAN}{where}\nrun = '''f=lib/deep/made; {deed}'''\n"
        told = attack.push(work, evil, lock=lock)
        assert told.code == 0, told.output
        assert made(attack.live("dev")).startswith("EVIL"), how
        assert attack.push(work, CLEAN, lock=lock).code == 0
        assert made(attack.live("dev")) == lock, how
        if how == "by a second name that stays":
            assert attack.release(work, f"v{number}").code == 0
            assert made(attack.live("prod")) == lock
            give_back(attack, work)


UNDECLARED = {
    "a file": ("cat side lock > lib/deep/made", {"side": "EVIL"}),
    "of a folder": (
        "cat conf/* lock > lib/deep/made",
        {"conf/a": "EVIL"},
    ),
    "if it is there": (
        "if [ -e side ]; then cat side; else cat lock; fi > lib/deep/made",
        {"side": "EVIL"},
    ),
    "by its full path": (
        "cat $GITDEPLOY_RELEASE_DIR/side lock > lib/deep/made",
        {"side": "EVIL"},
    ),
    "of the release before": (
        "cat /home/*/*/shop/releases/*/side > lib/deep/made || cp lock lib/deep/made",
        {"side": "EVIL"},
    ),
}


@pytest.mark.parametrize("what", UNDECLARED)
def test_what_a_step_does_not_state_is_not_there_for_it(
    attack: Scene, what: str
) -> None:
    """Nothing of a commit gets into what later commits take over, but by the key."""
    work = attack.clone("mallory")
    run, files = UNDECLARED[what]
    toml = STEP.format(run=f"mkdir -p lib/deep; {run}")
    told = attack.push(work, toml, lock="good", **files)
    if told.code:
        path = "conf" if what == "of a folder" else "side"
        said = " ".join(told.output.replace("remote:", "").split())
        assert f"it sees only its inputs; add {path} in deploy.toml" in said
        return
    assert "EVIL" not in made(attack.live("dev"))
    work.remove(*files)
    assert attack.push(work, toml, lock="good").code == 0
    assert attack.release(work, "v1").code == 0
    assert made(attack.live("prod")) == "good"


def test_a_tool_cannot_change_what_the_step_reads(attack: Scene) -> None:
    """What it says is in the key, what it does is not."""
    work = attack.clone("mallory")
    for script in ("printf EVIL > lock; echo 1", "echo 1"):
        toml = f'{CLEAN}tool = "sh version"\n'
        told = attack.push(work, toml, lock="good", version=script)
        if told.code == 0:
            assert made(attack.live("dev")) == "good"
    assert attack.release(work, "v1").code == 0
    assert made(attack.live("prod")) == "good"


def test_honest_steps_find_what_they_state(attack: Scene) -> None:
    """Folders, patterns, links, shared paths, and what steps before them made."""
    work = attack.clone("mallory")
    attack.gitdeploy("env", "shop", "set", "A=of-the-shop")
    toml = """
[shared]
files = [".env"]
dirs = ["storage"]
[[build.steps]]
name = "deps"
run = "mkdir lib; cat lock .env > lib/made; echo > storage/seen; ./bin/tool"
inputs = ["lock", ".env", "bin"]
outputs = ["lib"]
[[build.steps]]
name = "assets"
run = '''
mkdir dist; cat lib/made src/*.js by/x > dist/all; echo > lib/cache; ls -A > dist/ls
'''
inputs = ["src/**/*.js", "by"]
outputs = ["dist"]
[[build.steps]]
run = "cat dist/all other"
"""
    work.write("bin/tool", "#!/bin/sh\necho tool\n")
    (work.path / "bin/tool").chmod(0o755)
    work.write("real/x", "behind-a-link")
    (work.path / "by").symlink_to("real")
    files = {"lock": "1", "src/a.js": "a", "src/b/c.js": "c", "other": "o"}
    told = attack.push(work, toml, **files)
    assert told.code == 0, told.output
    live = attack.served("dev")
    assert live["dist/all"].startswith(b"1")
    assert live["dist/all"].endswith(b"behind-a-link")
    names = {*live["dist/ls"].decode().split()}
    assert names == {".env", "by", "dist", "lib", "real", "src", "storage"}
    assert "lib/cache" in live
    assert live["other"] == b"o"
    told = attack.push(work, toml, page="2")
    assert told.code == 0, told.output
    assert told.output.count("reused:") == 2
    assert "lib/cache" not in attack.served("dev")


def staged_before(attack: Scene, work: Work) -> str:
    """Stage something that a step does not state, while it saw all of its release."""
    attack.server_toml(f'{REQUIRE}strict_inputs = "off"\n')
    toml = STEP.format(run="mkdir -p lib/deep; cat side lock > lib/deep/made || true")
    assert attack.push(work, toml, lock="good", side="EVIL").code == 0
    work.remove("side")
    assert attack.push(work, toml, lock="good", page="2").code == 0
    assert made(attack.live("dev")) == "EVILgood"
    attack.server_toml("")
    return toml


def test_what_was_built_before_stays_with_its_commit(attack: Scene) -> None:
    """Prod builds anew what is not its own."""
    work = attack.clone("mallory")
    staged_before(attack, work)
    told = attack.release(work, "v1")
    assert told.code == 0, told.output
    assert made(attack.live("prod")) == "good"


def test_what_was_built_before_is_not_passed_on_within_dev_either(
    attack: Scene,
) -> None:
    """What is staged is promoted as it is."""
    work = attack.clone("mallory")
    toml = staged_before(attack, work)
    assert attack.push(work, toml, lock="good", page="3").code == 0
    assert made(attack.live("dev")) == "good"
