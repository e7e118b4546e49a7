"""Patterns of inputs mean what .gitignore and GitHub Actions have taught people."""

import pytest

from gitdeploy.globs import Glob, is_glob

MATCH = [
    ("*.json", "package.json"),
    ("*.json", ".json"),
    ("*.json", ".eslintrc.json"),
    ("*", "src"),
    ("src/*", "src/a.js"),
    ("src/*", "src/lib"),
    ("src/*.js", "src/a.js"),
    ("src/?.js", "src/a.js"),
    ("src/[ab].js", "src/b.js"),
    ("src/[a-c].js", "src/b.js"),
    ("src/[!a].js", "src/b.js"),
    ("src/[[]id].js", "src/[id].js"),
    ("**", "a"),
    ("**", "a/b/c"),
    ("**/*.js", "a.js"),
    ("**/*.js", "a/b/c.js"),
    ("src/**", "src/a"),
    ("src/**", "src/a/b"),
    ("src/**/*.js", "src/a.js"),
    ("src/**/*.js", "src/a/b/c.js"),
    ("src/**/test/*.js", "src/test/a.js"),
    ("src/**/test/*.js", "src/x/test/y/test/a.js"),
    ("**/a/**/b", "a/b"),
    ("**/a/**/b", "x/a/y/z/b"),
    ("packages/*/package.json", "packages/web/package.json"),
    ("a**b", "axxb"),
    ("[ab", "[ab"),
    ("caf\u00e9*", "caf\u00e9.txt"),
    ("*", "line\nbreak"),
    ("*", "\udcff"),
    ("a.b", "a.b"),
]
NO_MATCH = [
    ("*.json", "sub/package.json"),
    ("*.json", "package.jsonc"),
    ("*.json", "Package.JSON"),
    ("src/*", "src"),
    ("src/*", "src/lib/a.js"),
    ("src/*.js", "src/lib/a.js"),
    ("src/?.js", "src/ab.js"),
    ("src/[!a].js", "src/a.js"),
    ("src/[!x]y", "src//y"),
    ("src/**/*.js", "lib/a.js"),
    ("src/**/*.js", "src/a.ts"),
    ("packages/*/package.json", "packages/a/b/package.json"),
    ("a**b", "a/b"),
    ("**/a", "a/b"),
    ("a.b", "axb"),
]


@pytest.mark.parametrize(("pattern", "path"), MATCH)
def test_a_pattern_matches(pattern: str, path: str) -> None:
    """And what it matches lies below its base."""
    glob = Glob(pattern)
    assert glob.matches(path)
    assert not glob.base or path.startswith(f"{glob.base}/")


@pytest.mark.parametrize(("pattern", "path"), NO_MATCH)
def test_a_pattern_does_not_match(pattern: str, path: str) -> None:
    """A star stays within its part, and case counts."""
    assert not Glob(pattern).matches(path)


@pytest.mark.parametrize(
    ("pattern", "base"),
    [
        ("*.json", ""),
        ("**/x", ""),
        ("src/*.js", "src"),
        ("src/**/x/*.js", "src"),
        ("a/b/[c]/d", "a/b"),
    ],
)
def test_the_base_is_all_that_is_plain(pattern: str, base: str) -> None:
    """Only what lies below it has to be listed."""
    assert Glob(pattern).base == base


def test_what_has_no_sign_is_no_pattern() -> None:
    """A plain path is asked for by name."""
    assert not is_glob("src/a-b_c.{js,ts}!")
    assert is_glob("pages/[id].tsx")


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    """What a commit brings cannot keep the server busy."""
    assert not Glob("**/" * 200 + "b").matches("/".join("a" * 200))
    assert not Glob("*a" * 50 + "*b").matches("a" * 250)
