"""What a step made is known again, and whatever was done to it since is noticed."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy import outputs
from gitdeploy.errors import SystemFailed
from gitdeploy.outputs import Made
from gitdeploy.system import clock


@pytest.fixture
def release(tmp_path: Path) -> Path:
    lib = tmp_path / "release/lib"
    (lib / "folder").mkdir(parents=True)
    (lib / "file").write_text("1")
    (lib / "folder/other").write_text("1")
    (lib / "link").symlink_to("file")
    return tmp_path / "release"


def made_of(release: Path, names: list[str]) -> Made:
    """Return the record of what lies at some paths."""
    entries = outputs.look(release, names)
    contents, naming = outputs.read(release, entries, outputs.places_of(release))
    return Made(entries, contents, naming, "commit", trusted=True)


def rewritten(path: Path, text: str) -> None:
    """Change a file by every trick that hides it: in place, same size, same time."""
    status = path.stat()
    path.write_text(text)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


HARM = {
    "content": lambda lib: (lib / "file").write_text("2"),
    "content, made to look the same": lambda lib: rewritten(lib / "file", "2"),
    "size": lambda lib: (lib / "file").write_text("22"),
    "mode": lambda lib: (lib / "file").chmod(0o600),
    "gone": lambda lib: (lib / "folder/other").unlink(),
    "replaced": lambda lib: (
        shutil.copy2(lib / "folder/other", lib / "new")
        and os.replace(lib / "new", lib / "file")
    ),
    "folder gone": lambda lib: shutil.rmtree(lib / "folder"),
    "folder's mode": lambda lib: (lib / "folder").chmod(0o700),
    "folder moved": lambda lib: (lib / "folder").rename(lib / "moved"),
    "another link": lambda lib: (
        (lib / "link").unlink() or (lib / "link").symlink_to("elif")
    ),
    "moved away": lambda lib: lib.rename(lib.with_name("away")),
    "now a link": lambda lib: (
        lib.rename(lib.with_name("away")) and lib.symlink_to("away")
    ),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_was_changed_since_is_noticed(
    release: Path, harm: Callable[[Path], object]
) -> None:
    """Content is not read for that."""
    then = outputs.look(release, ["lib"])
    clock.wait_past(max(seen.ctime_ns for seen in then.values()))
    assert not [*outputs.changed(then, outputs.look(release, ["lib"]))]
    harm(release / "lib")
    assert [*outputs.changed(then, outputs.look(release, ["lib"]))]


def test_what_came_since_and_one_more_name_are_no_change(release: Path) -> None:
    """It is not passed on either."""
    then = outputs.look(release, ["lib"])
    (release / "lib/folder/new/deep").mkdir(parents=True)
    (release / "lib/folder/new/deep/file").write_text("")
    os.link(release / "lib/file", release / "name")
    now = outputs.look(release, ["lib"])
    assert not [*outputs.changed(then, now)]


def test_a_name_that_came_and_went_is_no_change_of_a_shared_file(release: Path) -> None:
    """As when a release that shared it was pruned; its content still counts."""
    then = outputs.without_ctime(outputs.look(release, ["lib"]))
    os.link(release / "lib/file", release / "name")
    (release / "name").unlink()
    assert not [*outputs.changed(then, outputs.look(release, ["lib"]))]
    (release / "lib/file").write_text("22")
    now = outputs.look(release, ["lib"])
    assert [*outputs.changed_in_place(then, now)] == [b"lib/file"]


def test_a_record_is_read_as_it_was_written(release: Path) -> None:
    """With names of any bytes; anything else is no record."""
    (release / "lib" / os.fsdecode(b"\xff\n")).write_text("")
    made = {"key": made_of(release, ["lib"])}
    data = outputs.encode(made)
    assert outputs.decode(data) == made
    for damaged in (b"", b"x", data[:-1], data[1:], b"\x92" * 10_000):
        assert outputs.decode(damaged) == {}


def test_what_cannot_be_passed_on_is_told(release: Path) -> None:
    """An output that is not there, and what is neither file, folder nor link."""
    found = outputs.look(release, ["lib", "dist"])
    assert outputs.unfit(found, ["lib"]) == ""
    assert outputs.unfit(found, ["lib", "dist"]) == "it made no dist"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(release / "lib/socket"))
    found = outputs.look(release, ["lib"])
    why = "lib/socket is neither a file nor a folder nor a link"
    assert outputs.unfit(found, ["lib"]) == why


def test_text_and_links_that_name_the_release_are_found(release: Path) -> None:
    """Not what is binary; a program's own output is asked in no language."""
    (release / "lib/script").write_bytes(b"\xe9 %b/lib" % bytes(release))
    (release / "lib/binary").write_bytes(b"\0%b/lib" % bytes(release))
    (release / "lib/here").symlink_to(release / "lib")
    (release / "lib/beside").symlink_to(f"{release}-2/lib")
    (release / "lib/up").symlink_to("..")
    (release / "-e").symlink_to(release / "lib")
    (release / "file").write_text("nothing")
    tops = ["lib", "file", "-e"]
    entries = outputs.look(release, tops)
    found = outputs.read(release, entries, outputs.places_of(release))
    assert sorted(found.naming) == [b"-e", b"lib/here", b"lib/script"]


@pytest.mark.parametrize("fails", ["source", "way"])
def test_a_release_that_outputs_cannot_be_brought_to_is_as_it_was(
    release: Path, tmp_path: Path, fails: str
) -> None:
    """Then the step runs on what the commit has there."""
    into = tmp_path / "into"
    (into / "lib").mkdir(parents=True)
    (into / "lib/kept").write_text("of the commit")
    names = ["lib", "way/out"]
    (release / "way").mkdir()
    (release / "way/out").write_text("")
    made = made_of(release, names)
    if fails == "source":
        (release / "way/out").unlink()
    else:
        (into / "way").symlink_to(tmp_path)
    with pytest.raises((SystemFailed, OSError)):
        outputs.bring(made, names, release, into, linked=False)
    assert (into / "lib/kept").read_text() == "of the commit"
    assert not (into / ".gitdeploy-outputs").exists()
    assert not (tmp_path / "out").exists()
