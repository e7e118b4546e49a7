"""Compare what a whole `git push` costs: gitdeploy and other ways to deploy."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cases import CASES
from disk import disk_below
from measure import (
    BenchError,
    Unavailable,
    adopt_orphans,
    clean_environment,
    end_children,
    run,
)
from plan import PARTS, Choice, plan, seconds_a_file
from report import machine, show, write_markdown
from results import Results, write_json
from rivals import RIVALS, rivals
from session import Progress, Route, Session, directory, ssh_route
from ssh import loopback

import gitdeploy

ALL_SIZES, QUICK_SIZES = [100, 2_000, 30_000, 100_000], [100, 2_000]
ALL_RUNS, QUICK_RUNS = 5, 3
QUICK_PARTS = ["push", "floors", "releases"]
RELEASE_FILES, QUICK_RELEASE_FILES = 30_000, 2_000
OVER = {"path": "a path", "ssh": "ssh on loopback"}


def main() -> int:
    """Run the bench and return its exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    adopt_orphans()
    with _scratch(options.dir) as home, ExitStack() as stack:
        env = clean_environment(home)
        _compile(env)
        disk, progress = disk_below(home, env), Progress(0)
        session = Session(home, env, options.runs, disk, progress)
        results = Results(machine(options.runs, home, env))
        routes = _routes(session, results, stack)
        try:
            return _carry_out(_choice(options), session, routes, results)
        finally:
            _tell(options, results)


def _carry_out(
    choice: Choice, session: Session, routes: list[Route], results: Results
) -> int:
    """Measure unit by unit, and keep what there is when one goes wrong."""
    units = plan(choice, session, routes, seconds_a_file(session.home))
    session.progress.expected_s = sum(unit.seconds for unit in units)
    session.progress.say(f"{len(units)} parts, {session.runs} runs, in {session.home}")
    for unit in units:
        session.progress.say(f"{unit.title}: about {unit.seconds / 60:.1f} min")
        try:
            results.rows.extend(unit.rows())
        except Unavailable as reason:
            results.missing.append(f"{unit.title}: {reason}")
        except BenchError as error:
            print(f"bench: {unit.title}: {error}", file=sys.stderr)
            results.missing.append(f"{unit.title}: failed")
            return 1
        except KeyboardInterrupt:
            results.missing.append(f"{unit.title} and what follows: interrupted")
            return 130
    return 0


def _tell(options: argparse.Namespace, results: Results) -> None:
    if options.json:
        write_json(options.json, results)
    if options.markdown:
        write_markdown(options.markdown, results)
    show(results)


def _routes(session: Session, results: Results, stack: ExitStack) -> list[Route]:
    """Return the ways that pushes can travel here, ssh last."""
    routes = [Route(session.env)]
    try:
        server = stack.enter_context(loopback(session.home / "ssh", session.env))
    except Unavailable as reason:
        results.missing.append(f"all that is over ssh: {reason}")
    else:
        routes.append(ssh_route(session.env, server))
    return routes


def _compile(env: Mapping[str, str]) -> None:
    """Have the program compiled, as installing it does: no push shall pay for that."""
    package = str(Path(gitdeploy.__file__).parent)
    run([sys.executable, "-m", "compileall", "-q", package], env)


@contextmanager
def _scratch(parent: Path | None) -> Iterator[Path]:
    """Give a directory that is gone afterwards, and with it all that we started."""
    with directory(parent, "gitdeploy-bench") as home:
        try:
            yield home
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # let the removal finish
            end_children()


def _choice(options: argparse.Namespace) -> Choice:
    return Choice(
        options.parts,
        options.files,
        options.cases,
        rivals(options.rivals, step=options.step, against=options.against),
        options.over,
        QUICK_RELEASE_FILES if options.quick else RELEASE_FILES,
        options.step,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=_help_format
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small sites, few runs: some minutes")
    add("--files", type=_sizes, help="sizes of site [100,2000,30000,100000]")
    add("--runs", type=int, help=f"of each case [{ALL_RUNS}; {QUICK_RUNS} if quick]")
    for name, known in (("parts", PARTS), ("cases", CASES), ("rivals", RIVALS)):
        words = ",".join(known)
        add(f"--{name}", type=_some_of(known), metavar="A,B", help=f"of {words} [all]")
    add("--over", type=_some_of(OVER), metavar="A,B", help="of path,ssh [both]")
    add("--step", default="", metavar="CMD", help="a build step of the pushed sites")
    add("--against", type=Path, metavar="FILE", help="another version's gitdeploy")
    add("--dir", type=Path, help="where servers and sites are made [TMPDIR or /tmp]")
    add("--json", type=Path, metavar="FILE", help="write every sample there")
    add("--markdown", type=Path, metavar="FILE", help="write the tables there")
    return _with_defaults(parser.parse_args())


def _with_defaults(options: argparse.Namespace) -> argparse.Namespace:
    quick = options.quick
    defaults = {
        "files": QUICK_SIZES if quick else ALL_SIZES,
        "runs": QUICK_RUNS if quick else ALL_RUNS,
        "parts": QUICK_PARTS if quick else list(PARTS),
        "cases": list(CASES),
        "rivals": list(RIVALS),
        "over": list(OVER),
    }
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _help_format(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=20)


def _sizes(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
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
