"""`gitdeploy verify`: what differs from the commit is found, and given back."""

import json
import os
import shutil
import sqlite3
import stat
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import process
from support.git import Work
from support.server import Server
from support.sharing import STEP, Shop, found_in, same_file
from support.shop import busy
from support.tools import needs

from gitdeploy.comparison import compare
from gitdeploy.deploy import verify as verifying
from gitdeploy.door import surroundings
from gitdeploy.manifest import Below, File, Folder

Edit = Callable[[Path], None]

NOBODY = 65534
SHARED = '[shared]\nfiles = ["settings"]\ndirs = ["storage"]\n'


@pytest.fixture
def shop(server: Server, make_work: Callable[..., Work]) -> Shop:
    """An app with nothing in it yet."""
    server.setup("shop")
    return Shop(server, make_work("ada", server.url()))


def seen(shop: Shop, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status of verify, and what it found in each release."""
    done = shop.server.gitdeploy("verify", "shop", *words, "--json", check=False)
    shape = json.loads(done.stdout)
    assert shape["whole"] == (done.returncode == 0)
    assert shape["whole"] == all(one["whole"] for one in shape["releases"])
    return done.returncode, shape["releases"]


def verified(shop: Shop, *words: str) -> dict[str, Any]:
    """Return what verify found in the one release there is, or the named one."""
    status, (found,) = seen(shop, *words)
    assert status == (0 if found["whole"] else 4)
    return found


def sql(shop: Shop, statement: str) -> None:
    with sqlite3.connect(shop.server.root / "shop/ledger.db") as ledger:
        ledger.execute(statement)
    ledger.close()


# --- edits ------------------------------------------------------------------------


def in_place(path: Path) -> None:
    """The nastiest: size, times and rights are as they were."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().swapcase())
    path.chmod(stat.S_IMODE(before.st_mode))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(path: Path) -> None:
    path.unlink()
    path.write_text("mine")


def linked(path: Path) -> None:
    """A link to the same bytes is no file all the same."""
    path.rename(path.with_name(f".{path.name}"))
    path.symlink_to(f".{path.name}")


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def made_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def led_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("elsewhere")


def made_a_file(path: Path) -> None:
    text = os.readlink(path)
    path.unlink()
    path.write_text(text)


def moved_away(path: Path) -> None:
    """A folder that is a link: what it has may be replaced at any time."""
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def touched(path: Path) -> None:
    os.utime(path, (1, 1))


def copied(path: Path) -> None:
    """As a restored backup has it."""
    path.rename(path.with_name("old"))
    shutil.copy2(path.with_name("old"), path)
    path.with_name("old").unlink()


EDITS: dict[str, tuple[Edit, str]] = {
    "in-place": (in_place, "changed"),
    "empty": (lambda path: path.chmod(0o644) or os.truncate(path, 0), "changed"),
    "replaced": (replaced, "changed"),
    "runs": (lambda path: path.chmod(0o555), "changed"),
    "run-no-more.sh": (lambda path: path.chmod(0o444), "changed"),
    "linked": (linked, "changed"),
    "a-folder": (made_a_folder, "changed"),
    "a-pipe": (made_a_pipe, "changed"),
    "led.link": (led_elsewhere, "changed"),
    "filed.link": (made_a_file, "changed"),
    "crlf.txt": (lambda path: replaced_by(path, b"Line\n"), "changed"),
    "crlf-in-place.txt": (in_place, "changed"),
    "moved-folder": (moved_away, "changed"),
    "removed": (Path.unlink, "missing"),
    "removed.link": (Path.unlink, "missing"),
    "folder/inner/file": (lambda path: shutil.rmtree(path.parents[1]), "missing"),
    "touched": (touched, "nothing"),
    "copied": (copied, "nothing"),
    "untouched": (lambda _: None, "nothing"),
    "other.txt": (lambda _: None, "nothing"),
    "id.c": (lambda _: None, "nothing"),
    "utf16.csv": (lambda _: None, "nothing"),
}
"""What is done to a file of that name, and what verify calls it."""

ATTRIBUTES = (
    "*.txt text eol=crlf\n*.c ident\n*.csv text working-tree-encoding=UTF-16LE-BOM\n"
)


def replaced_by(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)
    path.chmod(0o444)


def commit_all(work: Work) -> None:
    """Commit something of each kind."""
    for name in EDITS:
        if name.endswith(".link"):
            (work.path / name).symlink_to("untouched")
        elif name == "moved-folder":
            work.write("moved-folder/file", "Text")
        elif name != "utf16.csv":
            work.write(name, "$Id$\n" if name == "id.c" else "Line\n")
    work.write("run-no-more.sh", "#!/bin/sh\n", mode=0o755)
    work.write("utf16.csv", "a;b\n".encode("utf-16"))
    work.commit(**{".gitattributes": ATTRIBUTES})


@pytest.mark.parametrize("record", ["there", "lost", "torn"])
def test_every_edit_is_found_and_given_back(
    shop: Shop, tmp_path: Path, record: str
) -> None:
    """Whatever was done to a file; and nothing is told of those that are right."""
    commit_all(shop.work)
    live = shop.stage()
    committed = shop.committed(tmp_path / "clone")
    assert found_in(live) == committed
    if record != "there":
        shop.record(1).unlink()
    if record == "torn":
        shop.record(1).write_bytes(b"\x92")
    assert verified(shop)["changed"] == []
    for name, (edit, _) in EDITS.items():
        edit(live / name)
    found = verified(shop)
    for word in ("changed", "missing"):
        assert found[word] == sorted(n for n, (_, w) in EDITS.items() if w == word)
    assert found["files"] == len(committed) - 1  # not what is below a moved folder
    assert found["added"] == [".linked", "moved/file"]

    fixed = verified(shop, "--fix")
    edited = sorted(name for name, (_, word) in EDITS.items() if word != "nothing")
    assert (fixed["whole"], fixed["restored"]) == (True, edited)
    (live / ".linked").unlink()
    shutil.rmtree(live / "moved")
    assert found_in(live) == committed
    assert {(live / n).stat().st_mode & 0o222 for n in ("in-place", "removed")} <= (
        {0} if record == "there" else {0, 0o200}
    )
    assert not list(live.parent.glob(".*"))
    again = shop.stage(new="1")
    assert same_file(live / "untouched", again / "untouched")
    assert found_in(again) == shop.committed(tmp_path / "clone")


def test_what_is_whole_is_told_in_one_line(shop: Shop) -> None:
    """Of each release: how much was looked at, and where it is live."""
    shop.stage(**{"d/page": "1", "a": "2"})
    shop.stage(a="3")
    commit = shop.work.head[:7]
    done = shop.server.gitdeploy("verify", "shop")
    first, second = done.stdout.splitlines()
    assert first.split(maxsplit=2)[:2] == ["release", "2"]
    assert f"2 files, as {commit}" in first
    assert first.endswith("on dev-1")
    assert second.endswith("on dev-2")
    assert not (shop.server.root / "shop/releases/.verify").exists()


def test_what_is_wrong_is_told_with_the_command_that_mends_it(shop: Shop) -> None:
    """Ten of a kind are enough for a person; none acts on the terminal."""
    live = shop.stage(**{f"f{n:02}": "x" for n in range(12)}, **{"\x1b[2J": "x"})
    for path in live.iterdir():
        path.unlink()
    (live / "mine").write_text("x")
    done = shop.server.gitdeploy("verify", "shop", check=False)
    assert done.returncode == 4
    assert "13 files, 13 not as" in done.stdout
    assert "and 3 more" in done.stdout
    assert "\x1b" not in done.stdout
    assert "added         mine" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("gitdeploy verify shop 1 --fix")
    done = shop.server.gitdeploy("verify", "shop", "1", "--fix")
    assert "restored" in done.stdout
    assert (live / "mine").exists()


def test_names_of_any_bytes_are_told_in_json(shop: Shop) -> None:
    """Bytes that are no text come back as they were."""
    shop.work.write(b"caf\xe9", "x")
    live = shop.stage(a="1")
    (live / os.fsdecode(b"caf\xe9")).unlink()
    done = shop.server.gitdeploy("verify", "shop", "--json", check=False)
    assert r'"caf\udce9"' in done.stdout
    assert verified(shop, "--fix")["restored"] == ["caf\udce9"]


# --- which releases ---------------------------------------------------------------


def test_a_release_is_named_by_its_number_or_its_name(shop: Shop) -> None:
    """Without one: every ready release that is on the disk."""
    shop.stage(a="1")
    shop.work.write("deploy.toml", STEP.format(run="false"))
    assert shop.push(a="2").code == 1
    shop.work.remove("deploy.toml")
    third = shop.stage(a="3")
    _, found = seen(shop)
    assert [one["number"] for one in found] == [3, 1]
    assert verified(shop, third.name)["name"] == third.name
    for words in (["2"], ["99"], ["nosuch"]):
        done = shop.server.gitdeploy("verify", "shop", *words, check=False)
        assert (done.returncode, done.stdout) == (2, "")
    shutil.rmtree(third)
    assert shop.server.gitdeploy("verify", "shop", "3", check=False).returncode == 4
    _, found = seen(shop)
    assert [one["number"] for one in found] == [1]


def test_a_directory_that_did_not_come_from_git_is_not_compared(
    shop: Shop, tmp_path: Path
) -> None:
    """It is linked as it is, and nobody knows how it should be."""
    (tmp_path / "site").mkdir()
    shop.server.gitdeploy("deploy", "shop", tmp_path / "site", "dev")
    done = shop.server.gitdeploy("verify", "shop", "1", check=False)
    assert done.returncode == 2
    assert "did not come from git" in done.stderr
    assert seen(shop) == (0, [])


def test_looking_takes_no_lock_and_giving_back_does(shop: Shop) -> None:
    """A push that goes on hinders nobody who looks."""
    shop.stage(a="1")
    with busy(shop.server):
        assert verified(shop)["whole"]
        words = ("verify", "shop", "--fix", "--wait", "0")
        assert shop.server.gitdeploy(*words, check=False).returncode == 75


def test_a_release_that_is_pruned_meanwhile_is_not_told_of(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was half gone, or all; that is no damage."""
    shop.stage(a="1")
    shop.stage(a="2")
    shop.stage(a="3")
    shop.stage(a="4")
    look = verifying.examine

    def pruned(app: verifying.App, release: verifying.Release) -> verifying.Verified:
        if release.number == 1:
            shop.server.gitdeploy("prune", "shop", "--keep", "0")
        return look(app, release)

    monkeypatch.setattr(verifying, "examine", pruned)
    around = surroundings(os.environ)
    with verifying.App.open(shop.server.root, "shop", around, "ada") as app:
        found = verifying.verify(app)
    assert [(one.release.number, one.whole) for one in found] == [
        (4, True),
        (3, True),
        (2, True),
    ]


# --- what is right so -------------------------------------------------------------


@pytest.mark.parametrize("record", ["there", "lost"])
def test_what_a_step_did_is_no_damage(shop: Shop, record: str) -> None:
    """What was done later is, also to a file that no step touched."""
    run = "echo made > built; rm -r gone; mkdir new; echo 1 > new/a; >> page"
    shop.work.write("deploy.toml", STEP.format(run=run))
    live = shop.stage(built="b", page="page", **{"gone/x": "x", "other": "o"})
    if record == "lost":
        shop.record(1).unlink()
    found = verified(shop)
    assert found["built"] == ["built", "gone/x"]
    assert (found["whole"], found["added"], found["besides"]) == (True, [], 1)
    sql(shop, "UPDATE release SET ready = '2026-01-01T00:00:00Z'")
    (live / "other").write_text("mine")
    found = verified(shop)
    assert "other" in found["changed"]
    assert ("built" in found["changed"]) == (record == "lost")
    if record == "there":
        assert verified(shop, "--fix")["restored"] == ["other"]
        assert (live / "built").read_text() == "made\n"
        assert not (live / "gone").exists()


def test_what_is_shared_is_as_it_should_be_while_its_links_are(shop: Shop) -> None:
    """Whatever is in it; a link that leads elsewhere is told, and left to doctor."""
    shop.work.write("deploy.toml", SHARED)
    live = shop.stage(page="1", settings="s", **{"storage/keep": "k"})
    shop.work.remove("storage")
    shop.stage(page="2")
    shared = shop.server.root / "shop/shared"
    (shared / "settings").write_text("other")
    (shared / "storage/upload").write_text("u")
    assert seen(shop)[0] == 0
    (live / "settings").unlink()
    (live / "settings").symlink_to("elsewhere")
    (live / "storage").unlink()
    found = verified(shop, "1")
    assert (found["changed"], found["missing"]) == (["settings"], ["storage"])
    done = shop.server.gitdeploy("verify", "shop", "1", "--fix", check=False)
    assert done.returncode == 4
    assert "gitdeploy doctor shop --fix" in done.stdout
    assert os.readlink(live / "settings") == "elsewhere"
    shop.server.gitdeploy("doctor", "shop", "--fix", check=False)
    assert verified(shop, "1")["whole"]


def test_each_chain_has_its_own_shared_links(shop: Shop) -> None:
    """With `scope = "chain"` a link to the other chain's state is wrong."""
    shop.work.write("deploy.toml", f'{SHARED}scope = "chain"\n')
    live = shop.stage(page="1", settings="s", **{"storage/keep": "k"})
    assert verified(shop)["whole"]
    other = os.readlink(live / "settings").replace("shared-dev/", "shared-prod/")
    (live / "settings").unlink()
    (live / "settings").symlink_to(other)
    assert verified(shop)["changed"] == ["settings"]


def test_a_deployed_folder_is_compared_with_that_folder(shop: Shop) -> None:
    """Attributes above it hold too."""
    shop.work.write("deploy.toml", '[checkout]\npath = "web"\n')
    live = shop.stage(**{"web/a.txt": "a\n", "b": "b", ".gitattributes": ATTRIBUTES})
    assert (live / "a.txt").read_bytes() == b"a\r\n"
    assert verified(shop)["files"] == 1
    replaced_by(live / "a.txt", b"a\n")
    assert verified(shop)["changed"] == ["a.txt"]
    assert verified(shop, "--fix")["whole"]
    assert (live / "a.txt").read_bytes() == b"a\r\n"


def test_submodules_are_compared_with_their_own_commits(
    shop: Shop, tmp_path: Path
) -> None:
    """As long as their mirrors are there; else it is said that nobody knows."""
    library = Work.create(tmp_path / "library")
    commit = library.commit(
        **{"code": "1", "t.txt": "1\n", ".gitattributes": ATTRIBUTES}
    )
    allowed = '[submodules]\nprotocols = ["file"]\n'
    (shop.server.root / "shop/server.toml").write_text(allowed)
    modules = f'[submodule "x"]\n\tpath = d/lib\n\turl = file://{library.path}\n'
    shop.work.write(".gitmodules", modules)
    shop.work.write("deploy.toml", "[checkout]\nsubmodules = true\n")
    shop.work.git("add", "--all")
    info = f"160000,{commit},d/lib"
    shop.work.git("update-index", "--add", "--cacheinfo", info)
    shop.work.git("commit", "--quiet", "-m", "mount")
    live = shop.stage()
    found = verified(shop)
    assert (found["files"], found["added"], found["unchecked"]) == (5, [], [])
    replaced_by(live / "d/lib/t.txt", b"1\n")
    (live / "d/lib/code").unlink()
    found = verified(shop, "--fix")
    assert found["restored"] == ["d/lib/code", "d/lib/t.txt"]
    assert (live / "d/lib/t.txt").read_bytes() == b"1\r\n"
    shutil.rmtree(shop.server.root / "shop/modules")
    found = verified(shop)
    assert (found["unchecked"], found["whole"]) == (["d/lib"], False)
    assert found["added"] == []


# --- giving back ------------------------------------------------------------------


def test_a_file_that_releases_share_is_given_back_to_each(shop: Shop) -> None:
    """A change in place is in all of them; each gets a file of its own."""
    releases = [shop.stage(a=str(n), b="shared", c="c") for n in range(3)]
    before = [found_in(release) for release in releases]
    in_place(releases[1] / "b")
    status, found = seen(shop)
    assert (status, [one["changed"] for one in found]) == (4, [["b"]] * 3)
    assert not verified(shop, "2", "--fix")["changed"]
    assert [one["changed"] for one in seen(shop)[1]] == [["b"], [], ["b"]]
    assert seen(shop, "--fix")[0] == 0
    assert [found_in(release) for release in releases] == before
    after = shop.stage(a="4")
    assert same_file(after / "b", releases[2] / "b")
    assert (after / "b").read_text() == "shared"
    assert same_file(after / "c", releases[0] / "c")


def test_nothing_is_written_through_a_link(shop: Shop, tmp_path: Path) -> None:
    """A folder that somebody made a link is a folder again; its target stays."""
    live = shop.stage(**{"d/e/page": "right", "f": "f"})
    outside = tmp_path / "outside"
    (outside / "e").mkdir(parents=True)
    (outside / "e/page").write_text("theirs")
    shutil.rmtree(live / "d")
    (live / "d").symlink_to(outside)
    assert verified(shop)["changed"] == ["d"]
    assert verified(shop, "--fix")["whole"]
    assert (outside / "e/page").read_text() == "theirs"
    assert (live / "d/e/page").read_text() == "right"
    assert not (live / "d").is_symlink()


def test_a_folder_in_a_files_place_that_is_not_empty_is_left(shop: Shop) -> None:
    """What is in there is somebody's; all else is given back."""
    live = shop.stage(a="1", b="2")
    for name in ("a", "b"):
        (live / name).unlink()
    (live / "a").mkdir()
    (live / "a/mine").write_text("mine")
    found = verified(shop, "--fix")
    assert (found["changed"], found["restored"]) == (["a"], ["b"])
    assert found["added"] == ["a/mine"]
    assert (live / "a/mine").read_text() == "mine"


def test_what_a_killed_one_left_is_gone_with_the_next(shop: Shop) -> None:
    """Its place is beside the releases; doctor says nothing of it."""
    live = shop.stage(a="1\n", **{".gitattributes": "a eol=crlf\n"})
    left = live.parent / ".verify"
    left.mkdir()
    (left / "a").write_text("x")
    (live.parent / ".verify.index").write_text("x")
    (live.parent / ".verify.index.lock").write_text("x")
    assert shop.server.json("doctor", "shop")["findings"] == []
    assert verified(shop)["whole"]
    assert [path.name for path in live.parent.iterdir()] == [live.name]


def test_an_ordinary_user_can_do_it_all(shop: Shop, tmp_path: Path) -> None:
    """Who owns the app; also where a file was made unreadable."""
    if os.geteuid() != 0:
        pytest.skip("every other test runs as an ordinary user")
    live = shop.stage(a="1", b="2\n", **{".gitattributes": "b eol=crlf\n"})
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and path.is_relative_to("/tmp"):  # noqa: S108
            path.chmod(path.stat().st_mode | 0o011)
    root = shop.server.root
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    other = (needs("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}")
    python = (*other, "--clear-groups", sys.executable, "-m", "gitdeploy")
    probe = "import gitdeploy.cli.verify, gitdeploy.ledger, hashlib"
    able = (*other, "--clear-groups", sys.executable, "-c", probe)
    if process.run(*able, cwd=root, check=False).returncode:
        pytest.skip("this source is not readable for other users")

    def verify(*words: str) -> int:
        words = ("verify", "shop", "--root", str(root), *words)
        return process.run(*python, *words, cwd=root, check=False).returncode

    assert verify() == 0
    (live / "a").chmod(0)
    (live / "b").write_text("mine")
    assert [verify(), verify("--fix"), verify()] == [4, 0, 0]
    assert (live / "a").read_text() == "1"
    assert (live / "b").read_bytes() == b"2\r\n"
    assert (live / "b").stat().st_uid == NOBODY


def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """Its bytes are hashed as they come."""
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 2**27)
    folders = {b"": Folder(b"", Below(), [File(b"large", 0o100644, b"")], [], [])}
    tracemalloc.start()
    found = compare(tmp_path, folders, ())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [*found.doubtful] == [b"large"]
    assert peak < 2**22
