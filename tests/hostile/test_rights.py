"""Attacks on rights: what a pushed file, a flood, a wait or an open session gains."""

import fcntl
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import process
from support.git import Push, Work
from support.held import until

from hostile.scene import ROOT, Scene

STORES = '[refs]\nstage = []\nrelease = []\nother = "store"\n'
MOVES = f"{STORES}move_tags = true\n"
GATES = ["--gate", "--no-gate"]


def refs(scene: Scene) -> dict[str, str]:
    """Return what the refs of the app hold that pushers can move."""
    told = git(scene, "for-each-ref", "--format=%(refname) %(objectname)").stdout
    pairs = dict(line.split(" ") for line in told.splitlines())
    return {ref: id_ for ref, id_ in pairs.items() if "refs/deploy/" not in ref}


def git(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    place = scene.path("shop.git")
    return process.run("git", f"--git-dir={place}", *words, check=False)


def as_(scene: Scene, person: str, work: Work) -> Work:
    """Let somebody else push from the same clone."""
    command = " ".join(f"'{word}'" for word in scene.client(person))
    work.git("config", "core.sshCommand", command)
    return work


@pytest.fixture
def live(attack: Scene) -> tuple[Scene, Work]:
    """The app with main staged by mallory, and two releases of it, v1 and v2."""
    work = attack.clone("mallory")
    for number in ("1", "2"):
        assert attack.push(work, page=number).code == 0
        assert attack.release(work, f"v{number}").code == 0
        as_(attack, "mallory", work)
    return attack, work


def no_different(scene: Scene, deed: Callable[[], Push]) -> Push:
    """Do what has to be refused; refs, objects and what prod serves are as before."""
    before = refs(scene), scene.served(), git(scene, "count-objects", "-v").stdout
    push = deed()
    assert push.code != 0, push.output
    assert before[:2] == (refs(scene), scene.served())
    assert "Traceback" not in push.output
    if "nothing of this push was taken" in push.output:
        assert git(scene, "count-objects", "-v").stdout == before[2]
    return push


def said(push: Push) -> str:
    """Return all that a pusher reads, in one line."""
    text = " ".join(line.strip() for line in push.remote_lines)
    return f"{text} {push.output}"


# --- the pushed deploy.toml ---------------------------------------------------------


def test_a_pushed_deploy_toml_gives_no_right_over_tags(live):
    """Created, moved, deleted, stored, by one push or together with what one may."""
    scene, work = live
    for gate, toml in zip(GATES, (STORES, MOVES), strict=True):
        scene.gitdeploy("setup", "shop", gate)
        work.commit("stores", **{"deploy.toml": toml})
        for words in (
            ["HEAD:refs/tags/v3"],
            ["+HEAD:refs/tags/v2"],
            [":refs/tags/v1"],
            [":refs/tags/v2"],
            ["HEAD:refs/heads/else", "HEAD:refs/tags/v3"],
            ["HEAD:refs/heads/main", "+HEAD:refs/tags/v1"],
        ):
            push = no_different(scene, lambda words=words: work.push(*words))
            assert "not allowed: mallory lacks release (has: stage)" in said(push)
            assert "nothing of this push was taken" in said(push)
    event = scene.json("history", "shop")["deployments"][0]
    assert (event["action"], event["by"]) == ("refuse", "mallory")


def test_a_locked_branch_is_neither_moved_nor_stored_over_nor_deleted(live):
    scene, work = live
    assert scene.ssh("otto", "lock shop --reason audit").returncode == 0
    work.commit("stores", **{"deploy.toml": STORES})
    for words in (["HEAD:main"], ["--force", "HEAD~2:main"]):
        push = no_different(scene, lambda words=words: work.push(*words))
        assert "locked by otto" in said(push)
    no_different(scene, lambda: work.push(":main"))
    work.git("reset", "-q", "--hard", "HEAD~1")
    work.git("commit", "-q", "--allow-empty", "-m", "the same content as is live")
    assert "locked by otto" in said(no_different(scene, lambda: work.push("main")))


def test_a_stage_branch_is_not_deleted_by_first_storing_over_it(live):
    """It is what it was when it deployed; what is live says who stages."""
    scene, work = live
    work.commit("stores", **{"deploy.toml": STORES})
    assert work.push("main").code == 0  # who may stage may store there
    push = no_different(scene, lambda: work.push(":main"))
    assert "main is staged from; a stage branch is not deleted" in said(push)


def test_a_release_tag_is_not_moved_by_storing_over_it_nor_left_unsigned(live):
    """By one who may release: what the ref was, and what its chain wants, counts."""
    scene, work = live
    as_(scene, "rita", work)
    work.commit("stores", **{"deploy.toml": STORES})
    push = no_different(scene, lambda: work.push("+HEAD:refs/tags/v1"))
    assert "a release tag is not moved" in said(push)
    work.commit("moves", **{"deploy.toml": MOVES})
    scene.server_toml('[signed]\nprod = "tags"\n')
    push = no_different(scene, lambda: work.push("+HEAD:refs/tags/v1"))
    assert "v1 is no signed tag" in said(push)
    scene.server_toml("[refs]\nmove_tags = false\n")
    push = no_different(scene, lambda: work.push("+HEAD:refs/tags/v1"))
    assert "(server.toml, [refs])" in said(push)


def test_the_server_bounds_which_refs_deploy(live):
    scene, work = live
    scene.server_toml('[refs]\nstage = ["main"]\nother = "refuse"\n')
    everything = '[refs]\nstage = ["*"]\nother = "store"\n'
    work.commit("all", **{"deploy.toml": everything})
    for ref in ("refs/heads/mine", "refs/notes/mine"):
        push = no_different(scene, lambda ref=ref: work.push(f"HEAD:{ref}"))
        assert "branches main stage" in said(push)
        assert "(server.toml, [refs])" in said(push)
    assert work.push("main").code == 0


# --- what is refused is not there ---------------------------------------------------


def test_what_may_not_be_pushed_is_neither_kept_nor_fetched_nor_counted(live):
    scene, work = live
    for gate in GATES:
        scene.gitdeploy("setup", "shop", gate)
        work.commit("large", **{"noise": os.urandom(2**20), "deploy.toml": ""})
        no_different(scene, lambda: work.push("HEAD:refs/tags/v9"))
        assert git(scene, "cat-file", "-e", work.head).returncode != 0
        assert not list(scene.path("shop.git/objects").glob("*incoming*"))
        other = scene.clone("rita")
        fetched = other.git("fetch", "-q", "server", work.head, check=False)
        assert fetched.returncode != 0
        assert work.push("main").code == 0  # what she may push is taken as ever


def test_a_session_that_outlives_a_grant_pushes_nothing(live):
    """The forced command let git begin; the hook reads the file that has changed."""
    scene, work = live
    work.commit("late", page="late")
    hook = scene.path("shop.git/hooks/pre-receive")
    real = hook.rename(hook.with_name("real"))
    revoke = f"sed -i s/mallory/nobody/ {ROOT}/access.toml"
    hook.write_text(f"#!/bin/sh\n{revoke}\nexec {ROOT}/shop.git/hooks/real\n")
    hook.chmod(0o755)
    assert real.exists()
    push = no_different(scene, lambda: work.push("main"))
    assert "not allowed: mallory has no right to this app" in said(push)
    assert git(scene, "cat-file", "-e", work.head).returncode != 0


# --- push options -------------------------------------------------------------------


def options(work: Work, number: int, size: int) -> None:
    """Let a clone push with options; no command line could hold as many."""
    config = work.path / ".git/config"
    lines = "".join(f"\tpushOption = {'x' * size}{n}\n" for n in range(number))
    config.write_text(f"{config.read_text()}[push]\n{lines}")


def test_no_flood_of_push_options_opens_the_door(live):
    """Not even where so many are handed to hooks that none can be started.

    Without the gate none are offered; also where somebody's configuration offers them.
    """
    scene, work = live
    plain = (work.path / ".git/config").read_text()
    for gate in GATES:
        scene.gitdeploy("setup", "shop", gate)
        work.commit("flood", page="flood")
        for advertised in (None, "true"):
            if advertised:
                git(scene, "config", "receive.advertisePushOptions", advertised)
            for number, size in ((45, 60_000), (2, 40_000)):
                (work.path / ".git/config").write_text(plain)
                options(work, number, size)
                for ref in ("refs/tags/v9", "refs/heads/main"):
                    no_different(scene, lambda ref=ref: work.push(f"HEAD:{ref}"))
                    assert git(scene, "cat-file", "-e", work.head).returncode != 0
    scene.gitdeploy("repair", "shop")
    assert "v9" not in str(refs(scene))
    assert scene.served()["page"] == b"2"


# --- repair ---------------------------------------------------------------------------


def test_repair_deploys_what_was_judged_while_its_right_holds_and_names_the_rest(live):
    """post-receive never ran; who moved a ref by hand is known to nobody."""
    scene, work = live
    scene.gitdeploy("setup", "shop", "--no-gate")
    hook = scene.path("shop.git/hooks/post-receive")
    hook.chmod(0o644)
    work.commit("three", page="3")
    assert as_(scene, "rita", work).push("HEAD:refs/tags/v3").code == 0
    assert scene.served()["page"] == b"2"
    (note,) = scene.path("shop/pushed").iterdir()
    assert note.stat().st_mode & 0o777 == 0o600
    told = scene.gitdeploy("repair", "shop").stdout
    assert "v3 had moved unseen: deployed" in told
    assert scene.served()["page"] == b"3"
    event = scene.json("history", "shop")["deployments"][0]
    assert (event["by"], event["key"][:7]) == ("rita", "SHA256:")
    assert not list(scene.path("shop/pushed").iterdir())
    work.commit("four", page="4")
    assert work.push("HEAD:refs/tags/v4").code == 0
    scene.gitdeploy("access", "revoke", "rita", "--app", "shop")
    told = scene.gitdeploy("repair", "shop").stdout
    assert "v4 had moved unseen: refused" in told
    git(scene, "update-ref", "refs/tags/v5", work.head)
    told = " ".join(scene.gitdeploy("repair", "shop").stdout.split())
    assert "v5 had moved unseen, and nobody judged it" in told
    assert "gitdeploy repair shop --deploy v5" in told
    assert scene.served()["page"] == b"3"


# --- the last moment -----------------------------------------------------------------

ENDS = {
    "revoked": ("access", "revoke", "rita", "--app", "shop"),
    "without a key": ("key", "remove", "rita"),
    "locked": ("lock", "shop", "--reason", "audit"),
}


@contextmanager
def busy(scene: Scene) -> Iterator[None]:
    """Hold the app's lock, as whoever deploys does."""
    with scene.path("shop/lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def waiters(scene: Scene) -> int:
    return len(scene.json("status", "shop")["queue"])


@pytest.mark.parametrize("words", ENDS.values(), ids=ENDS)
def test_verbs_that_waited_are_refused_when_their_right_is_gone(live, words):
    scene, work = live
    assert scene.push(work, page="3").code == 0
    served = scene.served()
    with busy(scene):
        waiting = [
            subprocess.Popen(
                [*scene.client("rita"), scene.url(), f"{verb} shop --wait 60"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for verb in ("rollback", "release")
        ]
        until(lambda: waiters(scene) == len(waiting), "the verbs wait")
        scene.gitdeploy(*words)
    for one in waiting:
        _, told = one.communicate(timeout=60)
        assert one.returncode == 1, told
        assert re.search(rb"rita (may not|is let in)|locked by", told), told
    assert scene.served() == served


@pytest.mark.parametrize("words", [("access", "revoke", "mallory"), ENDS["locked"]])
def test_a_build_that_outlives_its_right_goes_nowhere(live, words):
    scene, work = live
    step = 'rm -f "$HOME/gate"; mkfifo "$HOME/gate"; read go < "$HOME/gate"'
    toml = f"[[build.steps]]\nname = 'held'\nrun = '''{step}'''\n"
    work.commit("held", **{"deploy.toml": toml, "page": "3"})
    before = refs(scene), scene.served("dev")
    more = ("--app", "shop") if words[0] == "access" else ()
    with work.pushing("main") as child:
        gate = until(lambda: _opened(scene.path("shop/cache/gate")), "the step waits")
        scene.gitdeploy(*words, *more)
        os.write(gate, b"on\n")
        os.close(gate)
        _, told = child.communicate(timeout=60)
    assert child.returncode == 1
    assert re.search(r"mallory has no right|locked by deploy", str(told)), told
    assert before == (refs(scene), scene.served("dev"))


def _opened(fifo: Path) -> int | None:
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


# --- sessions and keys ----------------------------------------------------------------


@contextmanager
def session(scene: Scene, person: str, socket: Path) -> Iterator[list[str]]:
    """An open connection of a person's; yields the client that goes by it."""
    client = [*scene.client(person), "-S", str(socket)]
    process.run(*client, "-M", "-N", "-f", scene.url())
    try:
        yield client
    finally:
        process.run(*client, "-O", "exit", scene.url(), check=False)


def expire(scene: Scene) -> None:
    keys = scene.path("/home/deploy/.ssh/authorized_keys")
    ours = r"^restrict,(.*mallory)"
    over = r'restrict,expiry-time="20010101Z",\1'
    keys.write_text(re.sub(ours, over, keys.read_text(), flags=re.MULTILINE))


def remove(scene: Scene) -> None:
    scene.gitdeploy("key", "remove", "mallory")


def let_in_as_somebody_else(scene: Scene) -> None:
    scene.gitdeploy("key", "remove", "mallory")
    scene.gitdeploy("key", "add", "zoe", "/run/public/mallory.pub")


def test_an_open_connection_ends_with_its_key(live, tmp_path):
    scene, work = live
    for end in (expire, remove, let_in_as_somebody_else):
        with session(scene, "mallory", tmp_path / "socket") as client:
            verb = [*client, scene.url(), "status shop"]
            assert process.run(*verb, check=False).returncode == 0
            end(scene)
            told = process.run(*verb, check=False)
            assert told.returncode == 1
            assert re.search("no more|expired", told.stderr), told
            command = " ".join(f"'{word}'" for word in client)
            work.git("config", "core.sshCommand", command)
            work.commit("late", page="late")
            no_different(scene, lambda: work.push("main"))
        if end is not let_in_as_somebody_else:
            scene.gitdeploy("key", "add", "mallory", "/run/public/mallory.pub")


def test_a_line_that_people_edited_is_found_and_taken_away(attack):
    keys = attack.path("/home/deploy/.ssh/authorized_keys")
    edited = keys.read_text().replace("restrict,", 'from="127.0.0.0/8",restrict,')
    keys.write_text(edited)
    assert attack.ssh("mallory", "status shop").returncode == 0
    listed = attack.json("key", "list")["keys"]
    assert {key["person"] for key in listed} == {"mallory", "rita", "otto"}
    attack.gitdeploy("key", "remove", "mallory")
    assert "mallory" not in keys.read_text()
    assert attack.ssh("mallory", "status shop").returncode == 255
    assert attack.ssh("rita", "status shop").returncode == 0


def test_two_roots_of_one_user_are_two_sets_of_people(attack):
    other = "/home/deploy/other"
    attack.gitdeploy("setup", "shop", "--root", other)
    words = ("key", "add", "mallory", "/run/public/mallory.pub", "--root", other)
    done = attack.gitdeploy(*words, check=False)
    assert done.returncode == 2
    assert f"lets mallory in to {ROOT}; one key opens one root" in done.stderr
    assert attack.ssh("mallory", "status shop").returncode == 0
    gone = attack.gitdeploy("key", "remove", "rita", "--root", other, check=False)
    assert gone.returncode == 5
    assert f"--root {ROOT}" in gone.stderr
    assert attack.json("key", "list", "--root", other)["keys"] == []
    assert attack.json("key", "list", "--root", other)["other_roots"] == [str(ROOT)]
    attack.machine.run("rm", "-rf", other)
