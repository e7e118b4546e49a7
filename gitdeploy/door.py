"""The door: what every entry (verb or hook) takes in and how every failure leaves.

The one place that reads the environment, catches errors, and turns them into text
and an exit status.
"""

import os
import pwd
import re
import sys
from collections.abc import Callable, Mapping
from typing import Final

from gitdeploy.errors import GitdeployError
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.client import Client
from gitdeploy.system.disk import blamed
from gitdeploy.system.signals import interrupt_on_termination
from gitdeploy.system.surroundings import Surroundings
from gitdeploy.system.terminal import printable

__all__ = ["acting_key", "acting_name", "guarded", "surroundings"]

_BUG: Final = 3
_INTERRUPTED: Final = 130
_UMASK: Final = 0o022
_STDERR: Final = 2
_TMP: Final = "/tmp"  # noqa: S108 - the default of every tool
_LOCALE: Final = re.compile(r"[A-Za-z0-9_.@-]+")


def surroundings(environ: Mapping[str, str]) -> Surroundings:
    """Return what we and our children need of the environment, and nothing else.

    A client of sshd may send LANG; directories count where they are from the root.
    """
    account = _account()
    lang = environ.get("LANG", "")
    return Surroundings(
        path=environ.get("PATH", os.defpath),
        home=_absolute(environ.get("HOME", "")) or account.pw_dir,
        lang=lang if _LOCALE.fullmatch(lang) else "C.UTF-8",
        user=account.pw_name,
        shell=account.pw_shell or "/bin/sh",
        tmpdir=_absolute(environ.get("TMPDIR", "")) or _TMP,
        keys=environ.get("GITDEPLOY_KEYS", ""),
    )


def _absolute(path: str) -> str:
    return path if os.path.isabs(path) else ""


def acting_name(environ: Mapping[str, str]) -> str:
    """Return who acts: who the ssh key belongs to, else the server's own user."""
    return printable(environ.get("GITDEPLOY_USER", "")) or _account().pw_name


def acting_key(environ: Mapping[str, str]) -> str | None:
    """Return the fingerprint of the ssh key that somebody came with, if they did."""
    return printable(environ.get("GITDEPLOY_KEY", "")) or None


def guarded(main: Callable[[], int]) -> int:
    """Run an entry and return its exit status, whatever happens in it.

    What is written is readable by the web server: the umask of whoever pushes does
    not decide about that.
    """
    os.umask(_UMASK)
    interrupt_on_termination()
    try:
        status = main()
        sys.stdout.flush()  # here, where a reader that has left is no bug
    except GitdeployError as error:
        say(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        say(blamed(error))
        return 1
    except Exception as error:  # noqa: BLE001 - the door
        bug = foreseen(error)
        say(blamed(bug), getattr(bug, "hint", ""))
        return _BUG
    return status


def say(message: str, hint: str = "") -> None:
    """Tell a person what went wrong and what mends it; nobody can block us here."""
    client = Client(_STDERR)
    client.line(f"gitdeploy: {printable(message)}")
    if hint:
        client.line(f"hint: {printable(hint)}")


def _account() -> pwd.struct_passwd:
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid)
    except KeyError:  # a container's user without an entry
        home = os.environ.get("HOME", "/")
        return pwd.struct_passwd((f"uid{uid}", "", uid, uid, "", home, "/bin/sh"))
