"""No fault at all: readers who look through a link while it is flipped."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.git import Work
from support.nginx import nginx
from support.readers import (
    Served,
    flip,
    lettered,
    look_through,
    replacing,
    under_load,
)
from support.server import Server
from support.tools import found

from crash.activities import Activity
from crash.beginnings import Beginning
from gitdeploy.deploy.app import App
from gitdeploy.deploy.roll import roll_back, roll_forward
from gitdeploy.door import surroundings

__all__ = ["Readers"]

FLIPS: Final = 1_000
REQUESTS: Final = 100_000
LOOKS: Final = 3_000_000


@dataclass(frozen=True)
class Readers:
    """Requests through nginx, and looks at the link itself: none may fail."""

    name: str = "readers, while it flips"

    def missing(self) -> str:
        """See `Kind`."""
        lacking = [program for program in ("nginx", "wrk") if not found(program)]
        return f"{' and '.join(lacking)} is missing" if lacking else ""

    def points(self, activity: Activity, _begin: Beginning, _place: Path) -> list[str]:
        """See `Kind`: two ways of looking, at the activity that goes back and forth."""
        if activity.name != "rollforward":
            return []
        return [f"{REQUESTS:,} requests", f"{LOOKS:,} looks"]

    def strike(
        self, _activity: Activity, _begin: Beginning, at: str, place: Path
    ) -> list[str]:
        """See `Kind`."""
        with tempfile.TemporaryDirectory(dir=place, prefix="readers-") as directory:
            here = Path(directory)
            here.chmod(0o755)
            server, work = Server(here / "server"), Work.create(here / "work")
            server.setup("shop")
            work.connect(server.url("shop"))
            lettered(work)
            with App.open(server.root, "shop", surroundings(os.environ), "ada") as app:
                if at.endswith("requests"):
                    return list(_requests(app, server, here))
                return list(_looks(app, here))


def _requests(app: App, server: Server, here: Path) -> Iterator[str]:
    def back_and_forth() -> None:
        for _ in range(FLIPS // 2):
            flip(app, roll_back)
            flip(app, roll_forward)

    served = Served()
    with nginx(server, here / "nginx") as (live, _):
        while served.requests < REQUESTS:
            served += under_load(f"{live}page", here, back_and_forth)
    if served.failed or served.mixed or served.turns < FLIPS // 10:
        yield str(served)


def _looks(app: App, here: Path) -> Iterator[str]:
    head = app.public.target / "shop"
    looked = look_through(head, here, replacing(app), looks=LOOKS, acts=FLIPS)
    if looked.missed:
        yield str(looked)
