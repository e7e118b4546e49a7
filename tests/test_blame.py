"""A step that was not let write into a shared file is told which, and no other is."""

import os
from pathlib import Path

import pytest

from gitdeploy.deploy.blame import blame

SHARED = {"app.js", "web/app.js", "my file", "a:b", "lib/caf\u00e9.js"}
RELEASE = Path("/srv/shop/releases/7-x")

NAMED = [
    ("sh: 1: cannot create app.js: Permission denied", "app.js"),
    ("bash: line 1: app.js: Permission denied", "app.js"),
    ("bash: ./web/app.js: Permission denied", "web/app.js"),
    ("cp: cannot create regular file 'my file': Permission denied", "my file"),
    (
        "cp: cannot create regular file \u2018my file\u2019: Permission denied",
        "my file",
    ),
    (
        "Error: EACCES: permission denied, open '/srv/shop/releases/7-x/app.js'",
        "app.js",
    ),
    ("EPERM: operation not permitted, chown '/srv/shop/releases/7-x/app.js'", "app.js"),
    ("PermissionError: [Errno 13] Permission denied: 'web/app.js'", "web/app.js"),
    ("chown: changing ownership of 'app.js': Operation not permitted", "app.js"),
    ("open /proc/self/cwd/web/app.js: permission denied", "web/app.js"),
    ("file_put_contents(app.js): Failed to open stream: Permission denied", "app.js"),
    ("tee: a:b: Permission denied", "a:b"),
    ("tee: lib/caf\u00e9.js: Permission denied", "lib/caf\u00e9.js"),
    ("/srv/shop/releases/7-x/web/../app.js: Permission denied", "app.js"),
]
NOT_NAMED = [
    "app.js: No such file or directory",
    "cp: cannot create regular file '/etc/passwd': Permission denied",
    "other.js: Permission denied",
    "Permission denied",
    "",
]


@pytest.mark.parametrize(("line", "path"), NAMED, ids=[line for line, _ in NAMED])
def test_the_file_is_found_in_what_programs_say(line: str, path: str) -> None:
    """Also where more was printed after it."""
    tail = ("building", line, "npm error code 1", "")
    assert blame(tail, RELEASE, SHARED.__contains__) == path


@pytest.mark.parametrize("line", NOT_NAMED)
def test_another_failure_is_not_blamed_on_sharing(line: str) -> None:
    """A hint that does not help is worse than none."""
    assert blame(("app.js", line, "app.js"), RELEASE, SHARED.__contains__) is None


def test_the_last_one_counts(tmp_path: Path) -> None:
    """And a release may be known by a path with links."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    real = os.path.realpath(tmp_path / "real")
    tail = ("app.js: Permission denied", f"EACCES: '{real}/my file'")
    assert blame(tail, tmp_path / "link", SHARED.__contains__) == "my file"
