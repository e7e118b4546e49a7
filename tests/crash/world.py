"""A server's root with the app shop, and a developer's clone that pushes to it.

A world is cheap to copy and to throw away: nothing in a root knows where it lies. The
clone is only read, so that all worlds share it.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support import process
from support.git import Push, Work

from gitdeploy.deploy.app import App
from gitdeploy.door import surroundings

POSITIONS = 3
HISTORY = 6
"""How many commits the base world has on main; see `developer`."""

DEPLOY_TOML = """\
[shared]
files = [".env"]
dirs  = ["storage"]

[[build.steps]]
name    = "dependencies"
run     = "mkdir made; echo dependencies > made/list"
inputs  = ["lock.txt"]
outputs = ["made"]

[[build.steps]]
name = "page"
run  = "read page < index.html; echo built $page > built.txt"
"""
ALIVE = """
[[checks]]
run = "test -e index.html"

[[activate]]
run = "test -e built.txt"
"""
BROKEN = """
[[activate]]
run = "exit 1"
"""
SHARED = {".env": b"A=1\n", "storage/kept": b"kept\n"}
"""What is seeded from the first commit, by its path in the shared directory."""


@dataclass(frozen=True)
class World:
    """A root and the clone that pushes to it."""

    root: Path
    clone: Path

    @property
    def work(self) -> Work:
        """The developer's clone: it is never changed after it was made."""
        return Work(self.clone)

    @property
    def target(self) -> Path:
        """Where the public links are."""
        return self.root / "www"

    @property
    def home(self) -> Path:
        """The app's directory."""
        return self.root / "shop"

    @property
    def repository(self) -> Path:
        """The app's bare repository."""
        return self.root / "shop.git"

    def copied(self, root: Path) -> "World":
        """Return a copy of this world whose root is `root`, which is new."""
        shutil.copytree(self.root, root, symlinks=True)
        return World(root, self.clone)

    def open(self) -> App:
        """Return the app, to be looked at from inside."""
        return App.open(self.root, "shop", surroundings(os.environ), "ada")

    def push(self, *refspecs: str, receive_pack: str = "git-receive-pack") -> Push:
        """Push from the clone with the real git; the clone remembers nothing of it."""
        words = ["push", "--porcelain", f"--receive-pack={receive_pack}"]
        done = self.work.git(*words, str(self.repository), *refspecs, check=False)
        return Push(done.returncode, done.stderr, {})

    def gitdeploy(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a verb on this world's server."""
        return process.run(*python(), *words, env=self.environment(), check=False)

    def environment(self) -> dict[str, str]:
        """Return what says which root a verb acts on."""
        return {"GITDEPLOY_ROOT": str(self.root), "PYTHONHASHSEED": "0"}

    def refs(self) -> dict[str, str]:
        """Return what the repository's refs hold."""
        if not (self.repository / "HEAD").exists():
            return {}
        words = ("for-each-ref", "--format=%(refname) %(objectname)")
        listed = process.run("git", f"--git-dir={self.repository}", *words)
        return dict(line.split(" ") for line in listed.stdout.splitlines())

    def positions(self) -> int:
        """Return how many links each chain shall have, as the ledger says."""
        with closing(sqlite3.connect(self.home / "ledger.db")) as ledger:
            rows = ledger.execute("SELECT value FROM setting WHERE name = 'links'")
            return int(next(rows, [POSITIONS])[0])

    def processes(self) -> list[int]:
        """Return the processes, other than this one, that have to do with the root."""
        return [pid for pid in _pids() if pid != os.getpid() and self._holds(pid)]

    def _holds(self, pid: int) -> bool:
        name = os.fsencode(self.root)
        with suppress(OSError):  # it has just ended, or is another user's
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(self.root)):
                return True
            for what in ("environ", "cmdline"):
                if name in Path(f"/proc/{pid}/{what}").read_bytes():
                    return True
        return False


def python() -> list[str]:
    """Return how gitdeploy is started: repeatable, and leaving nothing behind."""
    return [sys.executable, "-B", "-P", "-s", "-m", "gitdeploy"]


def end(pids: list[int]) -> None:
    """Kill processes that were left over, by their numbers."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


# --- the developer ----------------------------------------------------------------


def developer(path: Path) -> None:
    """Make the clone: a history, and all that anybody will push later.

    Branches `c1` to `c6` are the history of main. `stage` is a commit more,
    `revert` takes the latest back, `alive` is checked and activated, `broken` does not
    work once it is live; `after-X` is what is pushed after X was.
    """
    work = Work.create(path)
    shutil.rmtree(path / ".git" / "hooks")
    work.write("deploy.toml", DEPLOY_TOML)
    work.write("lock.txt", "1\n")
    for name, content in SHARED.items():
        work.write(name, content)
    work.write("bin/run", "#!/bin/sh\n", 0o755)
    work.write("deep/er/leaf", "leaf\n")
    (path / "link").symlink_to("index.html")
    for n in range(1, HISTORY + 1):
        work.commit(f"page {n}", **{"index.html": f"page {n}\n"})
        work.git("branch", f"c{n}")
    _branch(work, "after-main", f"c{HISTORY}", "after")
    _branch(work, "stage", f"c{HISTORY}", "staged")
    _branch(work, "after-stage", "stage", "after staged")
    _branch(work, "alive", f"c{HISTORY}", "alive", DEPLOY_TOML + ALIVE)
    _branch(work, "after-alive", "alive", "after alive")
    _branch(work, "broken", f"c{HISTORY}", "broken", DEPLOY_TOML + BROKEN)
    work.git("checkout", "--quiet", "-b", "revert", f"c{HISTORY}")
    work.revert()
    _branch(work, "after-revert", "revert", "after revert")
    work.git("checkout", "--quiet", "main")


def _branch(
    work: Work, name: str, start: str, page: str, toml: str | None = None
) -> None:
    work.git("checkout", "--quiet", "-b", name, start)
    files = {"index.html": f"{page}\n"}
    work.commit(page, **files if toml is None else {**files, "deploy.toml": toml})


@dataclass(frozen=True)
class File:
    """What a name in a release must be."""

    content: bytes
    """Of a link: what it holds."""
    kind: str = "file"
    """file, program or link."""


@cache
def expected(clone: Path) -> dict[str, dict[str, File]]:
    """Return what a release of each commit holds, by the commit's seven digits."""
    commits = process.run("git", "-C", clone, "rev-list", "--branches").stdout.split()
    return {commit[:7]: _release_of(clone, commit) for commit in commits}


def _release_of(clone: Path, commit: str) -> dict[str, File]:
    """Return the files of a commit's tree, what is built, and the shared links."""
    files = dict(_tree(clone, commit))
    page = files["index.html"].content
    files["built.txt"] = File(b"built " + page)
    files["made/list"] = File(b"dependencies\n")
    for name in SHARED:
        del files[name]
    files[".env"] = File(b"../../shared/.env", "link")
    files["storage"] = File(b"../../shared/storage", "link")
    return files


def _tree(clone: Path, commit: str) -> Iterator[tuple[str, File]]:
    listed = process.run("git", "-C", clone, "ls-tree", "-r", "-z", commit).stdout
    kinds = {"100644": "file", "100755": "program", "120000": "link"}
    for entry in listed.split("\0")[:-1]:
        words, path = entry.split("\t", 1)
        mode, _, blob = words.split(" ")
        content = process.run("git", "-C", clone, "cat-file", "blob", blob).stdout
        yield path, File(content.encode(), kinds[mode])


# --- places -----------------------------------------------------------------------


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory for worlds, in memory where there is room for them."""
    import tempfile

    memory = Path("/dev/shm")  # noqa: S108 - a name of our own is made below it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2**30
    place = memory if roomy and os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gitdeploy-crash-", dir=place) as path:
        yield Path(path)
