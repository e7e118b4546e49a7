"""Programs of ours are the system's or the server's own, and never a pusher's."""

import os
from pathlib import Path

import pytest

from gitdeploy.system import programs


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The directory of an app, as setup makes it."""
    home = tmp_path / "root/shop"
    for name in ("releases/0001-a", "shared", "cache/bin", "run"):
        (home / name).mkdir(parents=True)
    (home / "ledger.db").touch()
    return home


def runnable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def joined(*paths: Path | str) -> str:
    return os.pathsep.join(map(str, paths))


def test_what_the_server_has_of_its_own_comes_first(tmp_path: Path) -> None:
    """A git from nix or /usr/local is the one that is meant."""
    own = runnable(tmp_path / "bin/git")
    assert programs.program("git", joined(tmp_path / "bin", "/usr/bin")) == str(own)
    assert programs.program("git") != str(own)


@pytest.mark.parametrize("place", ["cache/bin", "releases/0001-a", "shared", "run"])
def test_nothing_that_lies_in_an_app_is_a_program(app: Path, place: str) -> None:
    """What a pusher can write to, PATH of the server may name by mistake."""
    runnable(app / place / "git")
    found = programs.found("git", joined(app / place))
    assert found == programs.found("git") != str(app / place / "git")
    assert programs.safe_path(joined(app / place, "/usr/bin")) == "/usr/bin"


def test_links_into_an_app_are_seen_through(app: Path, tmp_path: Path) -> None:
    """Neither a directory of PATH nor a program is what a link makes of it."""
    runnable(app / "cache/bin/git")
    (tmp_path / "www").symlink_to(app / "cache")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(app / "cache/bin/git")
    path = joined(tmp_path / "www/bin", tmp_path / "bin")
    assert programs.found("git", path) == programs.found("git")
    assert programs.safe_path(path) == str(tmp_path / "bin")


def test_what_is_relative_depends_on_where_somebody_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such entries, and the empty one that means the same, do not count."""
    runnable(tmp_path / "bin/git")
    monkeypatch.chdir(tmp_path)
    assert programs.found("git", "bin:.:") == programs.found("git")
    assert programs.safe_path("bin::/usr/bin:.:/bin:/usr/bin") == "/usr/bin:/bin"
    assert os.path.isabs(programs.safe_path("").partition(os.pathsep)[0])


def test_a_directory_is_no_program(tmp_path: Path) -> None:
    """It can be entered, which looks the same to access(2)."""
    (tmp_path / "git").mkdir()
    assert programs.found("git", str(tmp_path)) == programs.found("git")


def test_what_is_not_installed_is_told_by_where_it_would_be() -> None:
    """So that starting it fails with a path that a person can look at."""
    assert programs.found("no-such-program") is None
    assert programs.program("no-such-program") == "/usr/bin/no-such-program"
