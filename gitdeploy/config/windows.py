"""When a chain may be deployed to: windows in the week, in a time zone."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from gitdeploy.config.reading import Table
from gitdeploy.config.values import BadValueError, shown
from gitdeploy.model import ChainName

if TYPE_CHECKING:  # a push without windows needs no time zones
    from zoneinfo import ZoneInfo

__all__ = ["Window", "Windows", "opening"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WEEK: Final = len(_DAYS)
_DAY: Final = "|".join(_DAYS)
_TIME: Final = r"([01][0-9]|2[0-4]):([0-5][0-9])"
_WINDOW: Final = re.compile(
    rf"(?:({_DAY})(?:-({_DAY}))? )?{_TIME}-{_TIME} ([A-Za-z][A-Za-z0-9_+/-]*)"
)
_SHOULD: Final = 'a window such as "Mon-Thu 08:00-17:00 Europe/Berlin"'
_MINUTES_OF_A_DAY: Final = 24 * 60


class Window(str):
    """A time of some days of the week: `"Mon-Thu 08:00-17:00 Europe/Berlin"`.

    Attributes:
        zone: The time zone it is told in.
    """

    __slots__ = ("_begins", "_days", "_lasts", "zone")
    zone: "ZoneInfo"
    _days: frozenset[int]
    _begins: int
    _lasts: int

    @classmethod
    def read(cls, found: object) -> Self:
        """Return the window.

        Raises:
            BadValueError: It is none, or in a time zone that this machine lacks.
        """
        from zoneinfo import ZoneInfo

        match = _WINDOW.fullmatch(found) if isinstance(found, str) else None
        if match is None:
            raise BadValueError(_SHOULD, shown(found))
        window = cls(found)
        first, last, *times, zone = match.groups()
        begins, ends = (
            int(hour) * 60 + int(minute) for hour, minute in (times[:2], times[2:])
        )
        if max(begins, ends) > _MINUTES_OF_A_DAY or begins == _MINUTES_OF_A_DAY:
            raise BadValueError(_SHOULD, shown(found))
        try:
            window.zone = ZoneInfo(zone)
        except (OSError, ValueError, KeyError):  # a directory, an odd name, none
            raise BadValueError("in a known time zone", shown(zone)) from None
        window._days = _span(first, last)
        window._begins = begins
        window._lasts = (ends - begins) % _MINUTES_OF_A_DAY or _MINUTES_OF_A_DAY
        return window

    def around(self, moment: datetime) -> list[tuple[datetime, datetime]]:
        """Return when it opens and closes from the day before a moment, in order.

        By the clock on the wall: a window that begins at 08:00 begins then also on
        the day after the clocks changed. One in the hour that they pass over does
        not open on that day, so there are days enough for it to open once more.
        """
        today = moment.astimezone(self.zone).date()
        found = []
        for ahead in range(-1, 2 * _WEEK + 1):
            day = today + timedelta(days=ahead)
            if day.weekday() in self._days:
                midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall's
                opens = midnight + timedelta(minutes=self._begins)
                closes = opens + timedelta(minutes=self._lasts)
                both = (one.replace(tzinfo=self.zone) for one in (opens, closes))
                begin, end = (one.astimezone(UTC) for one in both)
                if begin < end:
                    found.append((begin, end))
        return found


class Windows(Table, frozen=True, kw_only=True):
    """[windows]: when a chain may be moved by pushes; empty: always."""

    dev: tuple[Window, ...] = ()
    """For the dev chain, each as "Mon-Fri 08:00-17:00 Europe/Berlin"."""
    prod: tuple[Window, ...] = ()
    """For the prod chain."""

    def of(self, chain: ChainName) -> tuple[Window, ...]:
        """Return the windows of a chain; none: it is always open."""
        return self.prod if chain == "prod" else self.dev


def opening(windows: Sequence[Window], moment: datetime) -> datetime | None:
    """Return when windows open next; None while one is open, or there is none."""
    if not windows:
        return None
    times = [both for window in windows for both in window.around(moment)]
    if any(opens <= moment < closes for opens, closes in times):
        return None
    return min(opens for opens, _ in times if opens > moment)


def _span(first: str | None, last: str | None) -> frozenset[int]:
    """Return days as numbers from Monday; `Fri-Mon` goes over the end of the week."""
    if first is None:
        return frozenset(range(_WEEK))
    begin = _DAYS.index(first)
    length = (_DAYS.index(last or first) - begin) % _WEEK + 1
    return frozenset((begin + one) % _WEEK for one in range(length))
