"""What of services is there, whatever anybody remembers: files, units, processes."""

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from gitdeploy.model import CHAINS, ChainName
from gitdeploy.system import processes

__all__ = ["Found", "Kind", "end", "found_by", "processes_of", "supervisors_of"]

Kind: TypeAlias = Literal["systemd", "supervisor"]

_PROGRAM: Final = "supervisor.supervisord"
_SLOT: Final = "GITDEPLOY_SLOT"
_CONF: Final = re.compile(r"socket=(?:unix|tcp)://(.+)")
_UNIT: Final = re.compile(r"ListenStream=(.+)")
_STOPS: Final = re.compile(r"^(?:stopwaitsecs|TimeoutStopSec)=([0-9]+)$", re.MULTILINE)
_USUAL_STOP_S: Final = 30


class Found(Struct, frozen=True):
    """A service that is installed, as its files tell."""

    chain: ChainName
    name: str
    listen: str
    kind: Kind
    stop_timeout_s: float


def found_by(app: str, directory: Path, units: Path) -> Iterator[Found]:
    """Yield the services of an app whose files are there.

    Args:
        app: Its name.
        directory: Its run directory, where configurations of supervisord lie.
        units: Where systemd finds units.
    """
    for chain in CHAINS:
        for path in sorted(directory.glob(f"{chain}-*.conf")):
            name, text = path.stem.removeprefix(f"{chain}-"), _text(path)
            if match := _CONF.search(text):
                listen = match[1].replace("%%", "%")
                yield Found(chain, name, listen, "supervisor", _stops(text))
        start = f"gitdeploy-{app}-{chain}-"
        for path in sorted(units.glob(f"{start}*.socket")):
            name = path.stem.removeprefix(start)
            slot = _text(path.with_name(f"{path.stem}-1.service"))
            ours = f"{directory / f'{chain}-{name}.1'}".replace("%", "%%") in slot
            if ours and (match := _UNIT.search(_text(path))):
                listen = match[1].replace("%%", "%")
                yield Found(chain, name, listen, "systemd", _stops(slot))


def supervisors_of(directory: Path) -> dict[str, list[int]]:
    """Return the supervisords of ours by the configuration below a directory."""
    found: dict[str, list[int]] = {}
    for process in processes.running():
        words = process.arguments
        if _PROGRAM in words and process.owner == os.geteuid():
            for word in words[words.index(_PROGRAM) :]:
                if word.startswith(f"{directory}/"):
                    found.setdefault(word, []).append(process.pid)
    return found


def processes_of(scripts: Mapping[int, Path]) -> list[int]:
    """Return the processes of ours that run what a slot's script started."""
    wanted, us = {*map(str, scripts.values())}, os.geteuid()
    return [
        process.pid
        for process in processes.running()
        if process.owner == us and process.variable(_SLOT) in wanted
    ]


def end(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to processes; some may have ended."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "surrogateescape")
    return ""


def _stops(text: str) -> float:
    match = _STOPS.search(text)
    return float(match[1]) if match else _USUAL_STOP_S
