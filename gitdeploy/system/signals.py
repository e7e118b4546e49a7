"""Signals that ask us to stop: taken as an interruption, or kept waiting."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = [
    "asked_to_stop",
    "delayed",
    "disturbable",
    "interrupt_on_termination",
    "undisturbed",
]

_ASKING: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def interrupt_on_termination() -> None:
    """Take every request to stop like Ctrl-C, so that what must be undone is."""
    for number in _ASKING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep requests to stop waiting until the body is done (sigprocmask(2)).

    What nobody has heard by then (`asked_to_stop`, `disturbable`) came too late.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    try:
        yield
    finally:
        if not before >= _ASKING:
            while signal.sigtimedwait(_ASKING, 0):
                pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def delayed() -> Iterator[None]:
    """Keep requests to stop waiting until the body is done; then they are heard."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def disturbable() -> Iterator[None]:
    """Hear requests to stop in the body, those too that were kept waiting.

    Raises:
        KeyboardInterrupt: Somebody wants us to stop.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ASKING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def asked_to_stop() -> bool:
    """Return whether a request to stop is kept waiting."""
    return bool(signal.sigpending() & _ASKING)
