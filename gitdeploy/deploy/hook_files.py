"""The hooks as files: copied into a repository, naming this installation's Python."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Final

from gitdeploy.system import files

__all__ = ["install", "keep", "wrong"]

# A longer first line of a script is cut by older kernels (execve(2)).
_SHEBANG_BYTES: Final = 127
_STARTS: Final = re.compile(  # see `_first_lines` and `_for_keys`
    rb"#!(?:/bin/sh\n(?:''':'[^\n]*\n[^\n]*\nexec |'''exec' ))?([^\n]+)"
)
_FOR_KEYS: Final = "pre-receive"
_OURS: Final = b"from gitdeploy.hooks"
_KEPT: Final = ".before-gitdeploy"


def install(hook: str, place: Path) -> bool:
    """Put a hook in its place unless it is there; return whether it was not."""
    if wrong(hook, place) is None:
        return False
    files.make_directory(place.parent)
    files.write_whole(place, _wanted(hook), 0o755)
    return True


def keep(place: Path) -> Path | None:
    """Move a hook that is not ours out of the way; return where it is now.

    Returns:
        None where no hook is, or ours, whatever became of it.
    """
    try:
        held = place.read_bytes()
    except FileNotFoundError:
        return None
    does_nothing = not held.strip(b"#\n ")
    if does_nothing or _OURS in held:
        return None
    taken = place.with_name(f"{place.name}{_KEPT}")
    number = 1
    while os.path.lexists(taken):
        number += 1
        taken = place.with_name(f"{place.name}{_KEPT}-{number}")
    files.rename(place, taken)
    return taken


def wrong(hook: str, place: Path) -> str | None:
    """Return what is wrong with a hook, as the end of a sentence; None: nothing."""
    if not place.is_file():
        return "is missing"
    if not os.access(place, os.X_OK):
        return "is not executable"
    if (held := place.read_bytes()) == _wanted(hook):
        return None
    python = _started(held)
    if python and not os.access(python, os.X_OK):
        return f"starts {python}, which is gone"
    return "was changed"


def _started(held: bytes) -> str:
    """Return what a hook starts; empty where nobody can tell."""
    named = _STARTS.match(held)
    try:
        words = shlex.split(os.fsdecode(named[1])) if named else []
    except ValueError:  # a quote that does not end
        words = []
    return words[0] if words else ""


def _wanted(hook: str) -> bytes:
    lines = (_stubs() / hook).read_text().splitlines(keepends=True)
    first = _for_keys if hook == _FOR_KEYS else _first_lines
    return "".join([first(_interpreter()), *lines[1:]]).encode()


def _stubs() -> Path:
    """Return where the hooks are: in the installed package, or in its checkout."""
    package = Path(__file__).parent.parent
    installed = package / "hooks" / "stubs"
    return installed if installed.is_dir() else package.parent / "hooks"


def _interpreter() -> str:
    """Return this installation's Python, by the same name however it was started."""
    python = os.path.join(sys.prefix, "bin", "python3")
    return python if os.access(python, os.X_OK) else sys.executable


def _first_lines(interpreter: str) -> str:
    """Return what makes the kernel start this interpreter, isolated (-I).

    A path that a first line cannot hold goes through sh, which then starts Python
    on the same file: to Python these lines are a string.
    """
    line = f"#!{interpreter} -I\n"
    if " " not in interpreter and len(line.encode()) <= _SHEBANG_BYTES:
        return line
    return f"#!/bin/sh\n'''exec' {shlex.quote(interpreter)} -I \"$0\" \"$@\"\n' '''\n"


def _for_keys(interpreter: str) -> str:
    """Return what starts this interpreter for people with keys, and nothing for us.

    To Python these lines are a string. The server's own user waits for a shell alone,
    which finds that the repository, where git starts it, is theirs (test(1), -O).
    """
    return (
        "#!/bin/sh\n"
        "''':'  # people with keys are asked; whoever owns all this may do everything\n"
        '[ -n "${GITDEPLOY_KEY:-}" ] || [ ! -O . ] || exit 0\n'
        f'exec {shlex.quote(interpreter)} -I "$0" "$@"\n'
        "'''\n"
    )
