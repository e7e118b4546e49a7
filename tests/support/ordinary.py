"""An ordinary user of the server, whoever runs the tests."""

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from support.tools import cannot, needs

NOBODY = 65534
_STASH = "/run/gitdeploy-tests"
_OTHERS_ENTER = 0o005


def ordinary_user(world: Path, *without: str) -> list[str]:
    """Return what goes in front of a command, so that an ordinary user runs it.

    In a mount namespace of its own, where that user can reach this Python and the
    source wherever they lie, such as in the home of root.

    Args:
        world: What belongs to that user; made over to it.
        *without: Programs that are not there.
    """
    source = Path(__file__).resolve().parents[2]
    needed = [Path(sys.prefix), Path(sys.base_prefix), source, world]
    script = [*_reachable(needed), *(f"mount --bind /dev/null {p}" for p in without)]
    run_as = [
        needs("setpriv"),
        *(f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        *("--inh-caps=-all", "--bounding-set=-all"),
    ]
    script.append(f'exec {shlex.join(run_as)} "$@"')
    return [
        *(needs("unshare"), "--mount", "--propagation", "private"),
        *("sh", "-euc", "; ".join(script), "sh"),
    ]


def without_programs(*programs: str) -> list[str]:
    """Return what goes in front of a command for which programs are not there."""
    if os.geteuid() != 0:
        cannot("only root can take a program away for one process")
    script = [f"mount --bind /dev/null {path}" for path in programs]
    script.append('exec "$@"')
    return [
        *(needs("unshare"), "--mount", "--propagation", "private"),
        *("sh", "-euc", "; ".join(script), "sh"),
    ]


def give(world: Path) -> None:
    """Make all that lies below a directory that user's."""
    for top, folders, files in os.walk(world):
        for name in (".", *folders, *files):
            os.chown(os.path.join(top, name), NOBODY, NOBODY, follow_symlinks=False)


def _reachable(needed: Iterable[Path]) -> list[str]:
    """Return commands after which others may enter what leads to some places."""
    closed: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(needed):
        for above in reversed(path.parents):
            if above.stat().st_mode & _OTHERS_ENTER != _OTHERS_ENTER:
                closed.setdefault(above, []).append(path)
                break
    commands = [f"mkdir -p {_STASH}", f"mount -t tmpfs none {_STASH}"]
    kept = [path for paths in closed.values() for path in paths]
    for number, path in enumerate(kept):
        at = f"{_STASH}/{number}"
        commands += [f"mkdir {at}", f"mount --rbind {shlex.quote(str(path))} {at}"]
    for above in closed:
        commands.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(str(above))}")
    for number, path in enumerate(kept):
        place = shlex.quote(str(path))
        commands += [f"mkdir -p {place}", f"mount --rbind {_STASH}/{number} {place}"]
    return commands
