"""Whose files we work on, and that nobody else's come among them.

What root made in an ordinary user's tree, that user could neither prune nor replace;
and the commands of pushers would run as root. So root becomes that user, wholly and
before anything is opened; who is neither root nor that user is refused.
"""

import os
import pwd
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

from gitdeploy.errors import AccessDenied, SystemFailed
from gitdeploy.system.disk import user_name

__all__ = ["become_owner", "check_ours"]

_ROOT: Final = 0
_OF_ROOTS_SESSION: Final = ("TMPDIR", "MAIL", "DBUS_SESSION_BUS_ADDRESS")
_PREFIXES: Final = ("XDG_", "SUDO_")


def become_owner(root: Path, environ: MutableMapping[str, str]) -> None:
    """Go on as whoever owns `root`, where that is an ordinary user and we are root.

    The program begins anew as that user, with the same words, and does not come back
    here: nothing that root has read or opened is left. Where `root` is yet to be made,
    whoever owns the directory that it will be in is its owner.

    Args:
        root: Absolute, links resolved.
        environ: The environment of this process.

    Raises:
        SystemFailed: That user has no account, or may not run this program.
    """
    if os.geteuid() != _ROOT:
        return
    owner = _owner_of(root)
    if owner == _ROOT:
        return
    try:
        account = pwd.getpwuid(owner)
    except KeyError:
        raise SystemFailed(
            f"{root} belongs to {user_name(owner)}, who has no account here",
            hint=f"chown -R root: {root}  # if it is to be root's",
        ) from None
    os.initgroups(account.pw_name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(owner, owner, owner)
    _move_in(account, environ)
    _begin_anew(account.pw_name, environ)


def check_ours(root: Path, home: Path) -> None:
    """Say nothing if an app and what it lies in are ours; the root may be root's.

    Args:
        root: The directory that holds the apps.
        home: The app's; perhaps it is not there yet.

    Raises:
        AccessDenied: Another user's files are there, or would come among ours.
    """
    us = os.geteuid()
    above, ours = _owner_if_there(root), _owner_if_there(home)
    if above not in (None, _ROOT, us):
        raise _refusal(root, above, f"sudo -u {user_name(above)} gitdeploy …")
    if ours not in (None, us):
        way_out = f"sudo -u {user_name(ours)} gitdeploy …"
        if above == us != _ROOT:
            way_out = f"chown -R {user_name(us)}: {home} {home}.git"
        raise _refusal(home, ours, way_out)


def _refusal(path: Path, owner: int, way_out: str) -> AccessDenied:
    us = user_name(os.geteuid())
    return AccessDenied(
        f"{path} belongs to {user_name(owner)}, and this is {us}: one user's files"
        " do not come among another's",
        hint=way_out,
    )


def _owner_if_there(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return None


def _owner_of(path: Path) -> int:
    """Return whose a directory is, or will be when it is made."""
    for place in (path, *path.parents):
        try:
            return place.stat().st_uid
        except (FileNotFoundError, NotADirectoryError):
            continue
    return _ROOT


def _move_in(account: pwd.struct_passwd, environ: MutableMapping[str, str]) -> None:
    """Leave nothing of root's session in the environment."""
    for name in [*environ]:
        if name in _OF_ROOTS_SESSION or name.startswith(_PREFIXES):
            del environ[name]
    environ["HOME"] = account.pw_dir
    environ["SHELL"] = account.pw_shell or "/bin/sh"
    environ["USER"] = environ["LOGNAME"] = account.pw_name


def _begin_anew(name: str, environ: MutableMapping[str, str]) -> None:
    words = [sys.executable, *sys.orig_argv[1:]]
    try:
        with open(__file__, "rb"):  # Python would say it less well
            os.execve(sys.executable, words, environ)  # noqa: S606 - no shell
    except OSError as error:
        raise SystemFailed(
            f"{name}, to whom the apps belong, may not run {sys.executable}:"
            f" {error.strerror}",
            hint="install gitdeploy where every user may read it",
        ) from error
