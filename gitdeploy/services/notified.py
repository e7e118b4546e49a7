"""Hears a service say that it is ready, where its supervisor does not.

Source:
    sd_notify(3): one datagram, `READY=1` in a line of its own.
"""

import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gitdeploy.services.description import Description
from gitdeploy.system import files

__all__ = ["Notified"]

_MOST_BYTES: Final = 4096


class Notified:
    """The socket that a slot's $NOTIFY_SOCKET names, while somebody waits at it."""

    def __init__(self, description: Description, slot: int) -> None:
        wanted = description.service.notify
        self._path: Path | None = description.notified(slot) if wanted else None
        self._socket: socket.socket | None = None
        self._ready = False

    def __enter__(self) -> Self:
        if self._path:
            files.remove_file(self._path)
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(0)
            self._socket.bind(str(self._path))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket and self._path:
            self._socket.close()
            files.remove_file(self._path)

    @property
    def ready(self) -> bool:
        """Whether it has said so by now."""
        while self._socket and not self._ready:
            try:
                said = self._socket.recv(_MOST_BYTES)
            except BlockingIOError:
                break
            self._ready = b"READY=1" in said.splitlines()
        return self._ready
