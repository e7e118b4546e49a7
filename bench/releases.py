"""What ten releases of one site cost the disk when little changes between them."""

from collections.abc import Iterator
from dataclasses import replace

from disk import held_bytes
from measure import Sample
from pushes import Contest, push, servers
from results import Row
from rivals import GitDeploy, HandWritten, Rival, Server
from session import Route, Session, directory
from sites import make_site

RELEASES = 10
CASE = "ten"


def release_rows(session: Session, route: Route, files: int) -> Iterator[Row]:
    """Yield one row: ten pushes to a new server of each kind, the first included."""
    rivals: dict[str, Rival] = {
        "gitdeploy": GitDeploy(),
        "hook": HandWritten(kept=RELEASES),
    }
    with directory(session.home, f"{files}-releases") as here:
        site = make_site(here / "work.git", files, session.env)
        contest = Contest(session, site, route, rivals)
        contest.say(f"{RELEASES} releases")
        samples: dict[str, list[Sample]] = {name: [] for name in rivals}
        with servers(contest) as made:
            for number in range(RELEASES):
                ref = site.edit(1) if number else "main"
                for name, server in made.items():
                    samples[name].append(push(contest, server, ref, thorough=True))
            whole = {name: [_sum(samples[name], made[name])] for name in rivals}
        yield Row("releases", route.name, files, CASE, whole)


def _sum(samples: list[Sample], server: Server) -> Sample:
    assert server.releases
    written = [s.written_bytes for s in samples if s.written_bytes is not None]
    return replace(
        samples[0],
        wall_s=sum(sample.wall_s for sample in samples),
        cpu_s=sum(sample.cpu_s for sample in samples),
        written_bytes=sum(written) if len(written) == len(samples) else None,
        held_bytes=held_bytes(server.releases),
    )
