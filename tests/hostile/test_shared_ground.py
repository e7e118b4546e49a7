"""What steps leave in shared places leads nobody anywhere, and holds nobody up."""

import json

import pytest

from hostile.scene import CANARY, OWN_CANARY, ROOT, Scene

STEP = '[[build.steps]]\nname = "step"\nrun = "sh -u script"\n'
ENV = '[shared]\nfiles = [".env"]\n'
SHARED = "$GITDEPLOY_SHARED_DIR"


def leave(attack: Scene, script: str, toml: str = STEP) -> None:
    """Let somebody who may stage leave something behind, by a step that succeeds."""
    push = attack.push(attack.clone("mallory"), toml, script=script)
    assert push.code == 0, push.output


def words(*said: str) -> str:
    """Return what was said as one line, whatever the width of the terminal."""
    return " ".join("".join(said).replace("remote:", "").split())


# --- what is shown to commands ------------------------------------------------------


def test_a_link_where_a_chain_shares_shows_commands_nothing_else(attack: Scene) -> None:
    work = attack.clone("mallory")
    evil = "".join(
        f'rm -rf "{SHARED}/{name}"; ln -sfn /home/deploy "{SHARED}/{name}"\n'
        for name in ("dev", "../shared-dev", "storage", ".")
    )
    with attack.nothing_else_changes():
        assert attack.push(work, STEP, script=f"{evil}true").code == 0
        write = f'for p in "{SHARED}" "{SHARED}/dev" "{SHARED}/storage"; do\n'
        write += 'mkdir -p "$p/.ssh"; echo evil >>"$p/.ssh/authorized_keys"\n'
        write += "done 2>/dev/null; true"
        apart = f'[shared]\nscope = "chain"\n{STEP}'
        assert attack.push(work, apart, script=write).code == 0


def test_a_chain_s_own_is_out_of_reach_of_commands_that_leave_the_scope_out(
    attack: Scene,
) -> None:
    """As it was: `scope = "chain"` for prod, and a dev step that does not say so."""
    attack.gitdeploy("env", "shop", "set", "--chain", "prod", f"TOKEN={OWN_CANARY}")
    attack.gitdeploy("env", "shop", "set", "--chain", "dev", "TOKEN=only-of-dev")
    work = attack.clone("mallory")
    apart = f'{ENV}scope = "chain"\n'
    assert attack.push(work, apart).code == 0
    attack.gitdeploy("release", "shop")
    tries = [f"{SHARED}/prod", f"{SHARED}/../shared-prod", "$HOME/../shared-prod"]
    tries += [f"{ROOT}/shop/shared-prod", f"{ROOT}/shop/shared/prod"]
    script = "".join(
        f'cat "{there}/.env"; echo TOKEN=evil >"{there}/.env"\n' for there in tries
    )
    for one in (f"{script}true", f'cd "{SHARED}" && ls -R && {script}true'):
        push = attack.push(work, STEP, "main", script=one)
        assert push.code == 0, push.output
        assert OWN_CANARY not in push.output
    logs = attack.path("shop/logs").iterdir()
    assert not any(OWN_CANARY in log.read_text() for log in logs)
    assert attack.served()[".env"] == b"../../shared-prod/.env"
    assert OWN_CANARY in attack.path("shop/shared-prod/.env").read_text()


def test_the_server_keeps_dev_and_prod_apart_whatever_a_commit_says(
    attack: Scene,
) -> None:
    attack.server_toml('[shared]\nscope = "chain"\n')
    attack.gitdeploy("env", "shop", "set", "--chain", "prod", f"TOKEN={OWN_CANARY}")
    attack.gitdeploy("env", "shop", "set", "--chain", "dev", "TOKEN=only-of-dev")
    no = attack.gitdeploy("env", "shop", "list", check=False)
    assert no.returncode == 2
    assert "gitdeploy env shop list --chain prod" in words(no.stderr)
    work = attack.clone("mallory")
    less = f'{ENV}scope = "app"\n{STEP}'
    script = f'case "{SHARED}" in */shared-dev) ;; *) exit 1; esac\ncat .env >seen'
    push = attack.push(work, less, script=script)
    assert push.code == 0, push.output
    assert attack.served("dev")["seen"] == b"TOKEN=only-of-dev\n"
    assert attack.served("dev")[".env"] == b"../../shared-dev/.env"


def test_plan_lets_a_tool_write_to_nothing_that_lasts(attack: Scene) -> None:
    work = attack.clone("mallory")
    places = (f"{SHARED}/storage/evil", "$HOME/evil")
    writes = "".join(f"(echo 1 >{place}) || true; " for place in places)
    tool = f'[shared]\ndirs = ["storage"]\n{STEP}outputs = ["out"]\n'
    tool += f'inputs = ["page", "script"]\ntool = "{writes}echo 7"\n'
    assert attack.push(work, tool, script="mkdir -p out").code == 0
    for place in ("shared/storage/evil", "cache/evil"):  # the step's own run may
        attack.path(f"shop/{place}").unlink()
    push = attack.push(work, tool, page="2", options=("plan",))
    assert "step: run" in words(push.output)
    assert not attack.path("shop/shared/storage/evil").exists()
    assert not attack.path("shop/cache/evil").exists()


# --- what is seeded -----------------------------------------------------------------


SEEDS = (
    ("a", 'files = ["a/pre-receive"]', "a/pre-receive"),
    ("a", 'dirs = ["a/sub"]', "a/sub/pre-receive"),
    ("b/c", 'files = ["b/c/pre-receive"]', "b/c/pre-receive"),
    ("a", 'dirs = ["a"]', "a/pre-receive"),
    ("a", 'files = ["a"]', "a"),
)
"""A place that a step made a link, what is shared, and what the commit has there."""


def test_nothing_is_seeded_through_a_link(attack: Scene) -> None:
    with attack.nothing_else_changes():
        hooks = f"{ROOT}/blog.git/hooks"
        script = f'cd "{SHARED}" && mkdir b && ln -s {hooks} a && ln -s {hooks} b/c'
        leave(attack, script)
        for number, (_, shares, file) in enumerate(SEEDS):
            work, files = attack.clone("mallory"), {file: "#!/bin/sh\n"}
            toml = f"[refs]\nstage = ['*']\n[shared]\n{shares}\n"
            push = attack.push(work, toml, f"main:b{number}", **files)
            assert push.code == 1, shares
            assert "link" in words(push.output), shares


# --- .env ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["../../blog/shared/.env", "/home/deploy/.profile2"])
def test_env_neither_reads_nor_writes_through_a_link(
    attack: Scene, target: str
) -> None:
    with attack.nothing_else_changes():
        leave(attack, f'ln -sfn {target} "{SHARED}/.env"')
        place = ROOT / "shop/shared/.env"
        for verb in ("list", "list --show", "set A=1", "unset SECRET"):
            tries = [attack.gitdeploy("env", "shop", *verb.split(), check=False)]
            if verb != "list --show":  # which nobody may say over ssh
                tries.append(attack.ssh("otto", f"env shop {verb}"))
            for done in tries:
                assert done.returncode == 1, (verb, done.stdout, done.stderr)
                said = words(done.stdout, done.stderr)
                assert f"{place} is a link" in said
                assert f"rm {place}" in said
                assert "SECRET" not in said.replace("unset SECRET", "")
                assert CANARY not in said
        assert attack.path("shop/shared/.env").is_symlink()
        attack.path("shop/shared/.env").unlink()
        attack.gitdeploy("env", "shop", "set", "A=1")


def test_the_mask_tells_nothing_of_another_app_s_secrets(attack: Scene) -> None:
    """What is printed would be hidden if it were right: an oracle."""
    leave(attack, f'ln -sfn ../../blog/shared/.env "{SHARED}/.env"')
    push = attack.push(attack.clone("mallory"), STEP, "main:master", script="true")
    assert push.code == 1
    assert "[hidden]" not in push.output
    assert f"rm {ROOT}/shop/shared/.env" in words(push.output)


LEFT = {
    "a pipe": "mkfifo .env",
    "a socket": "python3 -c 'import socket; socket.socket(1).bind(\".env\")'",
    "a directory": "mkdir .env",
    "a link to a device": "ln -s /dev/zero .env",
    "a link to a pipe": "mkfifo p; ln -s p .env",
    "700 MiB of nothing": "truncate -s 700M .env",
    "one byte too many": "head -c 1048577 /dev/zero >.env",
}


@pytest.mark.parametrize("left", LEFT)
def test_what_is_no_file_of_variables_holds_nobody_up(attack: Scene, left: str) -> None:
    """Neither as .env nor as what a step reads; and who goes back, goes back."""
    attack.gitdeploy("env", "shop", "set", f"TOKEN={OWN_CANARY}")
    work = attack.clone("mallory")
    undo = f'{ENV}[[deactivate]]\nname = "undo"\nrun = "echo the-secret"\n'
    assert attack.push(work, undo).code == 0
    script = f'cd "{SHARED}" && rm -rf .env && {LEFT[left]}'
    push = attack.push(work, undo + STEP, page="2", script=script)
    assert push.code == 0, push.output
    reads = f'{ENV}{STEP}inputs = [".env", "script"]\noutputs = ["out"]\n'
    push = attack.push(work, reads, page="3", script="mkdir out")
    assert push.code == 1
    assert str(ROOT / "shop/shared/.env") in words(push.output)
    done = attack.gitdeploy("env", "shop", "list", check=False)
    assert done.returncode == 1
    assert str(ROOT / "shop/shared/.env") in done.stderr
    done = attack.gitdeploy("rollback", "shop", "dev", "--wait", "0")
    assert attack.served("dev")["page"] == b"1"
    assert "the-secret" not in done.stdout + done.stderr
    said = attack.gitdeploy("doctor", "shop", "--json", check=False).stdout
    names = {one["name"] for one in json.loads(said)["findings"]}
    too_large = left in ("700 MiB of nothing", "one byte too many")
    assert ("shared-file-missing" in names) is not too_large


def test_another_name_of_env_keeps_what_it_had(attack: Scene) -> None:
    attack.gitdeploy("env", "shop", "set", f"TOKEN={OWN_CANARY}")
    leave(attack, f'ln "{SHARED}/.env" "{SHARED}/other"')
    attack.gitdeploy("env", "shop", "set", "TOKEN=a-new-secret")
    assert attack.path("shop/shared/other").read_text() == f"TOKEN={OWN_CANARY}\n"
    assert attack.path("shop/shared/.env").stat().st_nlink == 1


@pytest.mark.parametrize("name", ["..env.new", ".gitdeploy.new"])
def test_what_is_made_beside_is_made_anew(attack: Scene, name: str) -> None:
    with attack.nothing_else_changes():
        leave(attack, f'ln -s /home/deploy/.profile2 "{SHARED}/{name}"')
        attack.gitdeploy("env", "shop", "set", "A=1")
        assert attack.path("shop/shared/.env").read_text() == "A=1\n"
        work = attack.clone("mallory")
        toml = '[shared]\nfiles = ["seeded"]\n'
        assert attack.push(work, toml, "main:master", seeded="1").code == 0
        assert attack.path("shop/shared/seeded").read_text() == "1"


# --- the links of a release ---------------------------------------------------------


SPARE = (
    "rm .env",
    "ln -sfn ../../../blog/shared/.env .env",
    "sed -i s/x/x/ .env",
    "rm storage; mkdir storage",
    "rm -rf a; mkdir -p a",
    "rm storage; ln -s /etc storage",
)
KEPT = (
    "sed -i s/1/2/ .env",
    "rm .env; mkfifo .env",
    "rm storage; mkdir storage; touch storage/kept",
    "rm -rf a; ln -s /etc a",
    "rm -rf a; touch a",
)
"""What a step does to the links to what is shared: A=1 in .env, storage and a/b."""


def test_a_link_that_a_step_replaced_is_put_right_where_nothing_is_lost(
    attack: Scene,
) -> None:
    attack.gitdeploy("env", "shop", "set", "A=1")
    toml, work = f'{ENV}dirs = ["storage", "a/b"]\n{STEP}', attack.clone("mallory")
    for deed in SPARE:
        push = attack.push(work, toml, script=deed)
        assert push.code == 0, push.output
        assert "a command replaced it; linked again" in words(push.output), deed
        served = attack.served("dev")
        assert served[".env"] == b"../../shared/.env"
        assert served["storage"] == b"../../shared/storage"
        assert served["a/b"] == b"../../../shared/a/b"


def test_a_link_in_whose_place_something_is_kept_fails_the_release(
    attack: Scene,
) -> None:
    attack.gitdeploy("env", "shop", "set", "A=1")
    toml, work = f'{ENV}dirs = ["storage", "a/b"]\n{STEP}', attack.clone("mallory")
    with attack.nothing_else_changes():
        for deed in KEPT:
            push = attack.push(work, toml, script=deed)
            assert push.code == 1, deed
            assert "shared" in words(push.output), deed
    assert attack.path("shop/shared/.env").read_text() == "A=1\n"
