"""The hooks as files: copied into a repository, naming this installation's Python."""

import os
import shlex
import sys
from pathlib import Path
from typing import Final

from gitdeploy.system import files

__all__ = ["install"]

# A longer first line of a script is cut by older kernels (execve(2)).
_SHEBANG_BYTES: Final = 127


def install(hook: str, place: Path) -> bool:
    """Put a hook in its place unless it is there; return whether it was not."""
    stub = _stubs() / hook
    lines = stub.read_text().splitlines(keepends=True)
    wanted = "".join([_first_lines(_interpreter()), *lines[1:]])
    if place.is_file() and place.read_text() == wanted and os.access(place, os.X_OK):
        return False
    files.make_directory(place.parent)
    files.write_whole(place, wanted.encode(), 0o755)
    return True


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
