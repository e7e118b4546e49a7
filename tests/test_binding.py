"""What a box shows is what was opened, whatever has its name by the time."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tools import needs

from gitdeploy.errors import SystemFailed
from gitdeploy.ground import Ground
from gitdeploy.steps import binding
from gitdeploy.steps.binding import Bindings, bindings

WAYS = [
    ["--unshare-user", "--die-with-parent", "--ro-bind", "/usr", "/usr"],
    ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"],
    ["--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev"],
]
BWRAP = ["bwrap", *(word for way in WAYS for word in way)]


@pytest.fixture
def opened() -> Iterator[Bindings]:
    needs("bwrap")
    with bindings() as made:
        yield made


def said(words: list[str], opened: Bindings, script: str) -> str:
    argv = [*BWRAP, *words, "--", "/bin/sh", "-c", script]
    done = subprocess.run(
        argv, pass_fds=opened.fds, capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


def test_what_takes_the_name_of_what_was_opened_is_not_shown(
    opened: Bindings, tmp_path: Path
) -> None:
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown/page").write_text("ours")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/page").write_text("another's")
    words = [*opened.words("--bind", Ground(tmp_path, "shown"))]
    (tmp_path / "shown").rename(tmp_path / "moved")
    (tmp_path / "shown").symlink_to("secret")
    assert said(words, opened, f"cat {tmp_path}/shown/page") == "ours"


def test_a_command_has_no_descriptor_of_what_is_shown(
    opened: Bindings, tmp_path: Path
) -> None:
    words = [
        *opened.words("--ro-bind", Ground(tmp_path)),
        *opened.words("--bind", tmp_path),
    ]
    assert opened.fds
    held = said(words, opened, "readlink /proc/self/fd/*; true")
    assert str(tmp_path) not in held


@pytest.mark.parametrize("path", ["link", "link/inner", "file", "dangling"])
def test_what_is_a_link_or_behind_one_is_refused(
    opened: Bindings, tmp_path: Path, path: str
) -> None:
    (tmp_path / "outside/inner").mkdir(parents=True)
    ground = tmp_path / "ground"
    ground.mkdir()
    (ground / "link").symlink_to(tmp_path / "outside")
    (ground / "dangling").symlink_to("nowhere")
    (ground / "file").touch()
    with pytest.raises(SystemFailed, match="not shown to commands"):
        [*opened.words("--bind", Ground(ground, path))]


@pytest.mark.parametrize("old", [False, True])
def test_what_is_not_there_is_left_out_and_an_older_bwrap_shows_by_name(
    opened: Bindings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, old: bool
) -> None:
    monkeypatch.setattr(binding, "_takes_descriptors", lambda: not old)
    (tmp_path / "file").write_text("of the server's own")
    assert [*opened.words("--bind", Ground(tmp_path, "missing"))] == []
    words = [*opened.words("--ro-bind", tmp_path / "file")]
    assert words[0] == ("--ro-bind" if old else "--ro-bind-fd")
    read = said(words, opened, f"cat {tmp_path}/file; echo 1 >{tmp_path}/file; true")
    assert read == "of the server's own"
