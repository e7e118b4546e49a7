"""Nothing starts a process but the one module that does, and nothing feeds it ours.

Read from the source itself: what a program of ours gets cannot be a pusher's, as nobody
who has a pusher's could hand it over.
"""

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

import gitdeploy
from gitdeploy import door
from gitdeploy.system import process
from gitdeploy.system.surroundings import BARE, Environment, Surroundings

PACKAGE = Path(gitdeploy.__file__).parent

STARTS = {
    *("subprocess.Popen", "subprocess.run", "subprocess.call"),
    *("subprocess.check_call", "subprocess.check_output", "subprocess.getoutput"),
    *("subprocess.getstatusoutput", "os.system", "os.popen", "os.startfile"),
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp"),
    "concurrent.futures.ProcessPoolExecutor",
    *("pty.fork", "pty.spawn", "asyncio.create_subprocess_exec"),
    *("asyncio.create_subprocess_shell", "_posixsubprocess.fork_exec"),
    *(f"os.exec{kind}" for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *(f"os.spawn{kind}" for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
}
MODULES = {"multiprocessing", "pty", "asyncio", "_posixsubprocess", "git"}

MAY = {
    "system/process.py": {"subprocess.Popen", "os.execve"},
    "system/background.py": {"os.fork"},
    "system/apart.py": {"os.fork"},  # copies of ourselves, which start nothing
    "system/owner.py": {"os.execve"},  # ourselves again, as whose the apps are
    "cli/stage.py": {"git"},  # the demo: a person's own git, in an empty place
}
"""Who may start what."""

ONLY_IN = {
    "start_command": {"system/process.py", "steps/place.py"},
    "Environment": {"system/surroundings.py"},
    "Surroundings": {"door.py"},
    "of_commands": {"system/surroundings.py", "deploy/workplace.py"},
}
"""Where something is called: nowhere else is an environment begun, or a command."""

CHOOSE_A_PLACE = {"system/git.py", "cli/env.py", "steps/place.py"}
"""Who says where a program runs: in a repository, beside an edited copy; a command."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text())


def name_of(node: ast.AST) -> str:
    """Return what stands there with its dots; empty where it is no name."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def started_in(tree: ast.Module) -> Iterator[str]:
    """Yield what a module uses that starts processes, however it is imported."""
    types = annotations(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and name_of(node) in STARTS:
            yield from () if id(node) in types else (name_of(node),)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from {f"{node.module}.{one.name}" for one in node.names} & STARTS
            yield from {node.module.partition(".")[0]} & MODULES
        elif isinstance(node, ast.Import):
            yield from {one.name.partition(".")[0] for one in node.names} & MODULES
            yield from (one.name for one in node.names if one.asname == "subprocess")


def annotations(tree: ast.Module) -> set[int]:
    """Return the nodes that only say of which type something is."""
    said = (
        getattr(node, where, None)
        for node in ast.walk(tree)
        for where in ("annotation", "returns")
    )
    return {id(part) for one in said if one for part in ast.walk(one)}


def test_one_module_starts_processes() -> None:
    for place, tree in sources():
        assert {*started_in(tree)} <= MAY.get(place, set()), place


def test_environments_and_commands_begin_in_one_place_each() -> None:
    for place, tree in sources():
        for node in ast.walk(tree):
            called = name_of(node.func) if isinstance(node, ast.Call) else ""
            last = called.rpartition(".")[2]
            assert place in ONLY_IN.get(last, {place}), f"{place}: {called}"
            handed = isinstance(node, ast.Attribute) and node.attr == "start_command"
            assert not handed or place == "steps/place.py", place


def test_who_starts_a_program_of_ours_does_not_say_where() -> None:
    """It runs in /, but for git in its repository."""
    for place, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or place == "system/process.py":
                continue
            if any(word.arg == "cwd" for word in node.keywords):
                assert place in CHOOSE_A_PLACE, f"{place}: {name_of(node.func)}"


def test_the_lint_sees_what_it_looks_for() -> None:
    """What it would miss, nobody would hear of."""
    text = "import subprocess, pty\nfrom os import execvp\nsubprocess.run([])\n"
    assert {*started_in(ast.parse(text))} == {"subprocess.run", "pty", "os.execvp"}


# --- at run time ----------------------------------------------------------------------


@pytest.fixture
def around() -> Surroundings:
    return Surroundings("/usr/bin:/bin", "/home/ada", "C", "ada", "/bin/sh", "/tmp")  # noqa: S108


@pytest.mark.parametrize(
    "name",
    [
        *("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "IFS"),
        *("PYTHONPATH", "PERL5OPT", "GCONV_PATH", "LOCPATH", "PATH", "TMPDIR"),
        *("GIT_EXEC_PATH", "GIT_SSH", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_COUNT"),
        *("GREP_OPTIONS", "SSH_ASKPASS", "EDITOR", "HOME", "NODE_ENV"),
    ],
)
def test_no_program_of_ours_gets_such_a_variable(
    around: Surroundings, name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        around.environment().also({name: "/evil"})


def test_what_is_said_of_commands_is_no_environment_of_ours(
    around: Surroundings,
) -> None:
    """mypy says so, and Python does."""
    poisoned = cast("Environment", around.of_commands())
    with pytest.raises(AttributeError):
        process.run(["/bin/true"], env=poisoned)
    with pytest.raises(ValueError, match="LD_PRELOAD"):
        Environment({"LD_PRELOAD": "/evil"}, {})


def test_an_environment_cannot_be_changed(around: Surroundings) -> None:
    env = around.environment()
    with pytest.raises(TypeError):
        cast("dict[str, str]", env.variables)["LD_PRELOAD"] = "/evil"
    assert env.also({"LC_ALL": "C"}).also({"TERM": "xterm"})["LC_ALL"] == "C"
    assert env.also({"HOME": os.devnull})["HOME"] == os.devnull


def test_a_program_of_ours_is_named_by_its_path() -> None:
    """A name alone would be looked for where PATH says."""
    for name in ("true", "./true", "bin/true"):
        with pytest.raises(ValueError, match="without its path"):
            process.run([name], env=BARE)


def test_a_program_of_ours_runs_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert process.run(["/bin/pwd"], env=BARE) == b"/\n"


def test_what_would_lead_astray_is_not_taken_in() -> None:
    """Not a locale that is a path, nor a directory that depends on where one stands."""
    odd = {"LANG": "../../evil", "HOME": "cache", "TMPDIR": ".", "LC_ALL": "/evil"}
    taken = door.surroundings(odd)
    assert (taken.lang, taken.tmpdir) == ("C.UTF-8", "/tmp")  # noqa: S108
    assert os.path.isabs(taken.home)
    usual = {"LANG": "de_DE.UTF-8@euro", "HOME": "/home/ada", "TMPDIR": "/var/tmp"}  # noqa: S108
    taken = door.surroundings(usual)
    assert [taken.lang, taken.home, taken.tmpdir] == [*usual.values()]


def test_what_a_person_s_path_says_of_apps_is_not_handed_on(
    around: Surroundings, tmp_path: Path
) -> None:
    """Commands have it; programs of ours, and what they start, have not."""
    for name in ("releases", "cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "ledger.db").touch()
    path = f"{tmp_path}/cache:.:/usr/bin"
    loose = Surroundings(
        path, *(getattr(around, n) for n in around.__struct_fields__[1:])
    )
    assert loose.environment()["PATH"] == "/usr/bin"
    assert loose.of_commands()["PATH"] == path
