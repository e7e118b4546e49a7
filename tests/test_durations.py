"""No time that deploy.toml asks for is longer than the server gives."""

from collections.abc import Iterator

import pytest
from msgspec import Struct
from msgspec.structs import fields

from gitdeploy.config import Config, Limits, Seconds, parse
from gitdeploy.deploy.durations import capped, check_durations
from gitdeploy.errors import ReleaseFailed

HEALTH = """
url = "http://127.0.0.1:9/"
timeout = "24h"
within = "24h"
healthy_for = "23h"
watch = "24h"
every = "24h"
"""
EVERYTHING = f"""
[build]
timeout = "24h"
[[build.steps]]
run = "x"
timeout = "24h"
[[checks]]
run = "x"
within = "24h"
timeout = "24h"
[[activate]]
run = "x"
timeout = "24h"
[[deactivate]]
run = "x"
timeout = "24h"
[[services]]
name = "a"
run = "x"
listen = "a.sock"
ready_after = "23h"
within = "24h"
stop_timeout = "24h"
[health]
{HEALTH}
[chains.prod.health]
{HEALTH}
[[chains.dev.checks]]
run = "x"
within = "24h"
"""
LIMITS = Limits(
    steps_time_s=Seconds(60), health_time_s=Seconds(30), watch_time_s=Seconds(90)
)


def times(table: Struct) -> Iterator[tuple[str, float]]:
    """Yield every time of a deploy.toml, each with the field it stands in."""
    for field in fields(table):
        value = getattr(table, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Seconds):
                yield field.name, one
            elif isinstance(one, Struct):
                yield from times(one)


def test_every_time_there_is_is_held_to_a_limit() -> None:
    """Of a key that is added some day, too."""
    config = parse(EVERYTHING.encode(), where="deploy.toml")
    long = [name for name, seconds in times(config) if seconds > 3600]
    assert len(long) == 20
    after = capped(LIMITS, config)
    assert all(seconds <= 90 for _, seconds in times(after))
    assert after.health is not None
    assert after.health.within_s == 30
    assert after.health.healthy_for_s == 27
    assert after.health.watch_s == 90
    assert after.limit_s(after.build.steps[0]) == 60
    assert capped(LIMITS, after) == after
    assert capped(Limits(), Config()) == Config()


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[health]\nurl = "http://a/"\nwithin = "31s"', "health.within: 31.0 s"),
        ('[health]\nurl = "http://a/"\nwatch = "91s"', "health.watch: 1 min 31 s"),
        (
            '[[chains.dev.checks]]\nrun = "x"\nwithin = "40s"',
            "chains.dev.checks[0].within: 40.0 s",
        ),
        ('[build]\ntimeout = "61s"', "build.timeout: 1 min 1 s"),
        ('[[activate]]\nrun = "x"\ntimeout = "2m"', "activate[0].timeout: 2 min 0 s"),
    ],
)
def test_what_asks_for_more_is_refused_by_its_key_path(toml: str, said: str) -> None:
    config = parse(toml.encode(), where="deploy.toml")
    with pytest.raises(ReleaseFailed) as caught:
        check_durations(LIMITS, config, "abcdef1234567890")
    assert caught.value.message.startswith(f"deploy.toml at abcdef1234: {said}; the ")
    assert caught.value.hint.endswith("  in server.toml")


def test_what_nobody_wrote_down_is_held_in_silence() -> None:
    """A default that is longer than the limit refuses no push."""
    config = parse(b'[health]\nurl = "http://a/"\n', where="deploy.toml")
    short = Limits(health_time_s=Seconds(10), steps_time_s=Seconds(10))
    check_durations(short, config, "abc")
    health = capped(short, config).health
    assert health is not None
    assert health.within_s == 10
