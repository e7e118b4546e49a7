"""How a server is now: looks and changes nothing, but asks programs what they say."""

import grp
import os
import pwd
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from gitdeploy.errors import SystemFailed, UsageError
from gitdeploy.server import sshd, texts
from gitdeploy.server.parts import Account, Facts, Seen, Wanted
from gitdeploy.server.plan import NEEDED
from gitdeploy.system import process, programs
from gitdeploy.system.surroundings import Environment

__all__ = ["SEARCHED", "gather"]

SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of all that is started: that of `su` leaves out where sshd is."""

_PROGRAMS: Final = {**NEEDED, "bwrap": "bubblewrap", "logrotate": "logrotate"}
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@-]+")
_NOBODY: Final = 65534
_BOOTED: Final = Path("/run/systemd/system")  # sd_booted(3)
_FILES: Final = (texts.SNIPPET, texts.UNIT, texts.LOGROTATE)
_ENABLED: Final = texts.UNIT.parent / "multi-user.target.wants" / texts.UNIT.name
_SSHD_CONFIG: Final = Path("/etc/ssh/sshd_config")
_INCLUDE: Final = re.compile(
    r"^\s*Include\b.*\s(?:/etc/ssh/)?sshd_config\.d/\*", re.MULTILINE | re.IGNORECASE
)
_ANSWERS_WITHIN_S: Final = 30.0


def gather(wanted: Wanted, env: Environment) -> Facts:
    """Return what is known of this server.

    Who is not root learns less: neither whether sshd likes its configuration nor
    whether the user can run gitdeploy.

    Args:
        wanted: What somebody asked for.
        env: What programs that are asked get.

    Raises:
        UsageError: The user or a path has a name that not all programs read alike.
    """
    account = _account(wanted.user)
    home = account.home if account else Path("/home", wanted.user)
    root, program = wanted.root or home / "gitdeploy", _program()
    _check_names(wanted.user, root, program)
    missing = tuple(
        package for name, package in _PROGRAMS.items() if not _found(name, env)
    )
    asked = os.geteuid() == 0
    places = {home, root, *root.parents, home / ".ssh"}
    return Facts(
        root=root,
        program=program,
        template=_template(),
        account=account,
        has_group=_is_group(wanted.user),
        missing=missing,
        has_apt=_found("apt-get", env),
        seen={path: seen for path in places if (seen := _seen(path))},
        texts={path: text for path in _FILES if (text := _text(path)) is not None},
        includes_snippets=_includes_snippets(),
        systemd=_BOOTED.is_dir(),
        enabled=_ENABLED.is_symlink(),
        sshd_says=sshd.complaint(env) if asked and _found("sshd", env) else "",
        program_says=_asked_program(program, account, env) if asked else "",
    )


def _check_names(user: str, root: Path, program: Path) -> None:
    """Say nothing where sshd, systemd, logrotate and a shell read all names alike."""
    if not _USER.fullmatch(user):
        raise UsageError(
            "--user: should be made of a-z, 0-9, dash and underscore, begin with a"
            f" letter, and have at most 32 characters, got {user!r}"
        )
    for what, path in (("--root", root), ("gitdeploy itself", program)):
        if not _PATH.fullmatch(str(path)):
            raise UsageError(
                f"{what}: should be an absolute path of letters, digits and ._+@-,"
                f" got {str(path)!r}"
            )


def _account(user: str) -> Account | None:
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        return None
    try:
        group = grp.getgrgid(found.pw_gid).gr_name
    except KeyError:
        group = str(found.pw_gid)
    return Account(found.pw_uid, group, Path(found.pw_dir), found.pw_shell)


def _is_group(name: str) -> bool:
    with suppress(KeyError):
        return bool(grp.getgrnam(name))
    return False


def _program() -> Path:
    """Return what starts this installation, by the same name however it was started."""
    return Path(sys.prefix, "bin", "gitdeploy")


def _template() -> str:
    """Return the unit of contrib: in the installed package, or in its checkout."""
    package = Path(__file__).parent
    installed = package / texts.UNIT.name
    checkout = package.parent.parent / "contrib" / texts.UNIT.name
    return (installed if installed.is_file() else checkout).read_text()


def _includes_snippets() -> bool:
    """Return whether sshd reads our file; without any configuration, Debian's does."""
    text = _text(_SSHD_CONFIG)
    return text is None or _INCLUDE.search(text) is not None


def _found(name: str, env: Environment) -> bool:
    return programs.found(name, env["PATH"]) is not None


def _seen(path: Path) -> Seen | None:
    """Return what has a name; None for nothing, or where we may not look."""
    try:
        status = path.lstat()
    except OSError:
        return None
    is_directory, is_empty = stat.S_ISDIR(status.st_mode), False
    with suppress(OSError):
        is_empty = is_directory and not os.listdir(path)
    return Seen(status.st_uid, stat.S_IMODE(status.st_mode), is_directory, is_empty)


def _text(path: Path) -> str | None:
    """Return what a file holds; something that is not ours where it is none."""
    try:
        return path.read_text("utf-8", "replace") if not path.is_symlink() else ""
    except FileNotFoundError:
        return None
    except OSError:
        return ""


def _asked_program(program: Path, account: Account | None, env: Environment) -> str:
    """Return what is in the way of the user; of anybody, before there is that user.

    setpriv itself keeps root's capabilities until it has started something, so that it
    would find the program where the user does not: env(1) stands between.
    """
    who = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    if account:
        who = [f"--reuid={account.uid}", f"--regid={account.group}", "--init-groups"]
    argv = [
        programs.program("setpriv"),
        *who,
        programs.program("env"),
        str(program),
        "--version",
    ]
    try:
        process.run(argv, env=env, timeout_s=_ANSWERS_WITHIN_S)
    except process.CommandFailed as error:
        last = error.stderr.splitlines()[-1] if error.stderr else error.message
        return last.rpartition(": ")[2]
    except SystemFailed as error:
        return error.message
    return ""
