"""Nothing but `system` opens, asks, copies or links what others may have changed.

What is shared is a `Ground`, which is no path: Python and mypy refuse it. A release's
directory is a path, as its own name is ours; what lies below it is found here in the
source, where a path is made of it and given to something that follows links.
"""

import ast
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitdeploy.ground import Ground
from gitdeploy.layout import Layout
from gitdeploy.system import ground

SOURCE = Path(__file__).parent.parent / "gitdeploy"

FOLLOWING = {
    *("exists", "is_file", "is_dir", "is_symlink", "stat", "lstat", "open", "touch"),
    *(
        "read_bytes",
        "read_text",
        "write_bytes",
        "write_text",
        "iterdir",
        "glob",
        "rglob",
    ),
    *("mkdir", "unlink", "rmdir", "symlink_to", "hardlink_to", "chmod", "resolve"),
    *("readlink", "listdir", "scandir", "walk", "link", "symlink", "rename", "access"),
    *("lexists", "isfile", "isdir", "islink", "realpath", "getsize", "getmtime"),
    *("copy", "copy2", "copytree", "copyfile", "move", "rmtree", "truncate", "utime"),
    *(
        "write",
        "write_whole",
        "create_whole",
        "make_directory",
        "change_mode",
        "remove",
    ),
    *("remove_file", "replace_file", "replace_link", "copy_tree", "link_file"),
    *("clone_file", "open_to_append", "open_to_hold"),
}
"""Of pathlib, os, os.path, shutil and `system.files`; and open() itself."""

HOSTILE = {"directory", "release", "previous", "shared", "cache"}
"""What a variable, a parameter or a property is called that is such a directory."""

MAY = {
    "outputs/passing.py": "puts outputs in place, by a directory of its own in a"
    " release in which no command runs; what it takes it takes by descriptor",
}
"""Modules that may all the same, and why."""


def hostile_calls(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each call that follows what others changed."""
    tree = ast.parse(source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    for scope in (tree, *functions):
        below = {
            target.id
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and is_below(node.value, set())
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and follows(node, below):
                yield node.lineno, ast.unparse(node)


def follows(call: ast.Call, below: set[str]) -> bool:
    """Return whether a call follows a path that is below a hostile directory."""
    if isinstance(call.func, ast.Attribute):
        if call.func.attr not in FOLLOWING or of_ground(call.func.value):
            return False
        places = [call.func.value, *call.args]
    elif isinstance(call.func, ast.Name) and call.func.id == "open":
        places = call.args
    else:
        return False
    return any(is_below(place, below) for place in places)


def of_ground(module: ast.expr) -> bool:
    return isinstance(module, ast.Name) and module.id == "ground"


def is_below(place: ast.expr, below: set[str]) -> bool:
    """Return whether an expression is a path below a hostile directory."""
    if isinstance(place, ast.Name):
        return place.id in below
    if isinstance(place, ast.BinOp) and isinstance(place.op, ast.Div):
        return is_hostile(place.left) or is_below(place.left, below)
    if isinstance(place, ast.JoinedStr):
        values = [v.value for v in place.values if isinstance(v, ast.FormattedValue)]
        return bool(values) and (is_hostile(values[0]) or is_below(values[0], below))
    if isinstance(place, ast.Call):  # Path(…), str(…), os.path.join(…), os.fspath(…)
        name = ast.unparse(place.func)
        joins = name in ("Path", "os.path.join") and len(place.args) > 1
        if joins and is_hostile(place.args[0]):
            return True
        if name in ("Path", "str", "os.fspath", "os.path.join"):
            return any(is_below(one, below) for one in place.args)
    return False


def is_hostile(place: ast.expr) -> bool:
    """Return whether an expression is a directory that others write into."""
    if isinstance(place, ast.Call):
        return isinstance(place.func, ast.Attribute) and place.func.attr in (
            "directory",
            "shared_by",
        )
    if isinstance(place, ast.Attribute):
        if ast.unparse(place).endswith("git.directory"):
            return False  # a repository: no command reaches it
        return place.attr in HOSTILE | {"base"}
    return isinstance(place, ast.Name) and place.id in HOSTILE


def modules() -> list[str]:
    paths = (path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))
    return sorted(str(path) for path in paths if path.parts[0] != "system")


@pytest.mark.parametrize("module", modules())
def test_nothing_follows_what_others_changed(module: str) -> None:
    found = dict(hostile_calls((SOURCE / module).read_text()))
    told = [f"{module}:{line}: {words}" for line, words in sorted(found.items())]
    assert not told or module in MAY, "use system.ground:\n" + "\n".join(told)


def test_what_may_all_the_same_is_there() -> None:
    assert {*MAY} <= {*modules()}


@pytest.mark.parametrize(
    "line",
    [
        "(app.directory(release) / path).read_bytes()",
        "os.path.exists(app.layout.cache / 'x')",
        "files.copy(a, release / path)",
        "open(f'{directory}/x')",
        "os.stat(Path(directory, 'x'))",
        "(app.shared_of('app', 'dev').base / '.env').is_file()",
        "(app.layout.shared / '.env').is_file()",
    ],
)
def test_the_source_is_looked_through_for_what_it_should_not_do(line: str) -> None:
    kept = f"def f(app, release, directory):\n    place = {line}\n"
    by_name = "def f(release):\n    there = release / 'x'\n    os.stat(there)\n"
    assert [*hostile_calls(kept)]
    assert [*hostile_calls(by_name)]
    assert not [*hostile_calls("ground.read(Ground(release, 'x'))")]
    assert not [*hostile_calls("app.directory(release).is_dir()")]


def test_what_is_shared_cannot_be_opened_by_accident() -> None:
    place = Layout(Path("/"), "shop").shared_of("app", "dev") / ".env"
    assert isinstance(place, Ground)
    assert str(place) == "/shop/shared/.env"
    for call in (os.stat, os.listdir, os.path.exists, open, Path):
        with pytest.raises(TypeError):
            call(place)  # type: ignore[operator]


@pytest.mark.parametrize("path", ["a", "a/b", "a/b/c", "d/a/b"])
def test_no_directory_is_made_through_a_link(tmp_path: Path, path: str) -> None:
    (outside := tmp_path / "outside").mkdir()
    (tmp_path / "ground/d").mkdir(parents=True)
    for place in ("a", "d/a"):
        (tmp_path / "ground" / place).symlink_to(outside)
    with pytest.raises(OSError) as told:  # noqa: PT011 - the number is what counts
        ground.make_directory(Ground(tmp_path / "ground", path))
    assert told.value.errno in (errno.ELOOP, errno.ENOTDIR)
    assert not any(outside.iterdir())
