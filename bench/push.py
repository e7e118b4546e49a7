"""Compare what a whole `git push` costs: gitdeploy, a hand-written hook, no hook."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cases import CASES, Case
from measure import (
    BenchError,
    Sample,
    adopt_orphans,
    clean_environment,
    end_children,
    run,
    timed,
)
from report import Row, machine, progress, show, write_json
from rivals import RIVALS, Server
from sites import Site, make_site

WARM_UP_PUSHES = 14
"""Past what any rival keeps (10 releases and 3 links), so that all of them prune."""


@dataclass(frozen=True)
class Bench:
    """What every measurement of one bench shares."""

    home: Path
    env: Mapping[str, str]
    rivals: list[str]
    runs: int


def main() -> int:
    """Run the bench and return its exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    adopt_orphans()
    try:
        with _scratch(options.dir) as home:
            _compare(options, home)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _compare(options: argparse.Namespace, home: Path) -> None:
    bench = Bench(home, clean_environment(home), options.rivals, options.runs)
    about = machine(bench.runs, home)
    rows = [row for n in options.files for row in _rows(bench, n, options.cases)]
    show(about, rows, bench.rivals)
    if options.json:
        write_json(options.json, about, rows, bench.rivals)


def _rows(bench: Bench, files: int, cases: list[str]) -> Iterator[Row]:
    """Yield one row for each case, in a directory that is gone afterwards."""
    with _directory(bench.home, f"{files}-files") as here:
        progress(f"{files:,} files: generating")
        site = make_site(here / "work.git", files, bench.env)
        progress(f"{files:,} files: {site.size_bytes / 1e6:.1f} MB a checkout")
        with _servers(bench, here) as servers:
            _warm_up(bench, site, servers)
            for name in cases:
                progress(f"{files:,} files: {CASES[name].title}")
                samples = _measure(bench, site, servers, CASES[name])
                yield Row(files, name, samples)


def _measure(
    bench: Bench, site: Site, lasting: dict[str, Server], case: Case
) -> dict[str, list[Sample]]:
    """Return every rival's samples, the rivals taking turns: A B C, B C A, …"""
    samples: dict[str, list[Sample]] = {rival: [] for rival in bench.rivals}
    for number in range(bench.runs):
        if case.before:
            _push_all(bench, site, lasting, case.before(site))
        ref = case.change(site)
        first = number % len(bench.rivals)
        turns = bench.rivals[first:] + bench.rivals[:first]
        with _servers_for(bench, site, lasting, fresh=case.fresh) as servers:
            for rival in turns:
                samples[rival].append(_push(bench, site, servers[rival], ref))
    return samples


def _warm_up(bench: Bench, site: Site, servers: dict[str, Server]) -> None:
    """Bring every server to where each further push also removes a release."""
    _push_all(bench, site, servers, "main")
    for _ in range(WARM_UP_PUSHES):
        _push_all(bench, site, servers, site.edit(1))
    site.pack()


def _push_all(bench: Bench, site: Site, servers: dict[str, Server], ref: str) -> None:
    for rival in bench.rivals:
        _push(bench, site, servers[rival], ref)


def _push(bench: Bench, site: Site, server: Server, ref: str) -> Sample:
    """Return what a push cost, having looked at what it deployed."""
    argv = ["git", "-C", str(site.path), "push", server.url, ref]
    sample = timed(argv, bench.env)
    _check(bench, site, server, ref)
    return sample


def _check(bench: Bench, site: Site, server: Server, ref: str) -> None:
    """Raise unless the server has the ref and shows every file of it.

    A hook that quietly did nothing would be the fastest of all.
    """
    have = ["git", "-C", str(server.repository), "rev-parse", "--verify", ref]
    if run(have, bench.env) != site.git("rev-parse", ref):
        raise BenchError(f"{server.repository}: {ref} is not what was pushed")
    shown = server.shows(ref)
    if shown is None:
        return
    index = {"GIT_INDEX_FILE": str(bench.home / "index")}
    look = {"GIT_DIR": str(site.path), "GIT_WORK_TREE": str(shown.resolve())}
    env = {**bench.env, **index, **look}
    run(["git", "read-tree", ref], env)
    run(["git", "update-index", "--refresh"], env)


@contextmanager
def _servers_for(
    bench: Bench, site: Site, lasting: dict[str, Server], *, fresh: bool
) -> Iterator[dict[str, Server]]:
    if not fresh:
        yield lasting
        return
    with _servers(bench, site.path.parent) as servers:
        yield servers


@contextmanager
def _servers(bench: Bench, here: Path) -> Iterator[dict[str, Server]]:
    """Give one new server for each rival, gone afterwards."""
    with _directory(here, "servers") as home:
        roots = {rival: home / rival for rival in bench.rivals}
        for root in roots.values():
            root.mkdir()
        yield {r: RIVALS[r].make(root, bench.env) for r, root in roots.items()}


@contextmanager
def _directory(parent: Path | None, name: str) -> Iterator[Path]:
    """Give a directory that is gone afterwards, read-only parts and all."""
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=parent) as path:
        yield Path(path).resolve()


@contextmanager
def _scratch(parent: Path | None) -> Iterator[Path]:
    """Give a directory that is gone afterwards, and with it all that we started."""
    with _directory(parent, "gitdeploy-bench") as home:
        try:
            yield home
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # let the removal finish
            end_children()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--files", type=_sizes, default="100,2000,30000", help="files in each site")
    add("--runs", type=_positive, default=5, help="runs of each case (5)")
    add("--cases", type=_some_of(CASES), default=",".join(CASES))
    add("--rivals", type=_some_of(RIVALS), default=",".join(RIVALS))
    add("--json", type=Path, metavar="FILE", help="write every sample there too")
    add("--dir", type=Path, help="where to work: choose the file system (TMPDIR)")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return sorted({_positive(part) for part in text.split(",")})


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _some_of(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """Return a reader of comma-separated names that keeps the order of `known`."""

    def read(text: str) -> list[str]:
        wanted = text.split(",")
        unknown = [name for name in wanted if name not in known]
        if unknown:
            message = f"{unknown[0]!r} is none of {','.join(known)}"
            raise argparse.ArgumentTypeError(message)
        return [name for name in known if name in wanted]

    return read


if __name__ == "__main__":
    sys.exit(main())
