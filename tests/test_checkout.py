"""A tree becomes files as git itself would write them, whoever's machine it is."""

import os
import stat
import zlib

import pytest

from gitdeploy.checkout import check_out
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import files
from gitdeploy.system.git import Git
from gitdeploy.system.surroundings import Surroundings


class Source:
    """A repository to check out of, as the server starts git in it."""

    def __init__(self, place, work):
        self.work = work
        self.home = place / "home"
        self.home.mkdir()
        self.destination = place / "releases/1-x"
        self.destination.mkdir(parents=True)
        self.repository = work.path / ".git"
        self.git = Git(
            self.repository,
            Surroundings(
                os.environ["PATH"], str(self.home), "C", "ada", "/bin/sh", str(place)
            ),
        )

    def commit(self, **content):
        self.work.commit("change", **content)

    def out(self, path="."):
        """Check HEAD out and return what is there: relative paths to bytes."""
        tree = self.work.oid("HEAD^{tree}")
        check_out(self.git, tree, self.destination, path=path)
        return contents(self.destination)


def contents(top):
    """Return files as bytes and links as ("link", target), by their bytes."""
    top = os.fsencode(top)
    found = {}
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, top)
            if os.path.islink(path):
                found[relative] = ("link", os.readlink(path))
            else:
                with open(path, "rb") as file:
                    found[relative] = file.read()
    return found


@pytest.fixture
def source(tmp_path, make_work):
    return Source(tmp_path, make_work("clone"))


# --- attributes, modes, names -----------------------------------------------


def test_a_tree_becomes_its_files_and_nothing_else(source):
    source.commit(**{"a": "1", "b/c": "2", "b/d/e": "3"})
    assert source.out() == {b"a": b"1", b"b/c": b"2", b"b/d/e": b"3"}


@pytest.mark.parametrize("path", [".", "web"])
@pytest.mark.parametrize(
    ("attribute", "committed", "written"),
    [
        ("text eol=crlf", "one\ntwo\n", b"one\r\ntwo\r\n"),
        ("text eol=lf", "one\ntwo\n", b"one\ntwo\n"),
        ("ident", "$Id$\n", b"$Id: "),
        (
            "text working-tree-encoding=UTF-16LE",
            "hé".encode("utf-16-le"),
            "hé".encode("utf-16-le"),
        ),
        ("export-ignore", "x", b"x"),
        ("export-subst", "$Format:%H$", b"$Format:%H$"),
        ("filter=lfs diff=lfs -text", "x", b"x"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[:1].islower() else None,
)
def test_attributes_hold(source, path, attribute, committed, written):
    source.work.write(".gitattributes", f"*.txt {attribute}\n")
    source.commit(**{"web/page.txt": committed, "web/other": "$Id$\n"})
    found = source.out(path)
    prefix = b"" if path == "web" else b"web/"
    assert found[prefix + b"page.txt"].startswith(written)
    assert found[prefix + b"other"] == b"$Id$\n"


def test_a_text_is_stored_as_utf_8_and_written_as_the_attribute_says(source):
    encoded = "hé\n".encode("utf-16")
    source.work.write(".gitattributes", "*.txt text working-tree-encoding=UTF-16\n")
    source.commit(**{"page.txt": encoded})
    assert source.work.git("cat-file", "blob", "HEAD:page.txt").stdout == "hé\n"
    assert source.out()[b"page.txt"].decode("utf-16") == "hé\n"


def test_attributes_within_the_folder_hold_over_those_above(source):
    source.work.write(".gitattributes", "* text eol=crlf\n")
    source.commit(**{"web/.gitattributes": "raw -text\n", "web/raw": "a\n"})
    source.commit(**{"web/cooked": "a\n"})
    found = source.out("web")
    assert found[b"raw"] == b"a\n"
    assert found[b"cooked"] == b"a\r\n"


def test_modes_are_those_of_the_commit_and_no_others(source):
    source.work.write("run", "#!/bin/sh\n", mode=0o755)
    source.commit(page="x")
    source.out()
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in source.destination.iterdir()
    }
    assert modes == {"run": 0o755, "page": 0o644}


@pytest.mark.parametrize("path", [".", "web"])
def test_links_are_links_whatever_they_point_to(source, path):
    for name, target in (("in", "page"), ("dangling", "no/where"), ("up", "../x")):
        source.work.path.joinpath("web").mkdir(exist_ok=True)
        source.work.path.joinpath("web", name).symlink_to(target)
    source.commit(**{"web/page": "x"})
    prefix = b"" if path == "web" else b"web/"
    assert source.out(path) == {
        prefix + b"in": ("link", b"page"),
        prefix + b"dangling": ("link", b"no/where"),
        prefix + b"up": ("link", b"../x"),
        prefix + b"page": b"x",
    }


@pytest.mark.parametrize("path", [".", "web"])
@pytest.mark.parametrize(
    "name",
    [
        b"new\nline",
        b"caf\xe9",
        b"-rf",
        b"--",
        b"trailing ",
        b" leading",
        b"x" * 255,
        b'"quoted"',
        b"$(id)",
        b"*",
        b":(top)a",
        b"\x1b[2J",
    ],
)
def test_names_of_any_bytes_are_written_as_they_are(source, path, name):
    source.work.write(b"web/" + name, "1")
    source.work.write(b"web/d/" + name, "2")
    source.commit()
    prefix = b"" if path == "web" else b"web/"
    assert source.out(path) == {prefix + name: b"1", prefix + b"d/" + name: b"2"}


# --- a folder ---------------------------------------------------------------


def test_of_a_folder_only_its_inside_is_there(source):
    source.commit(**{"top": "x", "web/a": "1", "webs/a": "2", "other/web/a": "3"})
    assert source.out("web") == {b"a": b"1"}
    assert os.listdir(source.destination) == ["a"]


def test_a_folder_may_hold_one_of_its_own_name(source):
    source.commit(**{"web/web/web": "1", "web/a": "2"})
    assert source.out("web") == {b"web/web": b"1", b"a": b"2"}


def test_a_folder_may_be_deeper_and_have_an_odd_name(source):
    source.commit(**{"a/b [*] ü/c": "1", "a/b x ü/c": "2", "a/d": "3"})
    assert source.out("a/b [*] ü") == {b"c": b"1"}


# --- what it leaves behind --------------------------------------------------


@pytest.mark.parametrize("path", [".", "web"])
def test_no_index_and_no_repository_is_left(source, path):
    source.commit(**{"web/a": "1"})
    before = sorted(os.listdir(source.repository))
    source.out(path)
    assert sorted(os.listdir(source.repository)) == before
    assert not (source.destination / ".git").exists()


def test_the_repository_s_own_index_is_not_touched(source):
    source.commit(a="1")
    before = (source.repository / "index").read_bytes()
    source.out()
    assert (source.repository / "index").read_bytes() == before


@pytest.mark.parametrize(
    "left",
    [
        "gitdeploy-0-x.index",
        "gitdeploy-0-x.index.lock",
        *(
            pytest.param(
                f"gitdeploy-1-x.{kind}",
            )
            for kind in ("index", "index.lock")
        ),
    ],
)
def test_what_a_crash_left_does_not_matter_to_the_next(source, left):
    source.commit(a="1")
    (source.repository / left).write_text("rubbish")
    assert source.out() == {b"a": b"1"}


def test_a_damaged_file_fails_the_checkout_and_leaves_no_index(source):
    source.commit(a="content")
    blob = source.work.oid("HEAD:a")
    place = source.repository / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"blob 7\0c0ntent")[:-6])
    with pytest.raises(ReleaseFailed, match=blob):
        source.out()
    assert not list(source.repository.glob("gitdeploy-*"))


def test_what_cannot_be_written_is_told_in_git_s_words(source, monkeypatch):
    source.commit(a="1")
    monkeypatch.setattr(files, "make_directory", lambda *_: False)
    source.destination.rmdir()
    source.destination.write_text("in the way")
    with pytest.raises(ReleaseFailed, match="checkout: "):
        source.out()


# --- nobody's configuration -------------------------------------------------


@pytest.fixture
def canary(source):
    """A home full of settings that would run a program or change a byte."""
    canary = source.home / "canary"
    trap = source.home / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{canary}'\ncat\n")
    trap.chmod(0o755)
    hooks = source.home / "hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "post-index-change"):
        (hooks / hook).symlink_to(trap)
    (source.home / ".gitconfig").write_text(
        f'[filter "trap"]\n\tsmudge = {trap}\n\tclean = {trap}\n\trequired = true\n'
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = {trap}\n\tautocrlf = true\n"
        "\tsymlinks = false\n\tfileMode = false\n\tsharedRepository = 0777\n"
    )
    return canary


def test_a_hostile_configuration_of_the_user_has_no_effect(source, canary):
    source.work.path.joinpath("link").symlink_to("a")
    source.work.write("run", "x", mode=0o755)
    source.commit(**{".gitattributes": "a filter=trap\n", "a": "one\n"})
    found = source.out()
    assert found[b"a"] == b"one\n"
    assert found[b"link"] == ("link", b"a")
    assert os.access(source.destination / "run", os.X_OK)
    assert not canary.exists()


def test_the_trap_does_work_where_the_configuration_is_read(source, canary):
    source.commit(**{".gitattributes": "a filter=trap\n", "a": "one\n"})
    source.work.path.joinpath("a").unlink()
    own = {"GIT_CONFIG_GLOBAL": str(source.home / ".gitconfig")}
    source.work.git("checkout", "--", "a", env=own)
    assert canary.exists()


@pytest.mark.parametrize("path", [".", "web"])
def test_attributes_of_the_user_have_no_effect(source, path):
    place = source.home / ".config/git"
    place.mkdir(parents=True)
    (place / "attributes").write_text("* text eol=crlf\n")
    source.commit(**{"web/a": "one\n"})
    assert {*source.out(path).values()} == {b"one\n"}


def test_variables_of_the_caller_s_environment_have_no_effect(source, monkeypatch):
    source.commit(a="1")
    tree = source.work.oid("HEAD^{tree}")
    with monkeypatch.context() as patch:
        for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
            patch.setenv(name, "/nowhere")
        check_out(source.git, tree, source.destination)
    assert contents(source.destination) == {b"a": b"1"}
