"""The script of a slot: from whatever supervisor to the app's command, one contract.

The command finds the listening socket as descriptor 3, `LISTEN_FDS=1` and its own
process id in `LISTEN_PID`, whoever started the script. It is a shell script so that
nothing of gitdeploy's has to be there when a machine starts.

Source:
    sd_listen_fds(3), "Notes": the protocol.
    supervisord.org, "[fcgi-program:x] Section": the socket is descriptor 0.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gitdeploy.config import Command
from gitdeploy.services.description import Description, Launch
from gitdeploy.system import files
from gitdeploy.system.programs import program

__all__ = ["HOLD", "release_of", "write_script"]

HOLD: Final = '#!/bin/sh\nGITDEPLOY_SLOT="$0" exec sleep infinity\n'
"""What keeps the socket of a supervisor that closes it with its last process."""

_HEADER: Final = "# release "
_EXECS: Final = re.compile(r"(?:^|[\s;&|(])exec\s")


def write_script(description: Description, slot: int, launch: Launch) -> None:
    """Say what a slot runs, from its next start on.

    Changes: the script. Safe to repeat.
    """
    text = "".join(f"{line}\n" for line in _lines(description, slot, launch))
    path = description.script(slot)
    data = text.encode("utf-8", "surrogateescape")
    files.write_whole(path, data, 0o600)


def release_of(description: Description, slot: int) -> str:
    """Return the name of the release that a slot runs or ran; empty for none."""
    with suppress(OSError):
        return _release_in(description.script(slot))
    return ""


def _release_in(script: Path) -> str:
    text = script.read_text("utf-8", "surrogateescape")
    lines = [line for line in text.splitlines() if line.startswith(_HEADER)]
    return lines[0].removeprefix(_HEADER) if lines else ""


def _lines(description: Description, slot: int, launch: Launch) -> Iterator[str]:
    yield "#!/bin/sh"
    yield f"{_HEADER}{launch.release}"
    yield f"# Written by gitdeploy: service {description.name}, slot {slot}"
    yield f"cd {shlex.quote(str(launch.directory))} || exit 1"
    yield '[ "${LISTEN_FDS-}" = 1 ] || exec 3<&0 </dev/null'
    if description.service.notify:
        notified = shlex.quote(str(description.notified(slot)))
        yield f': "${{NOTIFY_SOCKET:={notified}}}"'
    yield f"exec {shlex.quote(program('env'))} -i \\"
    yield f"  {shlex.quote(f'GITDEPLOY_SLOT={description.script(slot)}')} \\"
    for name, value in launch.environment.items():
        yield f"  {shlex.quote(f'{name}={value}')} \\"
    if description.service.notify:
        yield '  "NOTIFY_SOCKET=$NOTIFY_SOCKET" \\'
    yield f"  LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES={description.service.name} \\"
    yield f"  {shlex.join(_argv(launch.command))}"


def _argv(command: Command) -> list[str]:
    """Return what becomes the command: no shell stays, and signals reach it.

    dash does not replace itself by the last command of `-c`.
    """
    if not isinstance(command, str):
        return ["sh", "-c", 'exec "$@"', "sh", *command]
    text = command.strip()
    return ["sh", "-euc", text if _EXECS.search(text) else f"exec {text}"]
