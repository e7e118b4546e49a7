"""Pushes to several rivals in turn, and a look at what each then shows."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cases import CASES, round_of
from measure import BenchError, Sample, run
from results import Row
from rivals import KEEP, KEPT, Rival, Server
from session import LARGE, Route, Session, directory, turns
from sites import Site, make_site

WARM_UP_PUSHES = KEPT
"""Besides the first one: with each later push every rival also removes a release."""


@dataclass(frozen=True)
class Contest:
    """Who is compared on which site, and over what."""

    session: Session
    site: Site
    route: Route
    rivals: Mapping[str, Rival]

    @property
    def home(self) -> Path:
        """The directory for servers; the site lies in it too."""
        return self.site.path.parent

    def say(self, text: str) -> None:
        """Say on stderr what is being done."""
        files, over = len(self.site.files), self.route.name
        self.session.progress.say(f"{files:,} files, {over}: {text}")


def push_rows(
    session: Session,
    route: Route,
    files: int,
    cases: list[str],
    rivals: Mapping[str, Rival],
    step: str,
) -> Iterator[Row]:
    """Yield one row for each case, in a directory that is gone afterwards.

    `step` is the one build step that the site declares, empty for none.
    """
    with directory(session.home, f"{files}-files") as here:
        session.progress.say(f"{files:,} files, {route.name}: making them")
        declared = (
            f"{KEEP}[[build.steps]]\nrun = {json.dumps(step)}\n" if step else KEEP
        )
        others = {"deploy.toml": declared.encode()}
        site = make_site(here / "work.git", files, session.env, others)
        contest = Contest(session, site, route, rivals)
        samples = measured(contest, cases)
        yield from (
            Row("push", route.name, files, case, samples[case]) for case in cases
        )


def measured(contest: Contest, cases: list[str]) -> dict[str, dict[str, list[Sample]]]:
    """Return every sample, by case and rival; the rivals take turns in each run."""
    samples: dict[str, dict[str, list[Sample]]] = {
        case: {rival: [] for rival in contest.rivals} for case in CASES
    }
    with servers(contest) as lasting:
        push_all(contest, lasting, "main")
        for number in range(contest.session.runs * ("first" in cases)):
            contest.say(f"first push, run {number + 1} of {contest.session.runs}")
            with servers(contest) as fresh:
                _measure(contest, fresh, "first", number, samples)
        rounds = round_of(cases)
        if rounds:
            _warm_up(contest, lasting)
        for number in range(contest.session.runs if rounds else 0):
            contest.say(f"other pushes, run {number + 1} of {contest.session.runs}")
            for case in rounds:
                _measure(contest, lasting, case, number, samples)
    return samples


def _measure(
    contest: Contest,
    to: dict[str, Server],
    case: str,
    number: int,
    samples: dict[str, dict[str, list[Sample]]],
) -> None:
    ref = CASES[case].change(contest.site)
    thorough = number in {0, contest.session.runs - 1}
    for rival in turns(list(contest.rivals), number):
        sample = push(contest, to[rival], ref, thorough=thorough)
        samples[case][rival].append(sample)


def _warm_up(contest: Contest, to: dict[str, Server]) -> None:
    """Bring every server to where each further push also removes a release."""
    for number in range(WARM_UP_PUSHES):
        contest.say(f"warming up, {number + 1} of {WARM_UP_PUSHES}")
        push_all(contest, to, contest.site.edit(1))
    contest.site.pack()


def push_all(contest: Contest, to: dict[str, Server], ref: str) -> None:
    """Push to all, with no care for what it costs."""
    for rival in contest.rivals:
        push(contest, to[rival], ref, thorough=False)


def push(contest: Contest, server: Server, ref: str, *, thorough: bool) -> Sample:
    """Return what a push cost, having looked at what it deployed."""
    url = contest.route.url(server.repository)
    argv = ["git", "-C", str(contest.site.path), "push", url, ref]
    if server.then:
        argv = ["sh", "-c", f"{shlex.join(argv)} && {server.then}"]
    sample = contest.session.timed(argv, contest.route.env)
    _check(contest, server, ref, thorough=thorough)
    # Over a path the server's side are descendants of the client, not ours alone.
    return sample if contest.route.loopback else replace(sample, peak_bytes=None)


def _check(contest: Contest, server: Server, ref: str, *, thorough: bool) -> None:
    """Raise unless the server has the ref and shows the files of it.

    A hook that quietly did nothing would be the fastest of all. Where a site is
    large, the content of all its files is compared in the first and the last run.
    """
    have = ["git", "-C", str(server.repository), "rev-parse", "--verify", ref]
    if run(have, contest.session.env) != contest.site.git("rev-parse", ref):
        raise BenchError(f"{server.repository}: {ref} is not what was pushed")
    shown = server.shows(ref)
    if shown is None:
        return
    if thorough or len(contest.site.files) < LARGE:
        _compare_all(contest, shown.resolve(), ref)
    else:
        _compare_changed(contest.site, shown.resolve(), ref)


def _compare_all(contest: Contest, shown: Path, ref: str) -> None:
    index = {"GIT_INDEX_FILE": str(contest.session.home / "index")}
    look = {"GIT_DIR": str(contest.site.path), "GIT_WORK_TREE": str(shown)}
    env = {**contest.session.env, **index, **look}
    run(["git", "read-tree", ref], env)
    run(["git", "update-index", "--refresh"], env)


def _compare_changed(site: Site, shown: Path, ref: str) -> None:
    words = ("-r", "--root", "--no-commit-id", "--diff-filter=d")
    lines = site.git("diff-tree", *words, f"{ref}^{{commit}}").splitlines()
    wanted = {path: fields.split()[3] for fields, _, path in map(_halves, lines)}
    paths = "".join(f"{shown / path}\n" for path in wanted).encode()
    found = site.git("hash-object", "--stdin-paths", "--no-filters", stdin=[paths])
    if found.split() != list(wanted.values()):
        raise BenchError(f"{shown}: some file is not what was pushed")
    there = sum(len(files) for _, _, files in os.walk(shown))
    if there < len(site.files):
        raise BenchError(f"{shown}: {there} files of {len(site.files)}")


def _halves(line: str) -> tuple[str, str, str]:
    return line.partition("\t")


@contextmanager
def servers(contest: Contest) -> Iterator[dict[str, Server]]:
    """Give one new server for each rival, gone afterwards."""
    with directory(contest.home, "servers") as home:
        made = {}
        for name, rival in contest.rivals.items():
            root = home / name
            root.mkdir()
            made[name] = rival.make(root, contest.session.env)
        yield made
