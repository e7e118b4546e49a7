"""Paths in deploy.toml: none leaves the release, none lies in another."""

import json

import pytest

from gitdeploy.config import parse
from gitdeploy.errors import ConfigError


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), where="deploy.toml")
    return caught.value.message.removeprefix("deploy.toml: ")


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        case(
            "one path listed twice, apart from case and composition",
            '[shared]\nfiles = ["Caf\\u00e9"]\ndirs = ["cafe\\u0301/"]',
            "shared.dirs[0]: should be a path that is listed once, got 'café'",
        ),
        case(
            "a shared file in a shared folder",
            "[shared]\nfiles = ['Storage/app.db']\ndirs = ['log', 'storage']",
            "shared.files[0]: should be a path outside 'storage', also listed,"
            " got 'Storage/app.db'",
        ),
        case(
            "a shared file that ends like a folder",
            "[shared]\nfiles = ['.env/']",
            "shared.files[0]: should be a path without an empty part, got '.env/'",
        ),
        case(
            "the release itself as a start folder with two slashes",
            "[checkout]\npath = './/'",
            "checkout.path: should be a path without an empty part, got './/'",
        ),
        case(
            "a start folder above the repository",
            "[checkout]\npath = 'a/..'",
            "checkout.path: should be a path without a part '..', got 'a/..'",
        ),
        case(
            "a number as a path",
            "[checkout]\npath = 1",
            "checkout.path: should be a relative path, got 1",
        ),
    ],
)
def test_what_is_wrong_with_a_path_is_named_by_its_key_path(text, problem):
    assert refusal(text) == problem


@pytest.mark.parametrize(
    ("path", "should"),
    [
        case("absolute", "/etc", "a relative path"),
        case("the root", "/", "a relative path"),
        case("empty", "", "a path below the release"),
        case("the release itself", ".", "a path below the release"),
        case("the release itself, as a folder", "./", "a path below the release"),
        case("an empty part", "a//b", "a path without an empty part"),
        case("two slashes at the end", "a//", "a path without an empty part"),
        case("a dot", "./a", "a path without a part '.'"),
        case("a dot in the middle", "a/./b", "a path without a part '.'"),
        case("upwards", "a/../../b", "a path without a part '..'"),
        case("git's own folder", ".git/hooks", "a path without a part '.git'"),
        case("git's own folder, shouted", "a/.GIT", "a path without a part '.git'"),
        case("a newline", "a\nb", "a path without control characters"),
        case("a C1 control", "a\x85b", "a path without control characters"),
        case("a long part", "é" * 128, "a path of at most 255 bytes a part"),
        case("a long path", "abc/" * 300 + "a", "a path of at most 1024 bytes"),
    ],
)
def test_a_path_that_could_leave_the_release_is_refused(path, should):
    problem = refusal(f"[shared]\ndirs = ['x', {json.dumps(path)}]")
    assert problem.startswith(f"shared.dirs[1]: should be {should}, got ")
