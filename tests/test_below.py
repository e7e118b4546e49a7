"""Opening beneath a directory that others may change: no link, no pipe, no end."""

import errno
import os
import socket
from pathlib import Path

import pytest

from gitdeploy.system import below, openat2

WAYS = {"openat2": openat2.open_without_links, "by parts": openat2.open_part_by_part}


@pytest.fixture(params=WAYS)
def ground(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A directory that others filled, opened in each of the two ways."""
    monkeypatch.setattr(below, "open_without_links", WAYS[request.param])
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    top = tmp_path / "ground"
    (top / "folder").mkdir(parents=True)
    (top / "folder/file").write_text("content")
    (top / "up").symlink_to("../outside")
    (top / "folder/direct").symlink_to(tmp_path / "outside/secret")
    (top / "inside").symlink_to("folder/file")
    (top / "within").symlink_to("folder")
    (top / "self").symlink_to("/proc/self/root")
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(top / "socket"))
    (top / "sparse").touch()
    os.truncate(top / "sparse", 2**40)
    return top


def test_a_file_is_read(ground: Path) -> None:
    assert below.read_beneath(ground, "folder/file", most_bytes=7) == b"content"
    assert below.status_beneath(ground, "folder/file").st_size == 7
    with below.directory_beneath(ground, "folder") as fd:
        assert below.read_beneath(fd, b"file", most_bytes=7) == b"content"
    with below.directory_beneath(ground, "") as fd:
        assert "folder" in os.listdir(fd)


LINKS = ["up/secret", "folder/direct", "inside", "self/etc/passwd", "up", "within/file"]
AWAY = ["../outside/secret", "folder/../../outside/secret", "/etc/passwd"]


@pytest.mark.parametrize("path", [*LINKS, *AWAY])
def test_nothing_is_read_through_a_link_or_outside(ground: Path, path: str) -> None:
    with pytest.raises(OSError) as told:  # noqa: PT011 - the number is what counts
        below.read_beneath(ground, path, most_bytes=2**20)
    assert told.value.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV)
    assert below.status_beneath(ground, f"{path}/more") is None


def test_a_link_is_seen_itself_and_not_what_it_leads_to(ground: Path) -> None:
    seen = below.status_beneath(ground, "inside")
    assert seen
    assert seen.st_ino == os.lstat(ground / "inside").st_ino


@pytest.mark.parametrize("path", ["pipe", "folder"])
def test_what_is_no_file_is_not_read_nor_waited_for(ground: Path, path: str) -> None:
    with pytest.raises(below.NotAFile):
        below.read_beneath(ground, path, most_bytes=2**20)


def test_a_socket_is_not_read(ground: Path) -> None:
    with pytest.raises(OSError, match="socket"):
        below.read_beneath(ground, "socket", most_bytes=2**20)


@pytest.mark.parametrize("path", ["sparse", "folder/file"])
def test_more_than_is_taken_is_not_read(ground: Path, path: str) -> None:
    with pytest.raises(below.TooLarge):
        below.read_beneath(ground, path, most_bytes=6)


@pytest.mark.usefixtures("ground")
def test_what_grows_while_it_is_read_is_not_read_to_its_end() -> None:
    """As a file of proc(5) does, which has no size before."""
    assert os.stat("/proc/self/status").st_size == 0
    with pytest.raises(below.TooLarge):
        below.read_beneath(Path("/proc/self"), "status", most_bytes=6)


def test_a_file_is_made_with_its_permissions(ground: Path) -> None:
    fd = below.open_beneath(ground, "folder/new", os.O_WRONLY | os.O_CREAT, 0o640)
    os.close(fd)
    assert (ground / "folder/new").stat().st_mode & 0o777 == 0o640
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with pytest.raises(FileExistsError):
        below.open_beneath(ground, "inside", flags)
