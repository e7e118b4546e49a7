"""A release's log: everything its preparation printed, one file, capped."""

import os
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gitdeploy.system import clock, files

__all__ = ["Log"]

_TAIL_LINES: Final = 20


class Log:
    """An open log. What goes in is text without control characters or secrets.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self.path = path
        self._left = limit_bytes
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._pending = ""
        self._fd = files.open_to_append(path, 0o640)
        self._broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()
        finally:
            os.close(self._fd)

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return self._left <= 0

    def heading(self, text: str) -> None:
        """Write a line of ours, with the time."""
        self._write(f"== {clock.now()} {text}\n")
        self.flush()

    def line(self, text: str) -> None:
        """Write a line of a step; it can be followed after `flush`."""
        self._tail.append(text)
        if not self.full:
            self._write(f"{text}\n")

    def flush(self) -> None:
        """Let those who follow the log see what was written.

        Raises:
            OSError: It could not be written, for the first time; what follows is lost
                silently, so that whoever ends what failed is not kept from it.
        """
        data, self._pending = self._pending.encode("utf-8", "backslashreplace"), ""
        if self._broken:
            return
        try:
            files.append(self._fd, data)
        except OSError as error:
            self._broken = True
            raise OSError(error.errno, error.strerror, str(self.path)) from error

    def forget_tail(self) -> None:
        """Begin a new step: its last lines are not those of the one before."""
        self._tail.clear()

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of the present step, oldest first."""
        return tuple(self._tail)

    def _write(self, text: str) -> None:
        was_full = self.full
        self._left -= len(text.encode("utf-8", "backslashreplace"))
        self._pending += text
        if self.full and not was_full:
            self._pending += "== the log is full; what steps print is not kept\n"
