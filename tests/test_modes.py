"""The table of modes: what is left as somebody made it, and what is not."""

import os
import stat

import pytest

from gitdeploy import modes
from gitdeploy.deploy.permissions import mend, wrong
from gitdeploy.layout import Layout
from gitdeploy.system import files

PASSAGE = modes.in_home("releases", is_directory=True)
PRIVATE = modes.in_home("logs", is_directory=True)
FILE = modes.in_home("ledger.db", is_directory=False)
BY_HAND = modes.in_home("server.toml", is_directory=False)
ROOT = modes.in_root("shop")
REPOSITORY = modes.in_repository()


@pytest.mark.parametrize(
    ("rule", "mode", "wanted"),
    [
        (PASSAGE, 0o711, 0o711),
        (PASSAGE, 0o755, 0o711),
        (PASSAGE, 0o710, 0o710),  # a group of the web server's
        (PASSAGE, 0o750, 0o750),
        (PASSAGE, 0o777, 0o711),
        (PASSAGE, 0o500, 0o711),
        (PASSAGE, 0o2755, 0o2711),
        (PRIVATE, 0o755, 0o700),
        (PRIVATE, 0o2750, 0o2750),  # a group that reads the logs
        (PRIVATE, 0o770, 0o700),
        (FILE, 0o644, 0o600),
        (FILE, 0o640, 0o640),
        (FILE, 0o444, 0o600),
        (BY_HAND, 0o400, 0o400),
        (BY_HAND, 0o666, 0o600),
        (ROOT["shop.git"], 0o755, 0o700),
        (ROOT["shop.git"], 0o711, 0o700),
        (ROOT["shop.git"], 0o2750, 0o2750),
        (ROOT["access.toml"], 0o666, 0o600),
        (ROOT["gnupg"], 0o750, 0o700),
        (REPOSITORY["hooks"], 0o777, 0o755),
        (REPOSITORY["hooks"], 0o775, 0o755),
        (REPOSITORY["config"], 0o666, 0o644),
        (REPOSITORY["HEAD"], 0o664, 0o644),
        (modes.ROOT, 0o755, 0o755),
        (modes.ROOT, 0o700, 0o700),
        (modes.ROOT, 0o775, 0o711),
        (modes.TARGET, 0o777, 0o755),
        (modes.TARGET, 0o775, 0o775),
    ],
)
def test_a_mode_is_kept_where_it_lets_nobody_else_in_too_far(rule, mode, wanted):
    assert oct(rule.wanted(mode)) == oct(wanted)
    assert rule.wanted(wanted) == wanted


def test_what_nobody_thought_of_is_private():
    assert modes.in_home("new-thing", is_directory=True).made == 0o700
    assert modes.in_home("new-thing", is_directory=False).made == 0o600


def test_mending_follows_no_link(tmp_path):
    layout = Layout(tmp_path / "root", "shop")
    layout.home.mkdir(parents=True)
    other = tmp_path / "other"
    other.touch()
    other.chmod(0o644)
    (layout.home / "lock").symlink_to(other)
    assert not [one for one in wrong(layout, None) if one.path == layout.lock]
    with pytest.raises(OSError, match="symbolic links"):
        files.change_mode(layout.lock, 0o600)
    mend(layout, tmp_path / "www")
    assert stat.S_IMODE(other.stat().st_mode) == 0o644


def test_what_is_made_is_private_whatever_the_umask_is(tmp_path):
    before = os.umask(0)
    try:
        files.make_directory(tmp_path / "a/b")
        files.write_whole(tmp_path / "a/b/whole", b"")
        files.write(tmp_path / "a/b/written", b"")
        os.close(files.open_to_hold(tmp_path / "a/b/held"))
        files.create_whole(tmp_path / "a/b/created", b"")
        os.umask(0o777)
        files.make_directory(tmp_path / "seen", files.FOR_ALL_TO_VISIT)
        os.umask(0)
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert stat.S_IMODE((tmp_path / "seen").stat().st_mode) == 0o755
