"""Windows: when a chain may be deployed to."""

from datetime import UTC, datetime

import pytest

from gitdeploy.config import parse_server
from gitdeploy.config.windows import Window, opening
from gitdeploy.errors import ConfigError

# windows, the moment (UTC), when they open next; None: open now
CASES = [
    ([], "2026-11-24T03:00", None),
    (["Mon-Thu 08:00-17:00 UTC"], "2026-11-24T08:00", None),
    (["Mon-Thu 08:00-17:00 UTC"], "2026-11-24T07:59", "2026-11-24T08:00"),
    (["Mon-Thu 08:00-17:00 UTC"], "2026-11-24T17:00", "2026-11-25T08:00"),
    (["Mon-Thu 08:00-17:00 UTC"], "2026-11-26T18:00", "2026-11-30T08:00"),
    (["Mon 08:00-17:00 UTC"], "2026-11-23T17:30", "2026-11-30T08:00"),
    (["Fri-Mon 10:00-12:00 UTC"], "2026-11-22T11:00", None),
    (["Fri-Mon 10:00-12:00 UTC"], "2026-11-24T11:00", "2026-11-27T10:00"),
    (["22:00-02:00 UTC"], "2026-11-24T01:00", None),
    (["Mon 22:00-02:00 UTC"], "2026-11-24T01:59", None),
    (["Mon 22:00-02:00 UTC"], "2026-11-24T02:00", "2026-11-30T22:00"),
    (["00:00-24:00 UTC"], "2026-11-24T23:59", None),
    (["Tue 08:00-17:00 Europe/Berlin"], "2026-11-24T07:00", None),
    (["Tue 08:00-17:00 Europe/Berlin"], "2026-11-24T06:59", "2026-11-24T07:00"),
    # Berlin's clocks go forward on 29 March 2026, and back on 25 October.
    (["Sun-Mon 08:00-17:00 Europe/Berlin"], "2026-03-29T06:00", None),
    (["Sun-Mon 08:00-17:00 Europe/Berlin"], "2026-10-25T06:30", "2026-10-25T07:00"),
    # Between two and three there is nothing on the wall on the day they go forward.
    (["Sun 02:30-03:00 Europe/Berlin"], "2026-03-23T12:00", "2026-04-05T00:30"),
    (["Sun 02:30-03:00 Europe/Berlin"], "2026-03-29T01:15", "2026-04-05T00:30"),
    (
        ["Mon 08:00-09:00 UTC", "Tue 10:00-11:00 UTC"],
        "2026-11-24T09:30",
        "2026-11-24T10:00",
    ),
]


@pytest.mark.parametrize(("windows", "moment", "expected"), CASES)
def test_a_window_opens_by_the_clock_on_the_wall(windows, moment, expected):
    read = [Window.read(one) for one in windows]
    found = opening(read, datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert (found and found.strftime("%Y-%m-%dT%H:%M")) == expected


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("always", 'should be a window such as "Mon-Thu 08:00-17:00 Europe/Berlin"'),
        ("Mon-Thu 08:00-17:00", "should be a window such as"),
        ("Mon 8-17 UTC", "should be a window such as"),
        ("Mon 24:00-08:00 UTC", "should be a window such as"),
        ("Mon 08:00-24:30 UTC", "should be a window such as"),
        ("Mon 08:00-17:00 Europe/Atlantis", "should be in a known time zone"),
        ("Mon 08:00-17:00 ../../etc/passwd", "should be a window such as"),
        ("Mon 08:00-17:00 Europe/", "should be in a known time zone"),
    ],
)
def test_what_is_no_window_is_named_with_its_place(window, said):
    with pytest.raises(ConfigError) as no:
        parse_server(f'[windows]\nprod = ["{window}"]\n'.encode(), where="server.toml")
    assert no.value.message.startswith("server.toml: windows.prod[0]: ")
    assert said in no.value.message


def test_a_closed_chain_takes_no_push_but_an_overriding_one(server, work):
    (server.root / "shop" / "server.toml").write_text(
        f'[windows]\nprod = ["{far_from_now()} 08:00-08:01 UTC"]\n'
    )
    work.commit("one", **{"index.html": "one"})
    assert work.push("main").code == 0  # dev is open
    work.tag("v1")
    refused = work.push("v1")
    assert refused.code == 1
    reason = refused.status("v1").reason
    assert reason.startswith("prod is closed until 20")
    assert server.link("shop-prod-1") == server.root / "shop" / "empty"
    assert work.push("v1", options=["override"]).code == 0
    assert server.history()[0]["overrode"].startswith("prod is closed until 20")


def far_from_now() -> str:
    """Return a day of the week that is neither yesterday, today nor tomorrow."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return days[(datetime.now(UTC).weekday() + 3) % len(days)]
