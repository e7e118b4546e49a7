"""What one large file costs the memory of the server's side."""

from collections.abc import Iterator

from measure import Sample
from pushes import Contest, push, push_all, servers
from results import Row
from rivals import RIVALS
from session import FEWER_RUNS, Route, Session, directory, turns
from sites import make_site

BLOB_BYTES = 10**9
FILES = 100
CASE = "blob"


def blob_rows(session: Session, route: Route) -> Iterator[Row]:
    """Yield one row: pushes of a commit that adds a file of 1 GB."""
    samples: dict[str, list[Sample]] = {name: [] for name in RIVALS}
    with directory(session.home, "blob") as here:
        site = make_site(here / "work.git", FILES, session.env)
        site.git(
            "config", "core.compression", "0"
        )  # the pusher's time, not in question
        contest = Contest(session, site, route, RIVALS)
        contest.say("a file of 1 GB: making it")
        before = site.git("rev-parse", "main")
        site.add_noise("video.bin", BLOB_BYTES)
        after = site.git("rev-parse", "main")
        for number in range(min(session.runs, FEWER_RUNS)):
            contest.say(f"a file of 1 GB, run {number + 1}")
            with servers(contest) as made:
                site.git("update-ref", "refs/heads/main", before)
                push_all(contest, made, "main")
                site.git("update-ref", "refs/heads/main", after)
                for name in turns(list(RIVALS), number):
                    found = push(contest, made[name], "main", thorough=number == 0)
                    samples[name].append(found)
    yield Row("memory", route.name, FILES, CASE, samples)
