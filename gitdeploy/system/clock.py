"""The one place that tells the time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = [
    "Stopwatch",
    "age_s",
    "booted_s",
    "compact",
    "expanded",
    "later",
    "now",
    "seconds_since",
    "wait_past",
]

_CLOCK_REALTIME_COARSE: Final = 5  # clock_gettime(2); what files are stamped with
_TICK_S: Final = 0.001
_TICKS: Final = 50


def now() -> str:
    """Return the present, ISO 8601, UTC, to the second: `2026-11-21T19:11:02Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def later(seconds: float) -> str:
    """Return the moment that is so many seconds from now, in the form of `now`."""
    then = datetime.now(UTC) + timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(moment: str) -> str:
    """Return a moment of `now` in a form fit for a file name: `20261121T191102Z`."""
    return moment.replace("-", "").replace(":", "")


def expanded(moment: str) -> str:
    """Return the moment that `compact` made short."""
    then = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(moment: str) -> float:
    """Return how long ago a moment of `now` was; negative if the clock was set back."""
    then = datetime.fromisoformat(moment)
    return (datetime.now(UTC) - then).total_seconds()


def age_s(moment_s: float) -> float:
    """Return how long ago a moment was, itself in seconds since the epoch."""
    return time.time() - moment_s


def booted_s() -> float:
    """Return when the machine was started, seconds since the epoch.

    By the clock as it goes now: whoever sets it moves this moment as well.
    """
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_past(moment_ns: int) -> None:
    """Wait until a file that is written now gets a later time than `moment_ns`.

    The kernel's clock for files ticks some hundred times a second. A moment that is
    not near is not waited for.
    """
    for _ in range(_TICKS):
        if time.clock_gettime_ns(_CLOCK_REALTIME_COARSE) > moment_ns:
            return
        time.sleep(_TICK_S)


class Stopwatch:
    """Seconds since it was made, untouched by changes of the clock."""

    def __init__(self, seconds: float = 0.0) -> None:
        """Begin to count.

        Args:
            seconds: From where on.
        """
        self._start = time.monotonic() - seconds

    @property
    def seconds(self) -> float:
        """How long it has run, to the millisecond."""
        return round(time.monotonic() - self._start, 3)
