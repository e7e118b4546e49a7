"""Random histories of one app: hostile stages, an honest release, and one more stage.

Whatever the hostile steps tried: nothing besides the app changed, prod shows its commit
and what its build made, and the app can be worked on.
"""

import fcntl
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import Final

from support import process
from support.git import REMOTE, Work
from support.ordinary import give, ordinary_user

from gitdeploy.system import processes
from hostile.moves import Hand

CANARY: Final = "canary-4711-of-the-blog"
LIMIT_S: Final = 2
_BUILT: Final = 0.7
LONGEST_S: Final = 4 * LIMIT_S + 60
"""What a push with all its commands may take on a slow machine."""

HONEST: Final = """
[[build.steps]]
name = "honest"
run = "mkdir -p out && sed 's/^/built from /' src >out/built && cp src out/copy"
inputs = ["src"]
outputs = ["out"]
"""
_EVIL: Final = "name = 'evil'\nrun = 'sh evil'\n"
_NOT_LONG: Final = f"timeout = '{LIMIT_S}s'\n"  # a step has the one of [build]
KINDS: Final = {
    "step": f"[[build.steps]]\n{_EVIL}",
    "check": f"[[checks]]\n{_EVIL}{_NOT_LONG}",
    "activate": f"[[activate]]\n{_EVIL}{_NOT_LONG}",
    "tool": "[[build.steps]]\nname = 'evil'\nrun = 'mkdir -p t'\ntool = 'sh evil'\n"
    "inputs = ['src']\noutputs = ['t']\n",
}
SHARED: Final = (
    "",
    "[shared]\ndirs = ['storage']\n",
    "[shared]\ndirs = ['storage', 'public/up']\nscope = 'chain'\n",
    "[shared]\nfiles = ['storage/kept']\n",
    "[shared]\nfiles = ['a/pre-receive']\n",
    "[shared]\ndirs = ['a/b']\n",
)
ENVIRONMENTS: Final = (
    "",
    "env = {{ PATH = '{root}/shop/cache/bin:/usr/bin:/bin' }}\n",
    "env = {{ TMPDIR = '{root}/blog', LD_PRELOAD = '{root}/shop/cache/x' }}\n",
)


class Broken(AssertionError):
    """A history did what none may do."""


@dataclass(frozen=True)
class World:
    """An ordinary user's server with two apps, and a developer's clone."""

    path: Path
    prefix: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.path / "root"

    def run(self, *words: str | Path, limit_s: float = 60) -> CompletedProcess[str]:
        """Run a program as the server's user."""
        here = {"GITDEPLOY_ROOT": str(self.root), "HOME": f"{self.path}/home"}
        argv = [*self.prefix, *words]
        work = self.path / "work"
        return process.run(*argv, cwd=work, env=here, check=False, timeout_s=limit_s)

    def gitdeploy(self, *words: str) -> CompletedProcess[str]:
        return self.run(sys.executable, "-m", "gitdeploy", *words)

    def commit(self, message: str, **files: str) -> None:
        """Commit files, and take those away that the commit before brought."""
        work = self.path / "work"
        self._git("rm", "-rq", "--ignore-unmatch", ".")
        for name, content in files.items():
            place = work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content, "utf-8", "surrogateescape")
        self._own(work, files)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "-m", message)

    def _own(self, work: Path, names: Iterable[str]) -> None:
        for name in names:
            for path in (work / name, *(work / name).parents):
                if path == work:
                    break
                os.chown(path, *_owner(self.root))

    def push(self, ref: str) -> CompletedProcess[str]:
        return self.run("git", "push", "--force", REMOTE, ref, limit_s=LONGEST_S)

    def tag(self, name: str) -> None:
        self._git("tag", name)

    def _git(self, *words: str) -> None:
        done = self.run("git", *words)
        assert done.returncode == 0, done.stderr


@contextmanager
def first_world() -> Iterator[World]:
    """A world from which others are copied."""
    with _empty_world() as world:
        for name in ("root", "home/.ssh", "outside"):
            (world.path / name).mkdir(parents=True)
        (world.path / "home/.ssh/authorized_keys").write_text(f"# {CANARY}\n")
        work = Work.create(world.path / "work")
        work.connect("../root/shop.git")
        work.git("config", "user.name", "Mallory")
        work.git("config", "user.email", "mallory@example.org")
        give(world.path)
        for app in ("shop", "blog"):
            assert world.gitdeploy("setup", app).returncode == 0
            toml = world.root / app / "server.toml"
            toml.write_text('[steps]\nconfine = "require"\n')
            toml.chmod(0o600)
            os.chown(toml, *_owner(world.root))
        assert world.gitdeploy("env", "blog", "set", f"S={CANARY}").returncode == 0
        yield world


@contextmanager
def copied(first: World) -> Iterator[World]:
    """A world like the first; nothing in it names where it lies."""
    with _empty_world() as world:
        process.run("cp", "-a", f"{first.path}/.", world.path)
        yield world


@contextmanager
def _empty_world() -> Iterator[World]:
    path = Path(tempfile.mkdtemp(prefix="gitdeploy-history-"))
    try:
        path.chmod(0o755)
        is_root = os.geteuid() == 0
        yield World(path, tuple(ordinary_user(path)) if is_root else ())
    finally:
        _end_all(path / "root")
        process.run("chmod", "-R", "u+rwX", path, check=False)
        shutil.rmtree(path, ignore_errors=True)


def _end_all(root: Path) -> None:
    """End what a push that did not end in time still runs."""
    for one in processes.running():
        if one.variable("GITDEPLOY_ROOT") == str(root):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)


def _owner(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid


def play(first: World, seed: int) -> str:
    """Play one history; return which of its pushes went through.

    Raises:
        Broken: Something happened that must not.
    """
    random_ = random.Random(seed)
    with copied(first) as world:
        before = outside(world)
        hand = Hand(random_, str(world.root), f"{world.path}/home")
        said = [_hostile(world, random_, hand) for _ in range(2)]
        released, bytes_ = _honest(world, random_)
        said.append(released)
        said.append(_hostile(world, random_, hand))
        if released and bytes_ != served(world):
            raise Broken(f"seed {seed}: prod changed after it was released")
        if outside(world) != before:
            now = outside(world)
            changed = [p for p in {*before, *now} if before.get(p) != now.get(p)]
            raise Broken(f"seed {seed}: changed outside: {sorted(changed)[:5]}")
        _check_free(world, seed)
        return "".join("+" if one else "-" for one in said)


def _hostile(world: World, random_: random.Random, hand: Hand) -> bool:
    kinds = random_.sample([*KINDS], random_.randint(1, 2))
    begin, part = hand.opening()
    environment = random_.choice(ENVIRONMENTS) if part is None else ""
    if part == "env":
        environment, part = ENVIRONMENTS[1], ""
    toml = f"[build]\ntimeout = '{LIMIT_S}s'\n"
    toml += environment.format(root=str(world.root))
    toml += f"\n[checkout]\nshare = '{random_.choice(['auto', 'always'])}'\n"
    toml += random_.choice(SHARED) if part is None else part
    if random_.random() < _BUILT:
        toml += HONEST.replace('outputs = ["out"]', _reused(random_))
    toml += "".join(KINDS[kind] for kind in kinds)
    source = random_.choice(["one\n", "two\n"])
    files = {"src": source, "page": "page\n", "public/up/kept": "kept\n"}
    files |= {"storage/kept": "kept\n", "a/pre-receive": "#!/bin/sh\nexit 1\n"}
    files |= {"deploy.toml": toml, "evil": hand.script(begin)}
    world.commit("hostile", **files)
    return _pushed(world, "main")


def _reused(random_: random.Random) -> str:
    how = random_.choice(["copy", "share"])
    return f'outputs = ["out"]\nreuse = "{how}"'


def _honest(world: World, random_: random.Random) -> tuple[bool, dict[str, str]]:
    """Stage and release an honest commit; return whether, and what prod shows."""
    source = random_.choice(["one\n", "two\n"])
    files, built = {"src": source, "page": "page\n"}, {}
    if random_.random() < _BUILT:
        files["deploy.toml"] = HONEST
        built = {"out/built": f"built from {source}", "out/copy": source}
    world.commit("honest", **files)
    _pushed(world, "main")
    world.tag("v1")
    if not _pushed(world, "v1"):
        return False, {}
    shown = served(world)
    if shown != {**files, **built}:
        raise Broken(
            f"prod shows {shown}, and its commit makes { ({**files, **built}) }"
        )
    return True, shown


def _pushed(world: World, ref: str) -> bool:
    try:
        done = world.push(ref)
    except TimeoutExpired as error:
        raise Broken(f"a push of {ref} does not end") from error
    told = done.stdout + done.stderr
    if CANARY in told or "Traceback" in told or "a bug" in told:
        raise Broken(f"a push of {ref} told: {told[-2000:]}")
    return done.returncode == 0


def _check_free(world: World, seed: int) -> None:
    """Say nothing if the app can be worked on: its lock is free, a verb works."""
    with open(world.root / "shop/lock", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Broken(f"seed {seed}: the lock is held") from error
    for words in (("repair", "shop"), ("prune", "shop", "--keep", "0")):
        done = world.gitdeploy(*words)
        if done.returncode:
            raise Broken(f"seed {seed}: {words[0]} says {done.stderr[-1000:]}")


def served(world: World) -> dict[str, str]:
    """Return what prod shows, links as what they hold."""
    top = (world.root / "www/shop").resolve()
    found = {}
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink():
                found[str(path.relative_to(top))] = f"-> {path.readlink()}"
            elif path.is_file():
                found[str(path.relative_to(top))] = path.read_text(errors="replace")
    return found


def outside(world: World) -> dict[str, tuple[int, str]]:
    """Return all that is there besides the app and the clone."""
    ours = {world.root / n for n in ("shop", "shop.git", "www")} | {world.path / "work"}
    found: dict[str, tuple[int, str]] = {}
    for folder, folders, names in os.walk(world.path):
        folders[:] = [name for name in folders if Path(folder, name) not in ours]
        for name in (*folders, *names):
            path = Path(folder, name)
            status = path.lstat()
            whole = path.is_file() and not path.is_symlink()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if whole else ""
            found[str(path.relative_to(world.path))] = (status.st_mode, content)
    return found
