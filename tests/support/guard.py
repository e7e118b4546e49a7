"""Keep the developer's machine out of the tests, and the tests out of it."""

import os
import pwd
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.tools import ALL_MUST_RUN

# Everything else is taken away: GIT_*, SSH_*, GITDEPLOY_*, XDG_*, LC_*, ...
KEPT = {"PATH", "TMPDIR", "CI", ALL_MUST_RUN, "USER", "LOGNAME"}
KEPT_PREFIXES = ("PYTEST_", "PYTHON", "PYENV_")

# Where an audit event of Python has the paths it is about to change.
CHANGES: dict[str, tuple[int, ...]] = {
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (1,),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.utime": (0,),
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def clean_environment(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Leave only what the tests may depend on, with `home` as the home."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_PREFIXES):
            patch.delenv(name)
    for name, value in environment(home).items():
        patch.setenv(name, value)


def environment(home: Path) -> dict[str, str]:
    """Return the variables that make git and Python behave alike everywhere."""
    return {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TERM": "dumb",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.org",
        "GIT_AUTHOR_DATE": "2026-01-01T00:00:00+00:00",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00+00:00",
    }


def real_homes() -> set[Path]:
    """Return the homes that this process may find; ask before it is cleaned."""
    homes = {Path(os.environ.get("HOME", "/"))}
    with suppress(KeyError):  # a container may run as nobody it knows
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    # An account without a home may be given one that does not exist, or /.
    return {home.resolve() for home in homes if home.is_dir()} - {Path("/")}


def forbid_writes(homes: Iterable[Path], *, except_in: Iterable[Path]) -> None:
    """Fail, from now on, whatever in this process writes below one of `homes`.

    Children are kept away by their HOME. Reading is not watched. There is no
    way to take an audit hook back: call this once in a process.
    """
    forbidden = tuple(homes)
    exempt = tuple(path.resolve() for path in except_in)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        for path in _changed(event, arguments):
            where = Path(os.path.abspath(os.fsdecode(path)))
            if _below(where, forbidden) and not _below(where, exempt):
                pytest.fail(f"a test writes into the real home: {event} {where}")

    sys.addaudithook(_without_recursion(watch))


def _changed(event: str, arguments: tuple[Any, ...]) -> list[str | bytes]:
    if event == "open":
        path, _, flags = arguments
        paths = [path] if isinstance(flags, int) and flags & WRITES else []
    else:
        paths = [arguments[i] for i in CHANGES.get(event, ())]
    return [path for path in paths if isinstance(path, str | bytes)]


def _below(path: Path, directories: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(directory) for directory in directories)


def _without_recursion(
    watch: Callable[[str, tuple[Any, ...]], None],
) -> Callable[[str, tuple[Any, ...]], None]:
    watching = False

    def once(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal watching
        if watching or (event != "open" and event not in CHANGES):
            return
        watching = True
        try:
            watch(event, arguments)
        finally:
            watching = False

    return once
