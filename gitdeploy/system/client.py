"""The pusher's terminal: told what happens, never waited for.

git relays what a hook writes; when the pusher is gone it may stop reading without
closing the pipe, and a hook that writes on would hang with our lock held. So every
write has a deadline, all waits together have one, and a client that missed either is
forgotten.
"""

import os
import select
from typing import Final

from gitdeploy.system.clock import Stopwatch

__all__ = ["Client"]

_DEADLINE_S: Final = 2.0
_PATIENCE_S: Final = 20.0
# pipe(7): a pipe that polls writable takes this much without blocking.
_PIPE_BUF: Final = select.PIPE_BUF


class Client:
    """Where lines for the pusher go.

    Attributes:
        gone: Whether it missed a deadline or closed its end; then it is told no more.
    """

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._patience_s = _PATIENCE_S
        self.gone = fd is None

    def line(self, text: str) -> None:
        """Tell one line; text that is not fit for a terminal was made so before."""
        data = f"{text}\n".encode("utf-8", "backslashreplace")
        deadline = Stopwatch()
        while data and not self.gone:
            data = data[self._write(data[:_PIPE_BUF], deadline) :]

    def _write(self, chunk: bytes, deadline: Stopwatch) -> int:
        assert self._fd is not None
        left_s = max(min(_DEADLINE_S - deadline.seconds, self._patience_s), 0)
        waited = Stopwatch()
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        try:
            if poll.poll(left_s * 1000):
                return os.write(self._fd, chunk)
        except OSError:
            pass  # closed: the same as gone
        finally:
            self._patience_s -= waited.seconds
        self.gone = True
        return 0
