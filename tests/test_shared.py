"""What outlives releases is seeded once, linked into each, and never replaced."""

import os
import re
import shutil
from pathlib import Path

import pytest
from support import process

from gitdeploy.config import Shared, parse
from gitdeploy.errors import ReleaseFailed
from gitdeploy.ground import Ground
from gitdeploy.shared import link_shared
from gitdeploy.system import ground


class Place:
    """An app's directory with one release."""

    def __init__(self, home):
        self.home = home
        self.release = home / "releases/1-x"
        self.shared = home / "shared"
        self.release.mkdir(parents=True)

    def link(self, *, release=None, shared=None, **paths):
        """Share the paths given as `files` and `dirs`."""
        return link_shared(
            release or self.release,
            Ground(shared or self.shared),
            Shared(**paths),
            anchor=self.home,
            most_bytes=1000,
        )

    def commit(self, path, text="committed"):
        return write(self.release / path, text)

    def keep(self, path, text="kept"):
        return write(self.shared / path, text)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def everything(top):
    return {str(path.relative_to(top)) for path in top.rglob("*")}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "my shop")


# --- what is created --------------------------------------------------------


def test_without_a_commit_s_own_a_directory_begins_empty(place):
    assert place.link(dirs=("storage", "var/log")) == ("storage/", "var/log/")
    assert (place.release / "storage").resolve() == place.shared / "storage"
    assert os.listdir(place.shared / "var/log") == []


def test_a_directory_is_seeded_from_the_commit_with_all_that_is_in_it(place):
    place.commit("storage/a/file").chmod(0o755)
    (place.release / "storage/link").symlink_to("a/file")
    place.link(dirs=("storage",))
    kept = place.shared / "storage"
    assert everything(kept) == {"a", "a/file", "link"}
    assert os.access(kept / "a/file", os.X_OK)
    assert os.readlink(kept / "link") == "a/file"
    assert (place.release / "storage").is_symlink()


def test_a_file_is_seeded_from_the_commit(place):
    place.commit("config/app.ini").chmod(0o640)
    assert place.link(files=("config/app.ini",)) == ("config/app.ini",)
    kept = place.shared / "config/app.ini"
    assert kept.read_text() == "committed"
    assert kept.stat().st_mode & 0o777 == 0o640
    assert (place.release / "config/app.ini").resolve() == kept


@pytest.mark.parametrize("paths", [{"dirs": ("a",)}, {"files": ("a/b",)}])
def test_no_more_is_seeded_than_the_server_gives(place, paths):
    place.commit("a/b", "x" * 600)
    place.commit("a/c" if "dirs" in paths else "a/b", "x" * 1001)
    with pytest.raises(ReleaseFailed, match="goes beyond 1000 bytes"):
        place.link(**paths)
    assert not (place.shared / "a/b").exists()


def test_a_pipe_is_not_seeded_nor_waited_for(place):
    """As by somebody who changes the release meanwhile: no commit has any."""
    place.commit("a/b")
    os.mkfifo(place.release / "a/pipe")
    with pytest.raises(ReleaseFailed, match="is no file"):
        place.link(dirs=("a",))
    assert not (place.shared / "a").exists()


def test_what_is_put_beside_a_seed_just_before_it_is_made_is_not_written_through(
    place, tmp_path, monkeypatch
):
    """By a command that goes on, in a directory in which it may write."""
    place.commit("a")
    precious = write(tmp_path / "precious", "precious")

    def remove(path):
        path.symlink_to(precious)

    monkeypatch.setattr(ground.files, "remove", remove)
    with pytest.raises(FileExistsError):
        place.link(files=("a",))
    assert precious.read_text() == "precious"


def test_what_is_shared_already_is_never_replaced(place):
    place.keep(".env")
    place.keep("storage/old")
    place.commit(".env")
    place.commit("storage/new")
    place.link(files=(".env",), dirs=("storage",))
    assert (place.shared / ".env").read_text() == "kept"
    assert everything(place.shared) == {".env", "storage", "storage/old"}
    assert (place.release / ".env").read_text() == "kept"
    assert everything(place.release / "storage") == {"old"}


def test_a_shared_file_that_exists_nowhere_is_refused_with_the_command(place):
    with pytest.raises(ReleaseFailed, match=r"shared file \.env does not exist") as no:
        place.link(files=(".env",))
    assert not (place.release / ".env").is_symlink()
    command = re.fullmatch(r"on the server: (.*)", no.value.hint)
    assert command
    process.run("sh", "-c", command[1])
    place.link(files=(".env",))
    kept = (place.release / ".env").resolve()
    assert kept == place.shared / ".env"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_missing_file_in_a_folder_is_refused_with_a_command_that_makes_both(place):
    with pytest.raises(ReleaseFailed) as no:
        place.link(files=("a b/c/.env",))
    command = no.value.hint.removeprefix("on the server: ")
    process.run("sh", "-c", command)
    place.link(files=("a b/c/.env",))


def test_one_missing_file_leaves_no_link_in_the_release(place):
    place.keep("first")
    with pytest.raises(ReleaseFailed):
        place.link(files=("first", "second"))
    assert everything(place.release) == set()


# --- what is linked ---------------------------------------------------------


def test_what_is_in_the_way_is_replaced_in_the_release_only(place):
    place.keep("storage/file")
    place.keep(".env")
    place.commit("storage/sub/committed")
    place.commit(".env")
    place.link(files=(".env",), dirs=("storage",))
    assert (place.release / "storage").is_symlink()
    assert (place.release / ".env").is_symlink()
    assert (place.shared / ".env").read_text() == "kept"


@pytest.mark.parametrize("target", ["/srv/storage", "../../elsewhere", "inside"])
def test_a_committed_link_at_a_shared_path_is_replaced_and_not_followed(
    place, tmp_path, target
):
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "precious", "x")
    place.commit("inside/file")
    (place.release / "storage").symlink_to(target)
    place.link(dirs=("storage",))
    assert (place.release / "storage").resolve() == place.shared / "storage"
    assert everything(place.shared) == {"storage"}
    assert everything(elsewhere) == {"precious"}


def test_nested_paths_have_their_folders_made(place):
    place.keep("a/b/file")
    place.link(files=("a/b/file",), dirs=("a/c/d",))
    assert (place.release / "a/b/file").read_text() == "kept"
    assert not (place.release / "a").is_symlink()
    assert (place.release / "a/c/d").resolve() == place.shared / "a/c/d"


def test_links_hold_when_the_whole_app_is_moved(place, tmp_path):
    place.keep("a/.env")
    place.link(files=("a/.env",), dirs=("storage", "deep/er/dir"))
    moved = Place(tmp_path / "elsewhere/else/shop")
    shutil.rmtree(moved.home)
    place.home.rename(moved.home)
    for path in ("a/.env", "storage", "deep/er/dir"):
        assert not Path(os.readlink(moved.release / path)).is_absolute()
        assert (moved.release / path).resolve(strict=True) == moved.shared / path


def test_linking_again_changes_nothing(place):
    place.keep(".env")
    place.link(files=(".env",), dirs=("storage",))
    write(place.release / "storage/file", "x")
    before = everything(place.home)
    place.link(files=(".env",), dirs=("storage",))
    assert everything(place.home) == before
    assert (place.shared / "storage/file").read_text() == "x"


def test_two_releases_share_one_state(place):
    place.commit("storage/first")
    place.link(dirs=("storage",))
    second = place.home / "releases/2-x"
    write(second / "storage/second", "x")
    place.link(release=second, dirs=("storage",))
    write(second / "storage/new", "x")
    assert everything(place.release / "storage") == {"first", "new"}


def test_what_the_release_has_beside_shared_paths_is_left(place):
    place.commit("a/file")
    place.link(dirs=("a/storage",))
    assert (place.release / "a/file").read_text() == "committed"


def test_dev_and_prod_have_state_of_their_own_where_that_is_asked(place):
    write(place.shared / "dev/.env", "dev")
    write(place.shared / "prod/.env", "prod")
    for chain in ("dev", "prod"):
        release = place.home / f"releases/{chain}"
        release.mkdir()
        place.link(release=release, shared=place.shared / chain, files=(".env",))
        assert (release / ".env").read_text() == chain


# --- what is refused --------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "paths", "told", "hint"),
    [
        ("file", {"dirs": ("x",)}, "is a file, and", "to  shared.files"),
        ("directory", {"files": ("x",)}, "is a directory, and", "to  shared.dirs"),
    ],
)
def test_what_is_shared_as_the_wrong_kind_is_refused(place, there, paths, told, hint):
    place.keep("x" if there == "file" else "x/y")
    with pytest.raises(ReleaseFailed, match=told) as no:
        place.link(**paths)
    assert no.value.hint.endswith(hint)
    assert everything(place.release) == set()


@pytest.mark.parametrize("kind", ["link", "file"])
@pytest.mark.parametrize("paths", [{"files": ("a/b/x",)}, {"dirs": ("a/b/x",)}])
def test_a_committed_parent_that_is_no_directory_is_refused(
    place, tmp_path, kind, paths
):
    outside = tmp_path / "outside"
    write(outside / "b/x/precious" if "dirs" in paths else outside / "b/x", "x")
    before = everything(outside)
    if kind == "link":
        (place.release / "a").symlink_to(outside)
    else:
        place.commit("a")
    place.keep("a/b/x" if "files" in paths else "a/b/x/y")
    with pytest.raises(ReleaseFailed, match="shared path a/b/x: a part of it is"):
        place.link(**paths)
    assert everything(outside) == before
    assert not any(path.is_symlink() for path in outside.rglob("*"))


def test_nothing_from_outside_is_copied_through_a_committed_parent(place, tmp_path):
    write(tmp_path / "outside/x/secret", "x")
    (place.release / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(ReleaseFailed):
        place.link(dirs=("a/x",))
    assert "a/x/secret" not in everything(place.shared)


# --- through a push ---------------------------------------------------------


def test_a_push_says_what_is_missing_and_works_once_it_is_there(server, work):
    work.write("deploy.toml", '[shared]\nfiles = [".env"]\ndirs = ["storage"]\n')
    work.commit(page="1")
    refused = work.push("main")
    assert refused.code == 1
    assert refused.status("main").reason == (
        "shared file .env does not exist on the server yet"
    )
    write(server.root / "shop/shared/.env", "A=1")
    assert work.push("main").code == 0
    live = server.link("shop-staging")
    assert (live / ".env").read_text() == "A=1"
    assert (live / "storage").is_dir()


@pytest.mark.parametrize(("scope", "same"), [("app", True), ("chain", False)])
def test_scope_says_whether_dev_and_prod_share(server, work, scope, same):
    text = f'[shared]\ndirs = ["storage"]\nscope = "{scope}"\n'
    assert parse(text.encode(), where="x").shared.scope == scope
    work.write("deploy.toml", text)
    work.commit(page="1")
    work.tag("v1")
    assert work.push("main", "v1").code == 0
    dev = (server.link("shop-staging") / "storage").resolve()
    prod = (server.link("shop") / "storage").resolve()
    assert (dev == prod) is same
    names = ("shared", "shared") if same else ("shared-dev", "shared-prod")
    home = server.root / "shop"
    assert (dev, prod) == tuple(home / name / "storage" for name in names)
