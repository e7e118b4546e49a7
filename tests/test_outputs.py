"""What a step made is known again, and whatever was done to it since is noticed."""

import os
import random
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from support import process

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


ODD_FILES = {
    "a pipe in its place": lambda path: (path.unlink(), os.mkfifo(path)),
    "a link in its place": lambda path: (
        path.unlink(),
        path.symlink_to("folder/other"),
    ),
    "a link on its way": lambda path: (
        path.parent.rename(path.parent.with_name("away")),
        path.parent.symlink_to("away"),
    ),
    "another content": lambda path: rewritten(path, "2"),
    "more of it": lambda path: path.write_text("11"),
    "another mode": lambda path: path.chmod(0o666),
}


@pytest.mark.parametrize("odd", ODD_FILES.values(), ids=ODD_FILES)
@pytest.mark.parametrize("linked", [False, True], ids=["copied", "linked"])
def test_only_what_the_step_made_is_brought(
    release: Path, tmp_path: Path, odd: Callable[[Path], object], *, linked: bool
) -> None:
    """Nothing is waited for, no link is followed, and nothing of it stays."""
    into = tmp_path / "into"
    into.mkdir()
    made = made_of(release, ["lib"])
    odd(release / "lib/file")
    with pytest.raises((SystemFailed, OSError)):
        outputs.bring(made, ["lib"], release, into, linked=linked)
    assert os.listdir(into) == []


def test_what_came_since_does_not_come_along(release: Path, tmp_path: Path) -> None:
    """It was not made by the step, whoever put it there."""
    into = tmp_path / "into"
    into.mkdir()
    made = made_of(release, ["lib"])
    (release / "lib/folder/new").write_text("new")
    outputs.bring(made, ["lib"], release, into, linked=False)
    assert outputs.read(into, outputs.look(into, ["lib"]), []).contents == made.contents


def test_what_is_mostly_holes_is_not_passed_on(release: Path) -> None:
    """It would fill the disk, once it was copied."""
    os.truncate(release / "lib/file", 2**30)
    with pytest.raises(SystemFailed, match="lib/file is sparse"):
        outputs.read(release, outputs.look(release, ["lib"]), [])


def test_random_outputs_arrive_as_they_were(tmp_path: Path) -> None:
    """Compared with what cp(1) makes of them: kinds, modes, contents, twins, times."""
    chance = random.Random(7)  # noqa: S311 - the same each time
    for number in range(20):
        source, into = tmp_path / f"{number}/source", tmp_path / f"{number}/into"
        into.mkdir(parents=True)
        grown(chance, source / "out")
        made = made_of(source, ["out"])
        outputs.bring(made, ["out"], source, into, linked=False)
        process.run("cp", "-a", source, tmp_path / f"{number}/cp")
        assert looks(into) == looks(tmp_path / f"{number}/cp")


def grown(chance: random.Random, top: Path) -> None:
    """Make a random tree."""
    top.mkdir(parents=True)
    folders, plain = [top], list[Path]()
    for _ in range(chance.randrange(40)):
        path = chance.choice(folders) / os.fsdecode(chance.randbytes(5).hex().encode())
        kind = chance.choice(("folder", "link", "twin", "file", "file", "holes"))
        if kind == "folder":
            path.mkdir(chance.choice((0o755, 0o700, 0o2775)))
            folders.append(path)
        elif kind == "link":
            path.symlink_to(chance.choice(("..", "nowhere", "/etc/passwd", "out")))
        elif kind == "twin" and plain:
            os.link(chance.choice(plain), path)
        else:
            path.write_bytes(chance.randbytes(chance.choice((0, 1, 5000, 2**20 + 1))))
            path.chmod(chance.choice((0o644, 0o755, 0o600, 0o444)))
            if kind == "holes":
                os.truncate(path, path.stat().st_size + 300_000)
            os.utime(path, ns=(0, chance.randrange(2**60)))
            plain.append(path)


def looks(top: Path) -> dict[str, tuple[object, ...]]:
    """Return all that can be told apart below a directory."""
    found: dict[str, tuple[object, ...]] = {}
    for path in top.rglob("*"):
        status = path.lstat()
        links = path.is_symlink()
        held = os.readlink(path) if links else path.is_file() and path.read_bytes()
        time = 0 if links else status.st_mtime_ns
        twins = status.st_nlink if stat.S_ISREG(status.st_mode) else 0
        found[str(path.relative_to(top))] = (status.st_mode, held, twins, time)
    return found
