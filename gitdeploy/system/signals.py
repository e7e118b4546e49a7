"""Signals that ask us to stop: taken as an interruption, or kept waiting."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["interrupt_on_termination", "undisturbed"]

_ASKING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_termination() -> None:
    """Take every request to stop like Ctrl-C, so that what must be undone is."""
    for number in _ASKING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep requests to stop waiting until the body is done (sigprocmask(2))."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
