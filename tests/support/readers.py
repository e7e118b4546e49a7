"""Readers who look through a public link all the time, while it is flipped."""

import re
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gitdeploy import links
from gitdeploy.deploy.app import App
from gitdeploy.deploy.move import Outcome
from gitdeploy.deploy.recover import locked
from gitdeploy.deploy.report import Report
from gitdeploy.system.client import Client
from support.git import Work
from support.process import started
from support.tools import needs

SIZE = 64 * 1024

# A release's page is SIZE times one letter: any other body is a mixture.
WRK = f"""
local whole, threads = {{}}, {{}}
for letter in ("abcdefgh"):gmatch(".") do whole[letter] = letter:rep({SIZE}) end
mixed, turns, last = 0, 0, ""

function setup(thread) threads[#threads + 1] = thread end

function response(status, headers, body)
    if status ~= 200 then return end
    local letter = body:sub(1, 1)
    if body ~= whole[letter] then mixed = mixed + 1 end
    if letter ~= last then turns, last = turns + 1, letter end
end

function done(summary, latency, requests)
    local errors, mixtures, changes = summary.errors, 0, 0
    for _, thread in ipairs(threads) do
        mixtures = mixtures + thread:get("mixed")
        changes = changes + thread:get("turns")
    end
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format("told %d %d %d %d\\n", summary.requests,
        errors.status + broken, mixtures, changes))
end
"""

# Looks until it was often enough and a file says that there were enough flips. A
# round is three looks; what the first misses were goes to stderr.
LOOK = """
import os, sys
link, rounds, enough = sys.argv[1], int(sys.argv[2]), sys.argv[3]
done = missed = 0
while done < rounds or not os.path.exists(enough):
    for _ in range(100):
        done += 1
        try:
            os.readlink(link)
            os.stat(link + "/.")
            with open(link + "/page", "rb", buffering=0) as page:
                start, end = page.read(1), os.pread(page.fileno(), 1, SIZE - 1)
            if start != end:
                raise OSError(f"{start} and {end} in one file")
        except OSError as error:
            missed += 1
            if missed <= 10:  # a pipe that nobody reads yet takes so much, and no more
                print(error, file=sys.stderr)
print(3 * done, missed)
""".replace("SIZE", str(SIZE))


@dataclass(frozen=True)
class Served:
    """What many requests came to."""

    requests: int = 0
    failed: int = 0
    """Answers other than 2xx and 3xx, and connections that broke."""
    mixed: int = 0
    """Answers that were not one release's page, whole."""
    turns: int = 0
    """How often an answer was another release's than the one before."""

    def __add__(self, other: "Served") -> "Served":
        return Served(
            self.requests + other.requests,
            self.failed + other.failed,
            self.mixed + other.mixed,
            self.turns + other.turns,
        )


def under_load(url: str, here: Path, act: Callable[[], None]) -> Served:
    """Ask for `url` all the time while `act` runs; return what was answered.

    Over connections that are kept, and over others that serve one request each.
    """
    script = here / "readers.lua"
    script.write_text(WRK)
    load = (needs("wrk"), "-t1", "-c8", "-d1h", "--timeout", "30s", "-s", script)
    with ExitStack() as stack:
        kept = stack.enter_context(started(*load, url))
        single = stack.enter_context(started(*load, "-H", "Connection: close", url))
        act()
        served = Served()
        for child in (kept, single):
            child.send_signal(signal.SIGINT)  # then it tells
            served += _told(child.communicate(timeout=60)[0].decode())
        return served


def _told(printed: str) -> Served:
    told = re.search(r"^told (\d+) (\d+) (\d+) (\d+)$", printed, re.MULTILINE)
    assert told, printed
    return Served(*map(int, told.groups()))


@dataclass(frozen=True)
class Looked:
    """What looking through a link came to."""

    looks: int
    missed: int
    """Looks that found no whole release."""
    acts: int
    """How often something was done meanwhile."""


def look_through(
    link: Path, here: Path, act: Callable[[], None], *, looks: int, acts: int
) -> Looked:
    """Look through `link` in two processes while `act` is done again and again.

    Both at least as often as asked for.
    """
    enough = here / "enough"
    enough.unlink(missing_ok=True)
    look = (sys.executable, "-c", LOOK, link, str(looks // 6), enough)
    done = 0
    with started(*look) as one, started(*look) as other:
        while one.poll() is None or other.poll() is None:
            act()
            done += 1
            if done == acts:
                enough.touch()
        told = [child.communicate(timeout=60)[0].split() for child in (one, other)]
    looked, missed = (sum(map(int, column)) for column in zip(*told, strict=True))
    return Looked(looked, missed, done)


# --- what they look at -------------------------------------------------------------


def lettered(work: Work) -> None:
    """Push three releases to dev and prod; the page of each is its own letter."""
    for number, letter in enumerate("abc", start=1):
        work.commit(letter, page=letter * SIZE)
        work.tag(f"v{number}")
        push = work.push("main", f"v{number}")
        assert push.code == 0, push.output


def flip(app: App, move: Callable[..., Outcome]) -> str:
    """Move along prod, and return what it came to."""
    with locked(app, "flip", wait_s=10, tell=print):
        return move(app, "prod", Report(Client(None))).word


def replacing(app: App) -> Callable[[], None]:
    """Return what makes prod's links show the other of two states, at each call."""
    target = app.public.target
    names = [*reversed(app.public.names("prod"))]
    now = links.read(target, names)
    states = [now, dict(zip(names, reversed(list(now.values())), strict=True))]

    def replace() -> None:
        states.reverse()
        links.show(target, {name: held for name, held in states[0].items() if held})

    return replace
