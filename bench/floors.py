"""What git, libgit2, the file system and Python need alone, for one whole tree."""

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from measure import BenchError, Sample, run
from results import Row
from session import Session, directory, turns
from sites import Site, make_site

ARCHIVE = 'git --git-dir "$1" archive main | tar -x -C "$2"'
"""Run by sh with a repository and an empty directory."""

LIBGIT2 = """\
import sys
import pygit2
from pygit2.enums import CheckoutStrategy as How
repository = pygit2.Repository(sys.argv[1])
how = How.FORCE | How.DONT_UPDATE_INDEX
repository.checkout_tree(
    repository.revparse_single("main"), directory=sys.argv[2], strategy=how
)
"""
"""Run by Python with a repository and an empty directory."""

HOOK_IMPORTS = "import gitdeploy.hooks.proc_receive"
IMPORTS = {"Python alone": "", "Python, the hook's imports": HOOK_IMPORTS}


@dataclass(frozen=True)
class Tree:
    """A repository to take a tree from, one that is there, and where one may go."""

    session: Session
    repository: Path
    there: Path
    new: Path

    def git(self, *arguments: str) -> list[str]:
        """Return the argv of git for the new directory, with an index of its own."""
        index = f"GIT_INDEX_FILE={self.new}.index"
        where = ("--git-dir", str(self.repository), "--work-tree", str(self.new))
        return ["env", index, "git", *where, *arguments]

    def check_out(self, ref: str, workers: int) -> list[str]:
        """Return the argv that makes the new directory have that tree."""
        parallel = f"checkout.workers={workers}"
        return self.git("-c", parallel, "read-tree", "-m", "-u", ref)


@dataclass(frozen=True)
class Floor:
    """One command; what goes before has no clock running."""

    title: str
    command: Callable[[Tree], list[str]]
    before: Callable[[Tree], list[str]] = lambda tree: ["mkdir", str(tree.new)]


def _copy(*options: str) -> Callable[[Tree], list[str]]:
    return lambda tree: ["cp", *options, str(tree.there), str(tree.new)]


def _archive(tree: Tree) -> list[str]:
    return ["sh", "-c", ARCHIVE, "sh", str(tree.repository), str(tree.new)]


def _libgit2(tree: Tree) -> list[str]:
    return [sys.executable, "-c", LIBGIT2, str(tree.repository), str(tree.new)]


def _before_one(tree: Tree) -> list[str]:
    earlier = shlex.join(tree.check_out("main~1", 1))
    return ["sh", "-c", f"mkdir {shlex.quote(str(tree.new))} && {earlier}"]


def _nothing(_tree: Tree) -> list[str]:
    return ["true"]


FLOORS = {
    "archive": Floor("git archive | tar", _archive),
    "git-1": Floor("git read-tree -u, 1 worker", lambda t: t.check_out("main", 1)),
    "git-0": Floor("git read-tree -u, all cores", lambda t: t.check_out("main", 0)),
    "libgit2": Floor("pygit2 checkout_tree", _libgit2),
    "reflink": Floor("cp -a --reflink=auto", _copy("-a", "--reflink=auto"), _nothing),
    "links": Floor("cp -al (hard links)", _copy("-al"), _nothing),
    "git-one": Floor(
        "git read-tree -u, one changed", lambda t: t.check_out("main", 1), _before_one
    ),
    "remove": Floor("rm -rf", lambda t: ["rm", "-rf", str(t.new)], _copy("-a")),
}


def floor_rows(session: Session, files: int) -> Iterator[Row]:
    """Yield one row for each command that whole trees are made or removed with."""
    with directory(session.home, f"{files}-floors") as here:
        session.progress.say(f"{files:,} files: making them")
        site = make_site(here / "work.git", files, session.env)
        site.edit(1)
        site.pack()
        tree = _tree(session, site, here)
        samples: dict[str, list[Sample]] = {name: [] for name in FLOORS}
        for number in range(session.runs_alone(files)):
            session.progress.say(f"{files:,} files: commands alone, run {number + 1}")
            for name in turns(list(FLOORS), number):
                samples[name].append(_measure(tree, FLOORS[name], site.env))
        for name, found in samples.items():
            yield Row("floors", "path", files, name, {"alone": found})


def start_rows(session: Session) -> Iterator[Row]:
    """Yield what starting Python costs, and with it what every hook starts with."""
    samples: dict[str, list[Sample]] = {title: [] for title in IMPORTS}
    for _ in range(session.runs + 1):
        for title, code in IMPORTS.items():
            argv = [sys.executable, "-c", code]
            samples[title].append(session.timed(argv, session.env))
    for title, found in samples.items():
        yield Row("floors", "path", 0, title, {"alone": found[1:]})  # warm from then on


def _tree(session: Session, site: Site, here: Path) -> Tree:
    tree = Tree(session, site.path, here / "there", here / "new")
    tree.there.mkdir()
    run(["sh", "-c", ARCHIVE, "sh", str(tree.repository), str(tree.there)], site.env)
    return tree


def _measure(tree: Tree, floor: Floor, env: Mapping[str, str]) -> Sample:
    run(floor.before(tree), env)
    sample = tree.session.timed(floor.command(tree), env)
    if floor is not FLOORS["remove"] and not any(tree.new.iterdir()):
        raise BenchError(f"{floor.title}: made nothing")
    run(["rm", "-rf", str(tree.new), f"{tree.new}.index"], env)
    return sample
