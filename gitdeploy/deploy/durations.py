"""How long a pusher may let the server wait: `[limits]` of server.toml caps each time.

What asks for more is refused before anything is built (`check_durations`). What was
deployed before a limit was set, or comes back, is held to it in silence (`capped`).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct
from msgspec.structs import fields, replace

from gitdeploy.config import Build, Config, Limits, Run, Seconds
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system.terminal import human_time

__all__ = ["capped", "check_durations"]

T = TypeVar("T", bound=Struct)

_SHORTER: Final = {"healthy_for_s": 0.9, "ready_after_s": 0.9}
"""What has to be shorter than the limit, as it ends within another time."""


class _Asked(NamedTuple):
    """A time that a deploy.toml asks for."""

    at: str
    """Its key path."""
    seconds: float
    limit: str
    """The key of `[limits]` that caps it."""


def check_durations(limits: Limits, config: Config, commit: str) -> None:
    """Say nothing if a commit asks for no more time than the server gives.

    Args:
        limits: The server's.
        config: deploy.toml of the commit.
        commit: Its id.

    Raises:
        ReleaseFailed: It asks for more.
    """
    for asked in _asked(config, ""):
        limit_s = _seconds(limits, asked.limit)
        if asked.seconds > limit_s:
            raise ReleaseFailed(
                f"deploy.toml at {commit[:10]}: {asked.at}:"
                f" {human_time(asked.seconds)}; the limit is {human_time(limit_s)}",
                hint=f"[limits] {asked.limit}  in server.toml",
            )


def capped(limits: Limits, config: Config) -> Config:
    """Return a deploy.toml in which no time is longer than the server gives."""
    return _capped(limits, config)


def _limit(table: Struct, field: str) -> str:
    """Return the key that caps a time; any that is new is what health may take."""
    if field == "watch_s":
        return "watch_time"
    return "steps_time" if isinstance(table, Build | Run) else "health_time"


def _seconds(limits: Limits, key: str) -> float:
    return float(getattr(limits, f"{key}_s"))


def _asked(table: Struct, at: str) -> Iterator[_Asked]:
    """Yield every time that somebody wrote down, in this table and below."""
    for field in fields(table):
        value = getattr(table, field.name)
        path = f"{at}.{field.encode_name}".removeprefix(".")
        if isinstance(value, Seconds):
            if value != field.default:
                yield _Asked(path, value, _limit(table, field.name))
        elif isinstance(value, Struct):
            yield from _asked(value, path)
        elif isinstance(value, tuple):
            for number, one in enumerate(value):
                if isinstance(one, Struct):
                    yield from _asked(one, f"{path}[{number}]")


def _capped(limits: Limits, table: T) -> T:
    changes: dict[str, object] = {}
    for field in fields(table):
        value = getattr(table, field.name)
        if isinstance(value, Seconds):
            limit_s = _seconds(limits, _limit(table, field.name))
            most_s = limit_s * _SHORTER.get(field.name, 1.0)
            changes[field.name] = Seconds(min(value, most_s))
        elif isinstance(value, Struct):
            changes[field.name] = _capped(limits, value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            changes[field.name] = tuple(_capped(limits, one) for one in value)
    changed = {k: v for k, v in changes.items() if v != getattr(table, k)}
    return replace(table, **changed) if changed else table
