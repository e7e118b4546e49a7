"""What the doctor finds, whom it says it hurts, and what mends it."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from support import process
from support.git import Work
from support.harm import (
    Plant,
    Shop,
    chmod,
    chown,
    config,
    damage_ledger,
    died,
    hook,
    lose_object,
    move_ref,
    prune_half,
    relink,
    remove,
    replace_by_directory,
    spoil_object,
    spoil_pack,
    spoil_ref,
    sql,
    truncate,
    type_as_a_person,
    void,
    write,
)
from support.server import Server
from support.shop import busy, code

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor import people
from gitdeploy.deploy.doctor.machine import little_room
from gitdeploy.door import surroundings

TOML = '[shared]\nfiles = [".env"]\ndirs = ["storage"]\n'


@pytest.fixture(scope="module")
def template(
    clean_world: Path,  # noqa: ARG001 - order
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A shop made once; each test gets a copy of it."""
    top = tmp_path_factory.mktemp("template")
    server = Server(top / "server")
    server.setup()
    server.gitdeploy("env", "shop", "set", "COLOUR=green", input="")
    work = Work.create(top / "work")
    work.connect(server.url())
    work.commit("one", **{"deploy.toml": TOML, "index.html": "one"})
    assert work.push("main").code == 0
    work.tag("v1")
    assert work.push("v1").code == 0
    for text in ("two", "three"):
        work.commit(text, **{"index.html": text})
        assert work.push("main").code == 0
    return top


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Shop:
    """A copy of the template: everything in it is relative."""
    for name in ("server", "work"):
        shutil.copytree(template / name, tmp_path / name, symlinks=True)
    server, work = Server(tmp_path / "server"), Work(tmp_path / "work")
    work.connect(server.url())
    return Shop(server, work)


def test_a_healthy_app_has_no_findings_whatever_was_done_to_it(shop: Shop) -> None:
    """After each of the usual activities; so a finding always means something."""
    server, work = shop.server, shop.work
    assert shop.findings() == []
    for words in (
        ["rollback", "shop", "dev"],
        ["rollforward", "shop", "dev"],
        ["release", "shop"],
        ["redeploy", "shop", "dev"],
        ["prune", "shop", "--keep", "0"],
        ["lock", "shop", "--reason", "noon"],
        ["unlock", "shop"],
        ["repair", "shop"],
        ["setup", "shop", "--links", "2"],
        ["setup", "shop", "--no-gate"],
    ):
        server.gitdeploy(*words)
        assert shop.findings() == [], words
    work.revert()
    assert work.push("main").code == 0
    work.commit("bad", **{"deploy.toml": "nonsense"})
    work.push("main")
    server.git("gc", "--quiet")
    assert shop.findings() == []
    assert "all is well" in server.gitdeploy("doctor", "shop").stdout
    assert server.gitdeploy("doctor").stdout.split() == ["shop", "all", "is", "well"]


def test_an_app_just_set_up_and_an_empty_root_are_well(server: Server) -> None:
    """There is nothing live, and nothing wrong with that."""
    assert "no app" in server.gitdeploy("doctor").stdout
    assert server.json("doctor") == {"apps": []}
    server.setup()
    assert server.json("doctor") == {"apps": [{"app": "shop", "findings": []}]}


def test_looking_changes_nothing_and_waits_for_nobody(shop: Shop) -> None:
    """While somebody deploys, what is on its way is no finding."""
    (shop.server.target / "shop-dev-2").unlink()
    shop.sql("UPDATE release SET state = 'preparing' WHERE number = 3")
    with busy(shop.server):
        names = {finding["name"] for finding in shop.findings()}
    assert "preparing-left" not in names
    assert names == {"link-missing"}
    before = _everything(shop.server.root)
    assert {f["name"] for f in shop.findings()} == {"link-missing", "preparing-left"}
    assert _everything(shop.server.root) == before


def test_mending_waits_for_whoever_works_on_the_app(shop: Shop) -> None:
    """Only rights are given before: without them nobody could hold the lock."""
    (shop.server.target / "shop").unlink()
    with busy(shop.server):
        assert code(shop.server, "doctor", "shop", "--fix", "--wait", "0") == 75
    assert not (shop.server.target / "shop").is_symlink()


# --- what --fix mends ----------------------------------------------------------


STAGED, BEHIND, LIVE = "RELEASES/3-*", "RELEASES/2-*", "RELEASES/1-*"

FIXED: dict[str, tuple[str, Plant, str]] = {
    "a link removed": (
        "link-missing",
        remove("WWW/shop"),
        "visitors of shop get nothing",
    ),
    "the head's link bent": (
        "link-changed",
        relink("WWW/shop-prod-1", "../shop/empty"),
        "visitors of shop get what lies there",
    ),
    "a link that dangles": (
        "link-changed",
        relink("WWW/shop-dev-2", "nowhere"),
        "visitors of shop-dev-2 get nothing",
    ),
    "the target removed": ("link-missing", remove("WWW"), "get nothing"),
    "a link half made": (
        "leftover-link",
        lambda shop: (shop.server.target / ".shop.new").symlink_to("x"),
        "nobody",
    ),
    "a published ref bent": (
        "published-refs",
        lambda shop: void(
            shop.server.git("update-ref", "refs/deploy/dev/1", shop.work.oid("v1"))
        ),
        "is told something else",
    ),
    "a release behind the head gone": (
        "release-missing",
        remove(BEHIND),
        "shop-dev-2 is what dev would go back to",
    ),
    "a release half pruned": ("pruned-left", prune_half, "nobody"),
    "a shared directory gone": (
        "shared-directory-missing",
        remove("HOME/shared/storage"),
        "visitors of shop do without the shared storage",
    ),
    "a shared link gone": (
        "shared-link-missing",
        remove(f"{LIVE}/storage"),
        "visitors of shop do without the shared storage",
    ),
    "a shared link bent": (
        "shared-link-missing",
        relink(f"{STAGED}/.env", "/dev/null"),
        "visitors of shop-staging do without the shared .env",
    ),
    "a hook gone": (
        "hook-broken",
        remove("REPO/hooks/proc-receive"),
        "everybody: every push is refused",
    ),
    "a hook that cannot be run": (
        "hook-broken",
        chmod("REPO/hooks/post-receive", 0o644),
        "nothing is tidied up after a push",
    ),
    "a hook changed": (
        "hook-broken",
        hook("#!/bin/sh\nexit 1\n"),
        "every push is refused",
    ),
    "a hook whose Python is gone": (
        "hook-broken",
        hook("#!/nowhere/python3 -I\n"),
        "every push is refused",
    ),
    "hooks elsewhere": (
        "settings-changed",
        config("core.hooksPath", "/nowhere"),
        "everybody: every push is refused",
    ),
    "a setting changed": (
        "settings-changed",
        config("receive.fsckObjects", "false"),
        "nobody yet",
    ),
    "the gate opened behind our back": (
        "gate-open",
        config("--unset", "receive.procReceiveRefs"),
        "a push whose deployment fails is not rejected",
    ),
    "a home that nobody may enter": (
        "wrong-mode",
        chmod("HOME", 0o500),
        "whoever pushes",
    ),
    "releases for everybody": (
        "wrong-mode",
        chmod("HOME/releases", 0o777),
        "every user of this machine can change what is deployed",
    ),
    "a read-only ledger": (
        "wrong-mode",
        chmod("HOME/ledger.db", 0o444),
        "whoever pushes",
    ),
    "a read-only lock": ("wrong-mode", chmod("HOME/lock", 0o444), "whoever pushes"),
    "a read-only repository": ("wrong-mode", chmod("REPO", 0o555), "whoever pushes"),
    "secrets for everybody": (
        "wrong-mode",
        chmod("HOME/shared/.env", 0o644),
        "every user of this machine can read the secrets of shop",
    ),
    "no place for logs": ("directory-missing", remove("HOME/logs"), "whoever pushes"),
    "a lock of a killed git": (
        "stale-lock",
        write("REPO/refs/heads/main.lock"),
        "nobody: a push that it is in the way of removes it",
    ),
    "a push killed while it was received": (
        "git-leftover",
        write("REPO/objects/tmp_objdir-incoming-abc/pack/pack-1.keep"),
        "nobody",
    ),
    "a gc that was killed": (
        "git-leftover",
        write("REPO/gc.pid", "4194305 host"),
        "nobody",
    ),
    "a pack half written": (
        "git-leftover",
        write("REPO/objects/pack/tmp_pack_Ab1"),
        "nobody",
    ),
    "a pack that a killed push keeps": (
        "git-leftover",
        write("REPO/objects/pack/pack-1.keep", "receive-pack 4194305 on host\n"),
        "nobody",
    ),
    "a ref that a power cut emptied": (
        "broken-ref",
        spoil_ref,
        "refs/heads/main can be neither pushed nor cloned",
    ),
    "a deployment that died": ("unfinished-deployment", died, "nobody: the next push"),
    "a release that died while it was prepared": (
        "preparing-left",
        sql(
            "INSERT INTO release (name, content, state, created)"
            " VALUES ('9-x', 'x', 'preparing', '2026-01-01T00:00:00Z')"
        ),
        "nobody: the next push marks it as failed",
    ),
}


@pytest.mark.parametrize("case", FIXED)
def test_what_can_be_mended_without_guessing_is(shop: Shop, case: str) -> None:
    """Found with exit 4 and with whom it hurts; mended; found no more; pushes work."""
    name, plant, means = FIXED[case]
    before = shop.server.links()
    plant(shop)
    found = {finding["name"]: finding for finding in shop.findings()}
    assert name in found
    assert means in found[name]["means"]
    assert found[name]["fixable"]
    assert found[name]["mend"] == "gitdeploy doctor shop --fix"
    shown = shop.server.gitdeploy("doctor", "shop", check=False).stdout
    assert means in " ".join(shown.split())
    mended = shop.findings("--fix")
    assert {finding["name"] for finding in mended if finding["fixed"]} >= {name}
    assert [finding for finding in mended if not finding["fixed"]] == []
    assert shop.findings() == []
    if name.startswith("link-"):
        assert shop.server.links() == before
    shop.push_goes_on()


def test_a_ref_that_moved_unseen_waits_for_somebody_who_names_it(shop: Shop) -> None:
    """Nobody knows who moved it, and whether they may."""
    move_ref(shop)
    (finding,) = shop.findings("--fix")
    assert finding["name"] == "ref-moved-unseen"
    assert "who waits for main to be deployed" in finding["means"]
    assert finding["mend"] == "gitdeploy repair shop --deploy main"
    shop.server.gitdeploy("repair", "shop", "--deploy", "main")
    assert shop.findings() == []


def test_without_the_gate_a_lost_hook_means_that_nothing_is_deployed(
    shop: Shop,
) -> None:
    """And the setting of the gate is what must not be there."""
    shop.server.setup("shop", "--no-gate")
    (shop.repo / "hooks" / "post-receive").unlink()
    shop.server.git("config", "receive.procReceiveRefs", "refs")
    found = {finding["name"]: finding["means"] for finding in shop.findings()}
    assert set(found) == {"hook-broken", "gate-closed"}
    assert "nothing is deployed" in found["hook-broken"]
    assert all(finding["fixed"] for finding in shop.findings("--fix"))
    shop.push_goes_on()


def test_a_pack_that_a_person_keeps_is_left(shop: Shop) -> None:
    """An empty .keep, or one with other words, is nobody's leftover."""
    write("REPO/objects/pack/pack-1.keep", "mine\n")(shop)
    assert shop.findings() == []


# --- what is left to a person ------------------------------------------------------


LEFT: dict[str, tuple[str, Plant, str]] = {
    "the live release gone": (
        "release-missing",
        remove(LIVE),
        "visitors of shop get nothing",
    ),
    "the staged release gone": (
        "release-missing",
        remove(STAGED),
        "visitors of shop-staging get nothing",
    ),
    "a directory in a link's place": (
        "link-taken",
        replace_by_directory("WWW/shop-prod-1"),
        "visitors of shop get it instead of a release",
    ),
    "a file in a link's place": (
        "link-taken",
        lambda shop: (remove("WWW/shop")(shop), write("WWW/shop")(shop))[0],
        "visitors of shop get it instead of a release",
    ),
    "a shared file gone": (
        "shared-file-missing",
        remove("HOME/shared/.env"),
        "visitors of shop do without the shared .env",
    ),
    "a shared link replaced": (
        "shared-link-replaced",
        replace_by_directory(f"{LIVE}/storage"),
        "visitors of shop get it instead",
    ),
    "a directory that is not ours": (
        "unknown-release",
        lambda shop: (shop.home / "releases" / "mine").mkdir(),
        "nobody: it is not ours",
    ),
    "no ledger": ("ledger-missing", remove("HOME/ledger.db"), "nobody who visits"),
    "an empty ledger": (
        "ledger-damaged",
        truncate("HOME/ledger.db", 0),
        "nobody who visits",
    ),
    "half a ledger": (
        "ledger-damaged",
        truncate("HOME/ledger.db", 8192),
        "nobody who visits",
    ),
    "a ledger of rubbish": ("ledger-damaged", damage_ledger, "nobody who visits"),
    "a ledger whose tables disagree": (
        "ledger-damaged",
        sql("DELETE FROM release WHERE number = 2"),
        "nobody who visits",
    ),
    "a file lost": (
        "objects-lost",
        lose_object("HEAD:index.html"),
        "nobody who visits",
    ),
    "a tree lost": ("objects-lost", lose_object("HEAD^{tree}"), "nobody who visits"),
    "a commit lost": ("objects-lost", lose_object("HEAD~1"), "nobody who visits"),
    "a file damaged": ("objects-lost", spoil_object, "nobody who visits"),
    "a pack damaged": ("objects-lost", spoil_pack, "nobody who visits"),
    "the ledger somebody else's": (
        "wrong-owner",
        chown("HOME/ledger.db"),
        "whoever pushes",
    ),
    "refs somebody else's": (
        "wrong-owner",
        chown("REPO/refs/heads/main"),
        "whoever pushes",
    ),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_would_be_guessing_is_left_and_the_way_out_works(
    shop: Shop, tmp_path: Path, case: str
) -> None:
    """Exit 4, whom it hurts, and one command to copy, after which all is well."""
    name, plant, means = LEFT[case]
    plant(shop)
    found = {finding["name"]: finding for finding in shop.findings("--fix")}
    assert name in found
    finding = found[name]
    assert not finding["fixable"]
    assert not finding["fixed"]
    assert means in finding["means"].replace("an empty directory", "nothing")
    type_as_a_person(shop, finding["mend"], tmp_path)
    for one in shop.findings("--fix"):
        if not one["fixed"]:  # after a lost ledger: what no link shows is not ours
            assert one["name"] in ("unknown-release", name)
            type_as_a_person(shop, one["mend"], tmp_path)
    assert shop.findings() == []
    shop.push_goes_on()


def test_a_lost_repository_is_made_again_and_filled_by_the_next_push(
    shop: Shop, tmp_path: Path
) -> None:
    """What is live stays live; a clone brings the history back."""
    before = shop.server.links()
    shutil.rmtree(shop.repo)
    (finding,) = shop.findings("--fix")
    assert finding["name"] == "repository-missing"
    assert "every push" in finding["means"]
    type_as_a_person(shop, finding["mend"], tmp_path)
    assert shop.work.push("main").code == 0
    assert shop.work.push("v1").code == 0
    assert shop.server.links() == before
    assert shop.findings("--fix") is not None
    assert shop.findings() == []
    shop.push_goes_on()


def test_releases_that_are_all_gone_are_not_forgotten(shop: Shop) -> None:
    """Perhaps a disk is not mounted; what is on no link is not struck off either."""
    shop.server.gitdeploy("rollback", "shop", "dev")
    (shop.home / "releases").rename(shop.home / "away")
    (shop.home / "releases").mkdir()
    found = [f for f in shop.findings("--fix") if f["name"] == "release-missing"]
    assert len(found) == 3
    assert not any(finding["fixed"] or finding["fixable"] for finding in found)
    (shop.home / "releases").rmdir()
    (shop.home / "away").rename(shop.home / "releases")
    shop.findings("--fix")
    assert shop.findings() == []


def test_a_live_release_that_was_edited_is_for_verify_to_look_at(shop: Shop) -> None:
    """By its looks alone, so that the doctor stays quick; a touched one is told too."""
    page, staged = shop.release(1) / "index.html", shop.release(3) / "index.html"
    page.chmod(0o644)
    page.write_text("mine")
    os.utime(staged, (1, 1))
    found = shop.findings("--fix")
    assert [finding["name"] for finding in found] == ["release-edited"] * 2
    assert "index.html" in found[0]["what"]
    assert found[0]["means"].startswith("visitors of shop may get something else")
    assert found[0]["mend"] == "gitdeploy verify shop 1"
    assert code(shop.server, "verify", "shop", "1") == 4
    assert "3 --fix" not in shop.server.gitdeploy("verify", "shop", "3").stdout
    shop.server.gitdeploy("verify", "shop", "--fix")
    assert shop.findings() == []
    assert page.read_text() == "one"
    shop.push_goes_on()


def test_a_clock_that_was_set_back_loses_nothing_and_is_told(shop: Shop) -> None:
    """Order goes by number; it stays a finding until the time has come."""
    shop.sql("UPDATE deployment SET started = '2999-01-01T00:00:00Z'")
    (finding,) = shop.findings("--fix")
    assert finding["name"] == "clock-set-back"
    assert "nothing is lost" in finding["means"]
    assert not finding["fixable"]
    shop.push_goes_on()
    shop.server.gitdeploy("rollback", "shop", "dev")


def test_what_was_missed_while_the_app_is_locked_waits_for_a_person(
    shop: Shop,
) -> None:
    """Somebody said that nothing is to be deployed now."""
    move_ref(shop)
    shop.server.gitdeploy("lock", "shop", "--reason", "noon")
    (finding,) = shop.findings("--fix")
    assert finding["name"] == "ref-moved-unseen"
    assert finding["mend"] == "gitdeploy unlock shop && gitdeploy repair shop"


def test_the_doctor_goes_from_app_to_app_even_where_a_ledger_is_lost(
    shop: Shop,
) -> None:
    """Each by its name; one that is ill does not hide the others."""
    shop.server.setup("blog")
    (shop.home / "ledger.db").unlink()
    done = shop.server.gitdeploy("doctor", check=False)
    assert done.returncode == 4
    assert "all is well" in done.stdout
    assert "mend with     gitdeploy repair --from-links shop" in done.stdout


@pytest.mark.parametrize(
    ("free_bytes", "free_inodes", "said"),
    [
        (2**30, 10**6, ""),
        (2**20, 10**6, "1.0 MiB"),
        (2**30, 7, "room for 7 files"),
    ],
)
def test_a_disk_is_nearly_full_by_bytes_or_by_files(
    free_bytes: int, free_inodes: int, said: str
) -> None:
    """Either keeps the next release from being made."""
    assert little_room(free_bytes, free_inodes) == said


def test_an_old_git_is_a_note_which_does_not_change_the_exit_status(
    shop: Shop, tmp_path: Path
) -> None:
    """There is nothing to be done at night."""
    real = shutil.which("git")
    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && echo git version 2.28.0 && exit\n'
        f'exec {real} "$@"\n'
    )
    fake.chmod(0o755)
    path = {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    done = shop.server.gitdeploy("doctor", "shop", env=path)
    assert done.returncode == 0
    assert "1 note" in done.stdout
    assert "git is 2.28.0; it has no gate" in done.stdout


# --- status -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", ["a hook gone", "hooks elsewhere", "the gate opened behind our back"]
)
def test_status_tells_what_keeps_git_from_asking_us(shop: Shop, case: str) -> None:
    """What is cheap to see is seen before somebody thinks of the doctor."""
    assert shop.server.status()["trouble"] == []
    FIXED[case][1](shop)
    (sentence,) = shop.server.status()["trouble"]
    shown = shop.server.gitdeploy("status", "shop").stdout
    assert f"trouble       {sentence}" in shown
    assert "gitdeploy doctor shop --fix" in shown


def _everything(top: Path) -> dict[str, tuple[int, int]]:
    """Return what lies below and when it was changed; not SQLite's own files."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_ctime_ns)
        for path in top.rglob("*")
        if not path.name.startswith("ledger.db-") and not path.is_dir()
    }


# --- people ---------------------------------------------------------------------


def test_keys_and_rights_that_let_the_wrong_in_or_nobody_are_found(server, tmp_path):
    server.setup("shop")
    keys = tmp_path / ".ssh" / "authorized_keys"
    process.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ada")
    add = ("key", "add", "ada", tmp_path / "ada.pub", f"--authorized-keys={keys}")
    server.gitdeploy(*map(str, add))
    assert names_of_people(server, tmp_path) == []
    started = keys.read_text()
    keys.write_text(started.replace(sys.executable, "/gone/python"))
    assert names_of_people(server, tmp_path) == ["key-starts-nothing"]
    ended = started.replace("restrict,", 'restrict,expiry-time="20010101000000Z",')
    edited = started.replace("restrict,", 'from="10.0.0.1",')
    keys.write_text(edited)
    assert names_of_people(server, tmp_path) == ["key-unrestricted"]
    groups = "[groups]\nops = ['dev']\ndev = ['ada']\n"
    (server.root / "access.toml").write_text(groups)
    keys.write_text(started)
    assert names_of_people(server, tmp_path) == ["access-nested-group"]
    keys.write_text(ended)
    keys.chmod(0o666)
    (server.root / "access.toml").write_text("[[grant]]\n")
    found = names_of_people(server, tmp_path)
    assert found == ["access-broken", "access-writable", "key-expired"]


def test_a_broken_server_toml_is_told_once_with_whom_it_hurts(server):
    server.setup("shop")
    (server.root / "shop/server.toml").write_text("[limits\n")
    found = server.gitdeploy("doctor", "shop", "--json", check=False)
    (one,) = json.loads(found.stdout)["findings"]
    assert found.returncode == 4
    assert one["name"] == "server-toml-broken"
    assert "shop/server.toml: should be TOML" in one["what"]
    assert one["means"].startswith("everybody: every push is refused")


def names_of_people(server, home) -> list[str]:
    around = surroundings({**os.environ, "HOME": str(home)})
    with App.open(server.root, "shop", around, "ada") as app:
        return sorted(finding.name for finding in people.findings(app))
