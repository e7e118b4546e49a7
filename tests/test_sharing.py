"""Which way two releases can have the same file is found out by trying."""

import errno
import os
from pathlib import Path

import pytest
from support.disk import xfs

from gitdeploy import sharing
from gitdeploy.system import files


def cannot_do(source: Path, destination: Path) -> None:
    raise OSError(errno.EOPNOTSUPP, "injected", str(source), None, str(destination))


@pytest.mark.parametrize(
    ("fails", "hard_links", "way"),
    [
        ((), True, "reflink"),
        ((), False, "reflink"),
        (("clone_file",), True, "hardlink"),
        (("clone_file",), False, "copy"),
        (("clone_file", "link_file"), True, "copy"),
    ],
)
def test_the_best_way_that_works_and_is_safe_is_taken(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: tuple[str, ...],
    hard_links: bool,  # noqa: FBT001 - a column of the table
    way: str,
) -> None:
    """Reflinks before hard links, hard links only where the caller says so."""
    for name in ("clone_file", "link_file"):
        call = cannot_do if name in fails else os.link
        monkeypatch.setattr(files, name, call)
    assert sharing.way_in(tmp_path, hard_links=hard_links) == way
    assert os.listdir(tmp_path) == []


def test_what_a_killed_trial_left_behind_does_not_matter(tmp_path: Path) -> None:
    """The answer is of the file system, and nothing is left of the trial."""
    before = sharing.way_in(tmp_path, hard_links=True)
    for name in (".sharing-1", ".sharing-2"):
        (tmp_path / name).write_text("left")
    assert sharing.way_in(tmp_path, hard_links=True) == before
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_written_to_is_no_answer(tmp_path: Path) -> None:
    """It is told as what it is, not as a file system that cannot share."""
    with pytest.raises(FileNotFoundError):
        sharing.way_in(tmp_path / "missing", hard_links=True)


def test_a_file_system_with_reflinks_is_recognised(tmp_path: Path) -> None:
    """On a real XFS: clones share until one is written to."""
    with xfs(tmp_path) as place:
        assert sharing.way_in(place, hard_links=True) == "reflink"
        assert os.listdir(place) == []
        (place / "one").write_text("1" * 9000)
        files.clone_file(place / "one", place / "two")
        (place / "two").write_text("2")
        assert (place / "one").read_text() == "1" * 9000
