"""The parts of a server made, one at a time; each safe to repeat."""

import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias, assert_never

from gitdeploy.errors import SystemFailed
from gitdeploy.server import sshd
from gitdeploy.server.parts import Check, Command, Directory, File, Part
from gitdeploy.system import files, process
from gitdeploy.system.below import give_directory
from gitdeploy.system.programs import found, program
from gitdeploy.system.surroundings import Environment

__all__ = ["carry_out"]

_Check: TypeAlias = Callable[[], None]


def carry_out(part: Part, env: Environment) -> None:
    """Make a part of a server.

    Raises:
        SystemFailed: A program says no; a file that one says no to is taken back.

    Changes: what the part says, whole or not at all. Safe to repeat.
    """
    match part:
        case Command():
            for argv in part.argvs:
                process.run([program(argv[0], env["PATH"]), *argv[1:]], env=env)
        case Directory():
            _make(part, env)
        case File():
            _write(part, env)
        case _:  # pragma: no cover - the type checker knows
            assert_never(part)


def _make(part: Directory, env: Environment) -> None:
    """Make a directory: in the user's home as the user, who may have links there."""
    owner = pwd.getpwnam(part.owner)
    if not part.in_home:
        files.make_directory(part.path, files.FOR_ALL_TO_VISIT)
        give_directory(part.path, part.mode, owner=owner.pw_uid, group=owner.pw_gid)
        return
    who = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--init-groups"]
    made = [program("install"), "-d", "-m", f"{part.mode:04o}", str(part.path)]
    process.run([program("setpriv"), *who, *made], env=env)


def _write(part: File, env: Environment) -> None:
    """Write a file, and keep it if whoever reads it finds nothing wrong."""
    files.make_directory(part.path.parent, files.FOR_ALL_TO_VISIT)
    check = _CHECKS[part.check](part.path, env)
    with _taken_back_unless_whole(part.path):
        files.write_whole(part.path, part.text.encode(), files.FOR_ALL_TO_READ)
        check()


@contextmanager
def _taken_back_unless_whole(path: Path) -> Iterator[None]:
    """Put back what was there, or nothing, whatever stops the body."""
    before = path.read_bytes() if path.exists() else None
    try:
        yield
    except BaseException:
        if before is None:
            files.remove_file(path)
        else:
            files.write_whole(path, before, files.FOR_ALL_TO_READ)
        raise


def _by_nobody(_path: Path, _env: Environment) -> _Check:
    return lambda: None


def _by_sshd(path: Path, env: Environment) -> _Check:
    """Ask sshd, and whether the same holds for root as before: nobody is locked out.

    The sshd that runs reads nothing before it is told to.
    """
    sshd.make_room()
    before = sshd.for_root(env)

    def check() -> None:
        if wrong := sshd.complaint(env):
            raise SystemFailed(f"{path} was taken back, as sshd says: {wrong}")
        if sshd.for_root(env) != before:
            raise SystemFailed(
                f"{path} was taken back, as it would change how root logs in"
            )

    return check


def _by_logrotate(path: Path, env: Environment) -> _Check:
    def check() -> None:
        if (logrotate := found("logrotate")) is None:
            return
        try:
            process.run([logrotate, "-d", str(path)], env=env)
        except process.CommandFailed as error:
            raise SystemFailed(f"{path} was taken back: {error.message}") from error

    return check


_CHECKS: Final[Mapping[Check, Callable[[Path, Environment], _Check]]] = {
    "": _by_nobody,
    "sshd": _by_sshd,
    "logrotate": _by_logrotate,
}
"""For each check: what looks before the file is written, and returns what looks after.

Raises SystemFailed where something is wrong.
"""
