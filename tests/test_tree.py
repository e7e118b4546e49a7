"""A tree is looked through before a byte of it is written; hostile ones are refused."""

import os
import re
import subprocess

import pygit2
import pytest
from support import process
from support.tree_histories import play

from gitdeploy.config import Limits, Size
from gitdeploy.errors import ReleaseFailed
from gitdeploy.manifest import Manifest
from gitdeploy.system.git import Git
from gitdeploy.system.surroundings import Surroundings
from gitdeploy.tree import Inspection, Submodule, inspect

FILE, RUN, LINK, TREE, MODULE = "100644", "100755", "120000", "40000", "160000"
MISSING = "12" * 20


class Objects:
    """A bare repository whose objects are written raw, however wrong they are."""

    def __init__(self, path):
        self.path = path
        process.run("git", "init", "--quiet", "--bare", path)
        home = str(path.parent)
        self.git = Git(
            path,
            Surroundings(os.environ["PATH"], home, "C", "ada", "/bin/sh", home),
        )

    def write(self, kind, data):
        words = ["hash-object", "-w", "--stdin", "--literally", "-t", kind]
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *words],  # noqa: S607
            input=data,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def blob(self, data=b"x"):
        return self.write("blob", data)

    def tree(self, *entries):
        """Write a tree of (mode, name, id), sorted as git does."""
        found = [
            (name.encode() if isinstance(name, str) else name, mode, id_)
            for mode, name, id_ in entries
        ]
        found.sort(key=lambda entry: entry[0] + b"/" * (entry[1] == TREE))
        return self.write(
            "tree",
            b"".join(
                b"%b %b\0%b" % (mode.encode(), name, bytes.fromhex(id_))
                for name, mode, id_ in found
            ),
        )

    def of(self, **content):
        """Write a tree of files, whose names may have slashes."""
        folders, entries = {}, []
        for path, data in content.items():
            name, _, rest = path.partition("/")
            if rest:
                folders.setdefault(name, {})[rest] = data
            else:
                entries.append((FILE, name, self.blob(data)))
        entries += [(TREE, name, self.of(**below)) for name, below in folders.items()]
        return self.tree(*entries)

    def linked(self, at, target):
        """Write a tree with a file, and a link somewhere."""
        *folders, name = at.split("/")
        tree = self.tree((LINK, name, self.blob(target.encode())))
        for folder in reversed(folders):
            tree = self.tree((TREE, folder, tree))
        return tree

    def nested(self, levels, tree):
        for _ in range(levels):
            tree = self.tree((TREE, "d", tree))
        return tree

    def bomb(self, leaf, levels=10, width=10):
        for _ in range(levels):
            leaf = self.tree(*((TREE, f"d{n}", leaf) for n in range(width)))
        return leaf

    def loose(self, id_):
        return self.path / "objects" / id_[:2] / id_[2:]


@pytest.fixture
def objects(tmp_path):
    return Objects(tmp_path / "shop.git")


def look(objects, tree, *, shared=(), before=None, **limits):
    return inspect(objects.git, tree, Limits(**limits), shared=shared, before=before)


def refusal(objects, tree, *, shared=(), before=None, **limits):
    with pytest.raises(ReleaseFailed) as caught:
        look(objects, tree, shared=shared, before=before, **limits)
    return caught.value


# --- what is counted --------------------------------------------------------


def test_files_and_links_of_all_levels_are_counted(objects):
    link = objects.blob(b"page")
    inner = objects.of(**{"a": b"12", "b/c": b"345"})
    tree = objects.tree((TREE, "d", inner), (LINK, "l", link), (TREE, "e", inner))
    assert look(objects, tree) == Inspection(files=5, size_bytes=14)


@pytest.mark.parametrize("mode", [FILE, RUN, "100664", "100666", "104755", "100600"])
def test_old_modes_of_files_pass(objects, mode):
    assert look(objects, objects.tree((mode, "a", objects.blob()))).files == 1


def test_an_empty_tree_has_nothing_to_deploy(objects):
    assert "no files" in refusal(objects, objects.tree()).message
    assert "no files" in refusal(objects, objects.nested(3, objects.tree())).message


@pytest.mark.parametrize(
    "name",
    [
        b"caf\xe9",
        b"new\nline",
        b"\x1b[2J",
        b"-rf",
        b" ",
        b"trailing ",
        b"x" * 255,
        "ü".encode(),
        b".gitignore",
        b"...",
    ],
)
def test_names_of_any_bytes_pass(objects, name):
    assert look(objects, objects.tree((FILE, name, objects.blob()))).files == 1


def test_a_submodule_is_listed_with_its_path_and_commit(objects):
    inner = objects.tree((MODULE, b"caf\xe9", MISSING), (FILE, "a", objects.blob()))
    tree = objects.tree((TREE, "lib", inner), (MODULE, "top", MISSING))
    found = look(objects, tree)
    assert found.files == 1
    assert set(found.submodules) == {
        Submodule("lib/caf\udce9", MISSING),
        Submodule("top", MISSING),
    }


# --- limits -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "content", "told"),
    [
        (
            {"entries": 2},
            {"a": b"", "b": b"", "c/d": b""},
            "4 entries; the limit is 2",
        ),
        ({"depth": 2}, {"a/b/c/d": b""}, "more than 2 directories deep"),
        ({"name_bytes": 4}, {"abcde": b""}, "'abcde'… has 5 bytes; the limit is 4"),
        ({"path_bytes": 5}, {"abc/de": b""}, r"bytes in its longest path; .* is 5"),
        ({"file_bytes": Size(4)}, {"a": b"12345"}, "'a' has 5 B; .* is 4 B"),
        (
            {"total_bytes": Size(8)},
            {"a": b"12345", "b": b"12345"},
            r"the files have 5 B|10 B; the limit is 8 B",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_tree_above_a_limit_is_refused_with_the_limit(objects, limits, content, told):
    error = refusal(objects, objects.of(**content), **limits)
    assert re.search(told, error.message), error.message


@pytest.mark.parametrize(
    ("limits", "content"),
    [
        ({"entries": 2}, {"a": b"", "b": b""}),
        ({"name_bytes": 5}, {"abcde": b""}),
        ({"file_bytes": Size(5)}, {"a": b"12345"}),
        ({"total_bytes": Size(10)}, {"a": b"12345", "b": b"1234"}),
        ({"depth": 3}, {"a/b/c": b""}),
        pytest.param(
            {"path_bytes": 6},
            {"abc/de": b""},
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_tree_just_at_a_limit_passes(objects, limits, content):
    look(objects, objects.of(**content), **limits)


def test_more_links_than_the_limit_are_refused(objects):
    target = objects.blob(b"a")
    tree = objects.tree(*((LINK, f"l{n}", target) for n in range(3)))
    assert "links; the limit is 2" in refusal(objects, tree, links=2).message
    assert look(objects, tree, links=3).files == 3


def test_what_is_too_much_is_told_in_good_english(objects):
    error = refusal(objects, objects.of(a=b"", b=b"", c=b""), entries=2)
    assert error.message == "the tree has 3 entries; the limit is 2"


def test_more_levels_than_the_limit_are_refused(objects):
    tree = objects.nested(70, objects.of(a=b""))
    assert "more than 64 directories deep" in refusal(objects, tree).message


def test_depth_counts_along_the_longest_way(objects):
    shared = objects.nested(40, objects.of(a=b""))
    tree = objects.tree((TREE, "a", objects.nested(40, shared)), (TREE, "z", shared))
    assert "82 directories within each other" in refusal(objects, tree).message


# --- bombs ------------------------------------------------------------------


def test_ten_thousand_million_files_are_refused_at_once(objects):
    bomb = objects.bomb(objects.of(**{f"f{n}": b"x" for n in range(10)}), levels=9)
    assert "11,111,111,110" in refusal(objects, bomb).message


def test_a_few_huge_files_named_often_are_refused(objects):
    bomb = objects.bomb(objects.of(a=b"x" * 1_000_000), levels=5)
    error = refusal(objects, bomb, entries=1_000_000, total_bytes=Size(10**9))
    assert "the files have 93.1 GiB" in error.message


@pytest.mark.parametrize("leaf", ["empty folders", "submodules"])
def test_a_bomb_without_files_is_refused_too(objects, leaf):
    """With ten levels instead of four, `inspect` does not come back."""
    entries = () if leaf == "empty folders" else ((MODULE, "m", MISSING),)
    bomb = objects.bomb(objects.tree(*entries), levels=4)
    tree = objects.tree((TREE, "d", bomb), (FILE, "a", objects.blob()))
    assert "the limit is 1,000" in refusal(objects, tree, entries=1000).message


# --- names ------------------------------------------------------------------


@pytest.mark.parametrize("mode", [FILE, TREE, LINK])
@pytest.mark.parametrize("name", [".git", ".GIT", ".Git", "..", ".", "a/b", "/etc"])
def test_names_that_mean_harm_are_refused_at_any_level(objects, name, mode):
    id_ = objects.of(a=b"") if mode == TREE else objects.blob()
    top = objects.tree((mode, name, id_))
    for tree in (top, objects.nested(1, top)):
        message = refusal(objects, tree).message
        assert f"{name!r} cannot be the name of a file" in message


@pytest.mark.parametrize(
    "name",
    [
        "git~1",
        "GIT~1",
        ".git ",
        ".git...",
        ".git::$INDEX_ALLOCATION",
        ".git\\hooks",
        ".g\u200cit",
        "\ufeff.Git",
        ".git\u206f",
    ],
)
def test_what_another_file_system_takes_for_git_is_refused(objects, name):
    message = refusal(objects, objects.tree((FILE, name, objects.blob()))).message
    assert "cannot be the name of a file" in message


@pytest.mark.parametrize("name", ["git~2", ".gitx", ".git.x", "x.git", ".g\u00efit"])
def test_what_only_resembles_git_passes(objects, name):
    assert look(objects, objects.tree((FILE, name, objects.blob()))).files == 1


@pytest.mark.parametrize("name", [".gitmodules", ".GITMODULES ", "gitmod~1"])
def test_what_tells_of_submodules_may_not_be_a_link(objects, name):
    """git would read it wherever it leads."""
    message = refusal(objects, objects.linked(name, "b")).message
    assert f"{name!r} cannot be a link" in message
    look(objects, objects.tree((FILE, name, objects.blob())))


@pytest.mark.parametrize("second", [FILE, TREE, LINK, MODULE])
def test_two_entries_of_one_name_are_refused(objects, second):
    id_ = objects.of(x=b"") if second == TREE else objects.blob()
    tree = objects.tree((LINK, "a", objects.blob(b"b")), (second, "a", id_))
    message = refusal(objects, tree).message
    assert message == "one folder has two entries called 'a'"


def test_a_name_is_shown_so_that_it_cannot_act_on_a_terminal(objects):
    tree = objects.tree((FILE, b"\x1b[2J\xff" * 10, objects.blob()))
    message = refusal(objects, tree, name_bytes=5).message
    assert message.isprintable()
    assert r"\x1b" in message


@pytest.mark.parametrize(
    ("missing", "refused"), [(None, True), ("HEAD", False), ("refs", False)]
)
def test_what_git_would_take_for_a_repository_is_refused(objects, missing, refused):
    parts = {"HEAD": b"ref: x", "objects/a": b"", "refs/a": b"", "config": b""}
    kept = {k: v for k, v in parts.items() if not missing or not k.startswith(missing)}
    tree = objects.of(**kept)
    if refused:
        assert "looks like a bare git repository" in refusal(objects, tree).message
    else:
        look(objects, tree)


# --- links ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "target"),
    [
        ("a", "b"),
        ("a", "./b/c/..."),
        ("a", "missing/file"),
        ("d/a", "../b"),
        ("d/e/a", "../../b"),
        ("a", "..."),
        ("a", "..b"),
        ("a", "."),
        ("d/a", ".."),
    ],
)
def test_a_link_that_stays_inside_passes(objects, at, target):
    assert look(objects, objects.linked(at, target)).files == 1


@pytest.mark.parametrize(
    ("at", "target"),
    [
        ("a", "/etc/passwd"),
        ("a", "/"),
        ("a", ".."),
        ("a", "../b"),
        ("d/a", "../../b"),
        ("d/a", "../d/../../b"),
        ("a", "b/../../c"),
        ("a", "./.././b"),
    ],
)
def test_a_link_that_leads_out_is_refused_by_name_and_target(objects, at, target):
    error = refusal(objects, objects.linked(at, target))
    assert f"{at!r} leads out of the release: {target!r}" in error.message
    assert "[shared]" in error.hint


@pytest.mark.parametrize("target", ["..\0", "b\0/../..", "\0", ""])
def test_a_link_whose_target_no_link_can_have_is_refused(objects, target):
    """symlink(2) ends at the first NUL: git would write a link to `..`."""
    for shared in ((), ("a",)):
        error = refusal(objects, objects.linked("a", target), shared=shared)
        assert f"the link 'a' points to {target!r}, which is no path" in error.message


def test_a_link_that_leads_out_by_way_of_another_link_is_refused(objects):
    up = objects.tree((LINK, "up", objects.blob(b"..")))
    out = objects.blob(b"d/up/../secret")  # d/up is the top, so this leaves it
    tree = objects.tree((TREE, "d", up), (LINK, "out", out))
    assert "leads out of the release" in refusal(objects, tree).message


@pytest.mark.parametrize("target", ["/srv/storage", "../../elsewhere"])
def test_a_link_on_a_shared_path_may_lead_anywhere(objects, target):
    look(objects, objects.linked("storage", target), shared=("storage",))
    look(objects, objects.linked("a/storage", target), shared=("a/storage",))


@pytest.mark.parametrize("at", ["config", "a/config"])
def test_a_link_above_a_shared_path_is_refused_even_if_it_stays_inside(objects, at):
    shared = f"{at}/secrets/.env"
    error = refusal(objects, objects.linked(at, "b"), shared=(shared,))
    assert f"shared path {shared}: {at!r} is a link" in error.message


def test_a_link_whose_name_begins_like_a_shared_path_passes(objects):
    look(objects, objects.linked("stor", "b"), shared=("storage/x",))


# --- Git LFS ----------------------------------------------------------------

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)


def test_a_pointer_of_git_lfs_is_refused_and_explained(objects):
    error = refusal(objects, objects.of(**{"img/logo.png": POINTER}))
    assert "'img/logo.png' is a Git LFS pointer" in error.message
    assert "git lfs migrate export" in error.hint


@pytest.mark.parametrize("data", [POINTER[1:], b"x" * 130, b"\n" + POINTER])
def test_what_only_resembles_a_pointer_passes(objects, data):
    look(objects, objects.of(**{"logo.png": data}))


# --- damage -----------------------------------------------------------------


@pytest.mark.parametrize("mode", [FILE, LINK, TREE])
def test_a_missing_object_is_named(objects, mode):
    error = refusal(objects, objects.nested(1, objects.tree((mode, "a", MISSING))))
    assert MISSING[:7] in error.message
    assert "fsck" in error.hint


def test_a_missing_tree_is_named(objects):
    assert MISSING[:7] in refusal(objects, MISSING).message


@pytest.mark.parametrize("what", ["blob", "tree"])
@pytest.mark.parametrize("damage", [b"", b"not zlib at all"])
def test_a_damaged_object_is_named(objects, what, damage):
    blob = objects.blob(b"content")
    inner = objects.tree((FILE, "a", blob))
    tree = objects.tree((TREE, "d", inner))
    damaged = blob if what == "blob" else inner
    objects.loose(damaged).chmod(0o644)
    objects.loose(damaged).write_bytes(damage)
    error = refusal(objects, tree)
    assert damaged in error.message
    assert "fsck" in error.hint


@pytest.mark.parametrize(
    "mode", ["-100644", "+100644", "10_0644", "100648", " 100644", ""]
)
def test_a_mode_that_is_no_number_is_damage(objects, mode):
    tree = objects.tree((mode, "a", objects.blob()))
    assert f"damaged on the server: {tree}" in refusal(objects, tree).message


def test_a_folder_that_is_a_file_is_refused(objects):
    error = refusal(objects, objects.tree((TREE, "a", objects.blob())))
    assert "should be a tree" in error.message


# --- what the release before has ----------------------------------------------


def record(found):
    """Return the record of a release that was inspected."""
    return Manifest.of(found.folders, path=".", rules="", attributes="")


def test_what_the_release_before_has_is_counted_and_not_read(objects):
    same = objects.of(**{"b/c": b"1", "d": b"22"})
    before = record(look(objects, objects.tree((TREE, "a", same))))
    changed = objects.tree((TREE, "a", same), (FILE, "x", objects.blob(b"333")))
    objects.loose(same).unlink()
    found = look(objects, changed, before=before)
    assert found == Inspection(files=3, size_bytes=6)
    assert found.folders.keys() == {b"", b"a", b"a/b"}


def test_what_is_copied_of_the_release_before_is_listed_at_its_new_place(objects):
    same = objects.of(**{"b/c": b"1", "d": b"22"})
    before = record(look(objects, objects.tree((TREE, "a", same))))
    copied = objects.tree(
        (TREE, "a", same), (TREE, "z", objects.tree((TREE, "y", same)))
    )
    found = look(objects, copied, before=before)
    assert found == look(objects, copied)
    assert found.folders.keys() == look(objects, copied).folders.keys()
    assert found.folders[b"z/y/b"].files == found.folders[b"a/b"].files


def test_a_link_that_was_fine_where_it_was_may_lead_out_where_it_is_copied_to(objects):
    inner = objects.tree((LINK, "up", objects.blob(b"../../x")))
    deep = objects.tree((TREE, "c", objects.tree((TREE, "b", inner))))
    before = record(look(objects, deep))
    moved = objects.tree(
        (TREE, "c", objects.tree((TREE, "b", inner))), (TREE, "b", inner)
    )
    assert "leads out" in refusal(objects, moved, before=before).message


def test_a_limit_counts_what_the_release_before_has_too(objects):
    same = objects.of(**{"b/c": b"1", "d": b"22"})
    before = record(look(objects, objects.tree((TREE, "a", same))))
    more = objects.tree((TREE, "a", same), (FILE, "x", objects.blob()))
    assert (
        "5 entries; the limit is 4"
        in refusal(objects, more, before=before, entries=4).message
    )


def test_what_is_copied_to_a_shallower_place_is_listed_there(objects):
    """It is read there before its old place tells that it is known."""
    inner = objects.tree((TREE, "c", objects.of(f=b"1")))
    old = objects.tree((TREE, "x", inner), (FILE, "y", objects.blob(b"1")))
    before = record(look(objects, objects.tree((TREE, "a", old))))
    changed = objects.tree((TREE, "x", inner), (FILE, "y", objects.blob(b"2")))
    copied = objects.tree((TREE, "a", changed), (TREE, "x", inner))
    found, whole = look(objects, copied, before=before), look(objects, copied)
    assert found == whole
    assert found.folders == whole.folders


def test_by_difference_everything_is_found_that_is_found_as_a_whole(tmp_path):
    """Files, copies, moves and removals, tree after tree; `make tree-histories`."""
    repository = pygit2.init_repository(tmp_path / "of.git", bare=True)
    assert sum(play(repository, seed) for seed in range(100)) > 300
