"""Whatever dies or fails at whatever point: links resolve, and the next push works.

The short form; `make crash` tries every point of every activity.
"""

import ast
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from crash.activities import ACTIVITIES
from crash.beginnings import Beginnings
from crash.escapes import escaped, strays
from crash.failpoints import points_of
from crash.kinds import KINDS
from crash.places import copy_of
from crash.strace import calls_of
from crash.world import scratch
from support.tools import cannot

from gitdeploy.system import files

SOURCE = Path(__file__).resolve().parent.parent / "gitdeploy"

Choice = Callable[[list[str]], Sequence[str]]
Wrong = Callable[..., dict[str, list[str]]]


@pytest.fixture(scope="module")
def beginnings(clean_world: Path) -> Iterator[Beginnings]:  # noqa: ARG001 - order
    """The worlds in which activities begin."""
    with scratch() as path:
        yield Beginnings(path)


@pytest.fixture
def place() -> Iterator[Path]:
    """Where copies of them are struck."""
    with scratch() as path:
        yield path


@pytest.fixture
def wrong(beginnings: Beginnings, place: Path) -> Wrong:
    """Strike an activity at chosen points; return what was wrong, and where."""

    def strike(activity: str, kind: str, chosen: Choice) -> dict[str, list[str]]:
        what, fault = ACTIVITIES[activity], KINDS[kind]
        if why := fault.missing():
            cannot(why)
        begin = beginnings.of(what)
        points = chosen(fault.points(what, begin, place))
        assert points
        found = {at: fault.strike(what, begin, at, place) for at in points}
        return {at: said for at, said in found.items() if said}

    return strike


def all_of(points: list[str]) -> list[str]:
    return points


def each(step: int) -> Choice:
    return lambda points: points[step // 2 :: step]


def called(*names: str) -> Choice:
    return lambda points: [at for at in points if set(at.split(":")) & {*names}]


# --- inside the process -------------------------------------------------------------


@pytest.mark.parametrize("activity", ["stage", "rollback"])
def test_a_process_may_be_killed_between_any_two_of_its_calls(
    wrong: Wrong, activity: str
) -> None:
    """Every link resolves at once; the next push finds or finishes what was begun."""
    assert wrong(activity, "kill, in process", all_of) == {}


@pytest.mark.parametrize("activity", sorted({*ACTIVITIES} - {"stage", "rollback"}))
def test_so_may_those_of_every_other_activity(wrong: Wrong, activity: str) -> None:
    """A sample of the points."""
    assert wrong(activity, "kill, in process", each(9)) == {}


def test_whoever_mends_what_a_crash_left_may_be_killed_too(wrong: Wrong) -> None:
    """A sample of the pairs."""
    assert wrong("rollback", "kill, then kill of the recovery", each(25)) == {}


@pytest.mark.parametrize("kind", ["ENOSPC, in process", "EIO, in process"])
def test_a_log_or_ledger_that_cannot_be_written_is_told_as_such(
    wrong: Wrong, kind: str
) -> None:
    """The push is refused with the cause, or all of it is done; never in between."""
    assert wrong("stage", kind, called("write", "ledger")) == {}


def test_a_link_removed_before_the_new_one_is_made_would_be_seen(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without the rename there is a moment without a link."""

    def replace_link(link: Path, target: str) -> None:
        files.remove_file(link)
        os.symlink(target, link)

    monkeypatch.setattr(files, "replace_link", replace_link)
    found = wrong("rollback", "kill, in process", called("os.symlink")).values()
    assert ["link shop-prod-1 is gone"] in [said[:1] for said in found]


# --- system calls -------------------------------------------------------------------


def test_a_kill_at_every_system_call_around_the_flip_is_survived(
    beginnings: Beginnings, place: Path
) -> None:
    """From the sealed release to the verdict: writes, renames, links, syncs, all."""
    what, fault = ACTIVITIES["stage"], KINDS["SIGKILL"]
    if why := fault.missing():
        cannot(why)
    begin = beginnings.of(what)
    with copy_of(begin.world, place) as world:
        calls = calls_of(what.deed, world, "self")
    names = [call.name for call in calls]
    around = [call.label for call in calls[names.index("syncfs") :]]
    assert {"pwrite64", "fdatasync", "symlink", "rename", "fsync"} <= {*names}
    found = {at: fault.strike(what, begin, at, place) for at in around}
    assert {at: said for at, said in found.items() if said} == {}


@pytest.mark.parametrize(
    ("kind", "activity"),
    [
        ("SIGKILL", "first"),
        ("SIGTERM", "stage"),
        ("SIGKILL of receive-pack", "stage"),
        ("SIGKILL of any child", "stage"),
        ("EIO", "stage"),
        ("ENOSPC", "release"),
        ("EACCES", "revert"),
        ("EMFILE", "setup"),
        ("EINTR", "stage"),
        ("ENOSPC from then on", "rollback"),
    ],
)
def test_so_is_every_other_fault_wherever_it_strikes(
    wrong: Wrong, kind: str, activity: str
) -> None:
    """A sample of the calls."""
    assert wrong(activity, kind, each(25)) == {}


def test_a_git_killed_while_it_moves_a_ref_is_told_as_it_is(wrong: Wrong) -> None:
    """A ref that had moved all the same has moved: the pusher is told no lie."""
    assert wrong("untag", "SIGKILL of any child", called("unlink")) == {}


# --- nothing escapes ----------------------------------------------------------------


@pytest.mark.parametrize("activity", ["stage", "setup", "prune"])
def test_nothing_changes_the_disk_but_what_can_be_made_to_fail(
    beginnings: Beginnings, place: Path, activity: str
) -> None:
    """What strace sees of our process is what the points saw; SQLite is apart."""
    if why := KINDS["SIGKILL"].missing():
        cannot(why)
    what = ACTIVITIES[activity]
    begin = beginnings.of(what).world
    (place / "a").mkdir()
    (place / "b").mkdir()
    with copy_of(begin, place / "a") as outside, copy_of(begin, place / "b") as within:
        assert escaped(what, outside, within) == []


@pytest.mark.parametrize("activity", ["stage", "setup", "prune"])
def test_every_call_that_changes_the_disk_is_made_by_one_module(
    beginnings: Beginnings, place: Path, activity: str
) -> None:
    """As the calls themselves tell; programs and the ledger have rooms of their own."""
    what = ACTIVITIES[activity]
    with copy_of(beginnings.of(what).world, place) as world:
        assert strays(points_of(what.deed, world)) == []


OF_OS = {
    *("chmod", "chown", "fchmod", "fchown", "fdatasync", "fsync", "ftruncate"),
    *("lchown", "link", "makedirs", "mkdir", "open", "posix_fallocate", "pwrite"),
    *("remove", "removedirs", "rename", "renames", "replace", "rmdir", "sendfile"),
    *("symlink", "truncate", "unlink", "utime", "write", "writev"),
}
OF_PATHS = {
    *("chmod", "hardlink_to", "mkdir", "rename", "rmdir", "symlink_to", "touch"),
    *("unlink", "write_bytes", "write_text"),
}
FILES = {
    *("system/below.py", "system/copying.py", "system/files.py", "system/ground.py"),
    *("system/openat2.py", "system/removal.py", "system/scratch.py", "system/usage.py"),
    "services/sockets.py",
}
NOT_OUR_DISK = {
    "hooks/pre_receive.py: os.write": "the pusher's pipe",
    "steps/binding.py: os.open": "to show to commands what is there",
    "system/apart.py: os.write": "the pipe to the process it is done for",
    "system/cgroup.py: os.open": "the kernel's own files",
    "system/cgroup.py: os.write": "the kernel's own files",
    "system/cgroup.py: path.mkdir": "the kernel's own files",
    "system/cgroup.py: path.rmdir": "the kernel's own files",
    "system/relay.py: os.write": "git's pipe",
    "system/client.py: os.write": "the pusher's pipe",
    "door.py: os.open": "the null device, when who reads us is gone",
    "system/background.py: os.open": "the null device, for who works unseen",
    "system/flock.py: os.open": "to see whether a file is held",
    "signatures/__init__.py: os.write": "memory that ssh-keygen reads by a path",
}


def test_no_other_module_could_make_one() -> None:
    """So says the source, which no test has to run for that."""
    found = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).as_posix() not in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        for name in changes(node)
    }
    assert found == {*NOT_OUR_DISK}


def changes(call: ast.Call) -> Iterator[str]:
    """Yield the name of what is called, where it can change the disk."""
    name = ast.unparse(call.func)
    module, _, last = name.rpartition(".")
    of_a_path = isinstance(call.func, ast.Attribute) and module != "files"
    if any(
        (
            module == "shutil" and last != "which",
            module == "os" and last in OF_OS,
            of_a_path and last in OF_PATHS,
            last == "open" and any(is_to_write(word) for word in call.args[:2]),
        )
    ):
        yield name


def is_to_write(word: ast.expr) -> bool:
    """Tell whether an argument of open is a mode that writes."""
    mode = word.value if isinstance(word, ast.Constant) else ""
    return isinstance(mode, str) and bool({*mode} & {*"wax+"}) and len(mode) <= 3
