"""Calls that change the disk: whole or not at all, within bounds, safe to repeat."""

import ctypes
import errno
import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitdeploy.system import files, removal
from gitdeploy.system.below import link_below

NOBODY = 65534


def deep(top, levels):
    """Make directories in one another, deeper than any path can say."""
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


@pytest.fixture
def outside(tmp_path):
    """A directory that nothing may touch."""
    place = tmp_path / "outside"
    place.mkdir(mode=0o755)
    (place / "precious").write_text("precious")
    yield place
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert [path.name for path in place.iterdir()] == ["precious"]
    assert (place / "precious").read_text() == "precious"


# --- directories ------------------------------------------------------------


def test_a_directory_is_made_with_its_parents_and_then_left(tmp_path):
    assert files.make_directory(tmp_path / "a/b")
    assert not files.make_directory(tmp_path / "a/b")


def test_a_file_in_the_place_of_a_directory_is_an_error(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(FileExistsError):
        files.make_directory(tmp_path / "a")


# --- write_whole ------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_a_file_has_the_mode_it_was_given_whatever_the_umask(tmp_path, mode):
    path = tmp_path / "file"
    files.write_whole(path, b"x", mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_file_is_replaced_and_not_changed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        files.write_whole(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_can_be_repeated(
    tmp_path, monkeypatch, failing
):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="injected"):
            files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    files.write_whole(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_beside_is_never_written_through(tmp_path, outside):
    path = tmp_path / "file"
    (tmp_path / ".file.new").symlink_to(outside / "precious")
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()


def test_writing_a_link_s_name_replaces_the_link(tmp_path, outside):
    path = tmp_path / "file"
    path.symlink_to(outside / "precious")
    files.write_whole(path, b"new")
    assert not path.is_symlink()


# --- replace_link -----------------------------------------------------------


def test_a_link_is_made_and_replaced(tmp_path):
    link = tmp_path / "link"
    for target in ("first", "second"):
        files.replace_link(link, target)
        assert os.readlink(link) == target
    assert list(tmp_path.iterdir()) == [link]


def test_a_link_to_a_directory_is_replaced_and_not_entered(tmp_path, outside):
    link = tmp_path / "link"
    link.symlink_to(outside)
    files.replace_link(link, "elsewhere")
    assert os.readlink(link) == "elsewhere"


def test_a_stale_link_beside_does_not_matter(tmp_path):
    (tmp_path / ".link.new").symlink_to("stale")
    files.replace_link(tmp_path / "link", "target")
    assert os.listdir(tmp_path) == ["link"]
    assert os.readlink(tmp_path / "link") == "target"


def test_a_directory_is_never_replaced_by_a_link(tmp_path):
    (tmp_path / "name").mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace_link(tmp_path / "name", "target")
    assert (tmp_path / "name").is_dir()


# --- remove_tree ------------------------------------------------------------


def test_removing_what_is_missing_is_fine(tmp_path):
    files.remove_tree(tmp_path / "missing")
    files.remove_file(tmp_path / "missing")


def test_three_thousand_levels_are_removed(tmp_path):
    deep(tmp_path / "top", 3000)
    files.remove_tree(tmp_path / "top")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o444, 0o555])
def test_directories_that_a_build_made_inaccessible_are_removed(mode):
    with tempfile.TemporaryDirectory() as base:  # pytest's own are closed to others
        top = Path(base, "top")
        (top / "a/b").mkdir(parents=True)
        (top / "a/b/file").write_text("")
        for path in (top / "a/b", top / "a", top):
            path.chmod(mode)
        with as_nobody(base):
            files.remove_tree(top)
        assert os.listdir(base) == []


def test_links_inside_are_removed_and_not_followed(tmp_path, outside):
    top = tmp_path / "top"
    (top / "a").mkdir(parents=True)
    (top / "directory").symlink_to(outside)
    (top / "a/up").symlink_to("../../outside")
    (top / "a/file").symlink_to(outside / "precious")
    (top / "dangling").symlink_to("nowhere")
    files.remove_tree(top)
    assert not top.exists()


def test_a_hard_link_s_other_name_keeps_content_and_mode(tmp_path, outside):
    (tmp_path / "top").mkdir()
    os.link(outside / "precious", tmp_path / "top/file")
    files.remove_tree(tmp_path / "top")


def test_a_socket_or_pipe_is_removed_and_not_opened(tmp_path):
    (tmp_path / "top").mkdir()
    os.mkfifo(tmp_path / "top/pipe")
    files.remove_tree(tmp_path / "top")
    assert not (tmp_path / "top").exists()


def test_names_of_any_bytes_are_removed(tmp_path):
    top = tmp_path / "top"
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b" ", b"x" * 255):
        os.makedirs(os.path.join(os.fsencode(top), name, name))
    files.remove_tree(top)
    assert not top.exists()


@pytest.mark.parametrize("call", ["rename", "unlink", "rmdir"])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_removal_that_died_half_way_is_repeated_by_another_process(
    tmp_path, monkeypatch, call, after
):
    top = tmp_path / "top"
    for name in ("a/b/c", "a/d", "e/f/g", "h"):
        (top / name).mkdir(parents=True)
        (top / name / "file").write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing_after(after, getattr(os, call)))
        patch.setattr(removal, "_MOST_OPEN", 2)  # what is below is moved up
        with pytest.raises(OSError, match="injected"):
            files.remove_tree(top)
    assert top.exists()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    files.remove_tree(top)
    assert not top.exists()


def test_a_removal_that_died_half_way_is_repeated_by_a_process_of_the_same_id(tmp_path):
    top = tmp_path / "top"
    for number in range(1, 6):
        (top / f".removing-{os.getpid()}-{number}" / "full").mkdir(parents=True)
        (top / f"{number}").mkdir()
    files.remove_tree(top)
    assert not top.exists()


def test_what_becomes_a_link_meanwhile_is_not_followed(tmp_path, monkeypatch, outside):
    """Somebody who may write to a release must not choose what we remove."""
    (tmp_path / "top/a/b").mkdir(parents=True)
    real = os.open

    def swapping(name, *args, **kwargs):
        if name == "b":
            os.rmdir(tmp_path / "top/a/b")
            os.symlink(outside, tmp_path / "top/a/b")
        return real(name, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", swapping)
        with pytest.raises(NotADirectoryError) as no:
            files.remove_tree(tmp_path / "top")
    assert no.value.filename == str(tmp_path / "top/a/b")


def test_what_cannot_be_removed_is_named_in_full(tmp_path, monkeypatch):
    (tmp_path / "top/a/b").mkdir(parents=True)
    (tmp_path / "top/a/b/file").write_text("")

    def forbidden(name, **_):
        raise PermissionError(errno.EPERM, "Operation not permitted", name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", forbidden)
        with pytest.raises(PermissionError) as no:
            files.remove_tree(tmp_path / "top")
    assert no.value.filename == str(tmp_path / "top/a/b/file")


def test_a_link_as_the_top_is_removed_and_not_followed(tmp_path):
    precious = tmp_path / "elsewhere/precious"
    precious.parent.mkdir()
    precious.write_text("")
    (tmp_path / "top").symlink_to(precious.parent)
    files.remove_tree(tmp_path / "top")
    assert precious.exists()
    assert not (tmp_path / "top").is_symlink()


# --- link_below -------------------------------------------------------------


def test_a_link_is_put_below_with_its_parents(tmp_path):
    link_below(tmp_path, "a/b/link", "../../target")
    assert os.readlink(tmp_path / "a/b/link") == "../../target"


@pytest.mark.parametrize("there", ["file", "directory", "link", "dangling"])
def test_whatever_has_the_name_is_replaced(tmp_path, outside, there):
    place = tmp_path / "a/name"
    place.parent.mkdir()
    match there:
        case "file":
            place.write_text("")
        case "directory":
            (place / "full").mkdir(parents=True)
        case "link":
            place.symlink_to(outside)
        case "dangling":
            place.symlink_to("nowhere")
    link_below(tmp_path, "a/name", "target")
    assert os.readlink(place) == "target"


@pytest.mark.parametrize("relative", ["way/link", "way/b/link", "a/way/link"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_parent_that_is_no_directory_is_refused(tmp_path, outside, relative, kind):
    base = tmp_path / "base"
    (base / "a").mkdir(parents=True)
    for way in (base / "way", base / "a/way"):
        if kind == "link":
            way.symlink_to(outside)
        else:
            way.write_text("")
    opened = os.listdir("/proc/self/fd")
    with pytest.raises(NotADirectoryError):
        link_below(base, relative, "target")
    assert len(os.listdir("/proc/self/fd")) == len(opened)


def test_a_base_that_is_a_link_is_refused(tmp_path, outside):
    (tmp_path / "base").symlink_to(outside)
    with pytest.raises(NotADirectoryError):
        link_below(tmp_path / "base", "link", "target")


# --- move ----------------------------------------------------------


def test_everything_is_moved_up_hidden_and_odd_names_too(tmp_path, outside):
    inner, names = tmp_path / "inner", {b".hidden", b"\xff", b"new\nline", b"link"}
    (inner / "directory/below").mkdir(parents=True)
    for name in names - {b"link"}:
        (inner / os.fsdecode(name)).write_text("")
    (inner / "link").symlink_to(outside)
    destination = tmp_path / "destination"
    destination.mkdir()
    files.move_up(inner, destination)
    assert os.listdir(inner) == []
    assert set(os.listdir(os.fsencode(destination))) == names | {b"directory"}
    assert (destination / "directory/below").is_dir()
    assert os.readlink(destination / "link") == str(outside)


# --- sharing ----------------------------------------------------------------


def test_a_second_name_is_the_same_file_and_replaces_none(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    files.link_file(tmp_path / "file", tmp_path / "name")
    files.link_file(tmp_path / "link", tmp_path / "link-name")
    assert (tmp_path / "name").samefile(tmp_path / "file")
    assert os.readlink(tmp_path / "link-name") == "file"
    with pytest.raises(FileExistsError):
        files.link_file(tmp_path / "file", tmp_path / "name")


def test_a_clone_has_content_and_mode_or_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("x" * 5000)
    (tmp_path / "file").chmod(0o555)
    try:
        files.clone_file(tmp_path / "file", tmp_path / "clone")
    except OSError:
        assert os.listdir(tmp_path) == ["file"]
    else:
        assert (tmp_path / "clone").read_text() == "x" * 5000
        assert stat.S_IMODE((tmp_path / "clone").stat().st_mode) == 0o555
    with pytest.raises(FileExistsError):
        files.clone_file(tmp_path / "file", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x" * 5000


# --- sync -------------------------------------------------------------------


def test_directories_and_file_systems_are_synced(tmp_path):
    (tmp_path / "file").write_text("")
    files.sync_directory(tmp_path)
    files.sync_filesystems([tmp_path, tmp_path / "file"])
    files.sync_filesystems([])


def test_only_a_directory_is_synced_as_one(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        files.sync_directory(tmp_path / "file")


def test_a_sync_that_the_disk_refused_is_an_error_that_names_the_place(
    tmp_path, monkeypatch
):
    class Failing:
        def syncfs(self, _):
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Failing())
    with pytest.raises(OSError, match=str(tmp_path)) as caught:
        files.sync_filesystems([tmp_path])
    assert caught.value.errno == errno.EIO


def test_no_descriptor_stays_open(tmp_path):
    (tmp_path / "a").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    files.write_whole(tmp_path / "file", b"x")
    link_below(tmp_path, "a/b/c", "x")
    files.sync_directory(tmp_path)
    files.sync_filesystems([tmp_path])
    files.remove_tree(tmp_path / "a")
    assert len(os.listdir("/proc/self/fd")) == before


# --- what the tests stand on ------------------------------------------------


def failing_after(times, call):
    """Return `call`, which fails once it was called that often."""
    left = times

    def wrapped(*args, **kwargs):
        nonlocal left
        if left == 0:
            raise OSError(errno.EIO, "injected")
        left -= 1
        return call(*args, **kwargs)

    return wrapped


@contextmanager
def as_nobody(*owned):
    """Act without root's rights, to whom modes mean nothing, but own `owned`."""
    if os.geteuid() != 0:
        yield
        return
    for top in owned:
        for directory, _, names in os.walk(top, topdown=False):
            for path in (*(f"{directory}/{name}" for name in names), directory):
                os.chown(path, NOBODY, -1, follow_symlinks=False)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
