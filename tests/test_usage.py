"""What directories take is counted, whatever was done to hide it."""

import os
import stat
import sys
from pathlib import Path

import pytest
from support import process
from support.ordinary import NOBODY, give, ordinary_user

from gitdeploy.system import disk
from gitdeploy.system.usage import Usage, UsageWatch, usage

KIB = 1024


def taken(*tops: Path) -> Usage:
    return usage(tops)


def big(path: Path, kib: int = 512) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(kib * KIB))


def test_it_counts_as_du_does(tmp_path: Path) -> None:
    big(tmp_path / "a/b/file")
    (tmp_path / "a/link").symlink_to("b")
    os.link(tmp_path / "a/b/file", tmp_path / "again")
    (tmp_path / "a/sparse").touch()
    os.truncate(tmp_path / "a/sparse", 2**40)
    os.mkfifo(tmp_path / "pipe")
    said = process.run("du", "--summarize", "--block-size=1", tmp_path).stdout
    found = process.run("du", "--summarize", "--inodes", tmp_path).stdout
    assert taken(tmp_path) == Usage(int(said.split()[0]), int(found.split()[0]))


def test_a_file_counts_once_in_all_places(tmp_path: Path) -> None:
    big(tmp_path / "one/file")
    (tmp_path / "two").mkdir()
    os.link(tmp_path / "one/file", tmp_path / "two/file")
    both = taken(tmp_path / "one", tmp_path / "two")
    assert 512 * KIB <= both.size_bytes < 600 * KIB
    assert both.files == 3
    alone = usage([tmp_path / "one"], shared=False)
    assert alone.files == 1


def test_what_is_not_there_takes_nothing(tmp_path: Path) -> None:
    assert taken(tmp_path / "nowhere") == Usage(0, 0)


def test_no_link_is_followed(tmp_path: Path) -> None:
    big(tmp_path / "outside/file")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/link").symlink_to("../outside")
    assert taken(tmp_path / "app").files == 2
    (tmp_path / "top").symlink_to("outside")
    assert taken(tmp_path / "top").files == 1


@pytest.mark.parametrize("most_open", [2, 64])
def test_it_may_be_deeper_than_files_can_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_open: int
) -> None:
    monkeypatch.setattr("gitdeploy.system.usage._MOST_OPEN", most_open)
    depth = sys.getrecursionlimit() * 2
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 50, dir_fd=fd)
        os.mkdir("beside", dir_fd=fd)
        inner = os.open("d" * 50, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    assert taken(tmp_path).files == 2 * depth + 1
    process.run("rm", "-rf", tmp_path)


def test_a_mode_hides_nothing_and_stays(tmp_path: Path) -> None:
    """As an ordinary user: root may read everything."""
    tmp_path.chmod(0o755)
    top = tmp_path / "top"
    big(top / "hidden/inner/file")
    big(top / "read/file")
    (top / "read").chmod(0o400)
    (top / "hidden/inner").chmod(0o100)
    (top / "hidden").chmod(0)
    give(top)
    ask = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from gitdeploy.system.usage import usage
found = usage([Path({str(top)!r})]); print(found.size_bytes, found.files)
"""
    done = process.run(*ordinary_user(top), sys.executable, "-c", ask)
    size_bytes, files = map(int, done.stdout.split())
    assert size_bytes > 2 * 512 * KIB
    assert files == 6
    assert os.stat(top).st_uid in (NOBODY, os.getuid())
    assert stat.S_IMODE((top / "hidden").stat().st_mode) == 0
    assert stat.S_IMODE((top / "hidden/inner").stat().st_mode) == 0o100
    assert stat.S_IMODE((top / "read").stat().st_mode) == 0o400


def test_it_is_measured_at_once_where_the_disk_has_much_less_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the pause is: so much may have been written by these."""
    room = [1000 * KIB, 1000]
    monkeypatch.setattr(disk, "room", lambda _: tuple(room))
    monkeypatch.setattr("gitdeploy.system.usage._SOONEST_S", 3600)
    monkeypatch.setattr("gitdeploy.system.usage._LATEST_S", 3600)
    taken_now = taken(tmp_path)
    allowed = Usage(taken_now.size_bytes + 100 * KIB, taken_now.files + 10)
    watch = UsageWatch([tmp_path, tmp_path / "not there yet"], allowed)
    assert watch.look() == taken_now
    assert watch.look() is None
    room[0] -= 100 * KIB
    assert watch.look() is None
    room[0] -= 1
    assert watch.look() == taken_now
    room[1] -= 10
    assert watch.look() is None
    room[1] -= 1
    assert watch.look() == taken_now
