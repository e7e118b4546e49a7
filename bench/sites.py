"""Generated repositories to push from: the same bytes on every machine."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from measure import run

SEED = 20_251_121
FIRST_TIME = 1_750_000_000
MEDIAN_BYTES, SPREAD = 3_000, 1.0
SMALLEST_BYTES, LARGEST_BYTES = 300, 40_000
FILES_PER_DIRECTORY, DEEPEST = 15, 6
BINARY_SHARE = 0.05
POOL_BYTES = 4_000_000
SYLLABLES = ("ba", "co", "de", "fi", "gu", "ha", "jo", "ke", "li", "mu", "na", "po")
BLOCK_BYTES = 1 << 20
NOTHING: Mapping[str, bytes] = MappingProxyType({})
SUFFIXES = ("py", "js", "css", "html", "php", "md", "json", "svg", "txt", "yml")


@dataclass(frozen=True)
class File:
    """One file of a site: where it is and which part of a pool is its body."""

    path: str
    binary: bool
    start: int
    size_bytes: int


@dataclass
class Site:
    """A packed bare repository with one branch, `main`, that a bench pushes from.

    It is bare because a push never looks at a working tree, and writing
    30,000 files for each change would only make the bench slow.
    """

    path: Path
    env: Mapping[str, str]
    files: tuple[File, ...]
    rng: random.Random
    pools: dict[bool, bytes]
    commits: int = field(default=0)

    @property
    def size_bytes(self) -> int:
        """The bytes of one checkout."""
        return sum(file.size_bytes for file in self.files)

    def edit(self, count: int) -> str:
        """Return `main` after a commit that changes the first line of some files."""
        self.commit(f"Edit {count} files", self.rng.sample(self.files, count))
        return "main"

    def empty(self) -> str:
        """Return `main` after a commit that has the tree of the one before."""
        self.commit("Nothing changed", ())
        return "main"

    def revert(self) -> str:
        """Return `main` after a commit with the tree from before the last one."""
        tree, head = self.git("rev-parse", "main~1^{tree}", "main").split()
        self.commits += 1
        message = f"Revert {head} ({self.commits})"
        commit = self.git("commit-tree", tree, "-p", head, "-m", message)
        self.git("update-ref", "refs/heads/main", commit)
        return "main"

    def tag(self) -> str:
        """Return a new annotated tag on `main`."""
        name = f"v{self.commits}"
        self.git("tag", "-a", "-m", name, name, "main")
        return name

    def pack(self) -> None:
        """Put all objects into one pack."""
        self.git("gc", "-q")

    def git(self, *arguments: str, stdin: Iterable[bytes] = ()) -> str:
        """Return what git printed, run in this repository."""
        return run(["git", "-C", str(self.path), *arguments], self.env, stdin=stdin)

    def commit(
        self,
        message: str,
        files: Iterable[File] = (),
        others: Mapping[str, bytes] = NOTHING,
    ) -> None:
        """Put a commit with new content of these files at the end of `main`."""
        self.commits += 1
        stream = chain(self._head(message), *map(self._changed, files))
        bodies = (_file(path, body) for path, body in others.items())
        self._import(chain(stream, bodies))

    def add_noise(self, path: str, size_bytes: int) -> str:
        """Return `main` after a commit that adds a large file nothing can compress."""
        self.commits += 1
        head = f"M 100644 inline {path}\ndata {size_bytes}\n".encode()
        blocks = size_bytes // BLOCK_BYTES
        body = (self.rng.randbytes(BLOCK_BYTES) for _ in range(blocks))
        rest = (self.rng.randbytes(size_bytes % BLOCK_BYTES), b"\n")
        self._import(chain(self._head("A large file"), [head], body, rest))
        return "main"

    def _import(self, stream: Iterable[bytes]) -> None:
        self.git("fast-import", "--quiet", "--date-format=raw", stdin=stream)

    def _head(self, message: str) -> Iterator[bytes]:
        # Source: git-fast-import(1), "Input Format".
        who = f"Bench <bench@example.org> {FIRST_TIME + self.commits} +0000"
        yield f"commit refs/heads/main\ncommitter {who}\n".encode()
        yield _data(f"{message} ({self.commits})".encode())
        if self.commits > 1:
            yield b"from refs/heads/main^0\n"

    def _changed(self, file: File) -> Iterator[bytes]:
        yield _file(file.path, self._content(file))

    def _content(self, file: File) -> bytes:
        head = f"# {file.path}, commit {self.commits}\n".encode()
        end = file.start + max(0, file.size_bytes - len(head))
        return head + self.pools[file.binary][file.start : end]


def make_site(
    path: Path,
    count: int,
    env: Mapping[str, str],
    others: Mapping[str, bytes] = NOTHING,
) -> Site:
    """Return a site of that many files and some others, committed and packed."""
    rng = random.Random(SEED + count)  # noqa: S311 - the seed is the point
    files = tuple(_files(rng, count))
    site = Site(path, env, files, rng, {False: _text(rng), True: _noise(rng)})
    run(["git", "init", "-q", "--bare", "-b", "main", str(path)], env)
    site.git("config", "gc.auto", "0")
    site.commit("A site", files, others)
    site.pack()
    return site


def _files(rng: random.Random, count: int) -> Iterator[File]:
    directories = _directories(rng, max(1, count // FILES_PER_DIRECTORY))
    for number in range(count):
        binary = rng.random() < BINARY_SHARE
        suffix = "png" if binary else rng.choice(SUFFIXES)
        path = f"{rng.choice(directories)}{_word(rng)}{number}.{suffix}"
        start = rng.randrange(POOL_BYTES - LARGEST_BYTES)
        yield File(path, binary, start, _size_bytes(rng))


def _directories(rng: random.Random, count: int) -> list[str]:
    directories = [""]
    while len(directories) < count:
        parent = rng.choice(directories)
        if parent.count("/") < DEEPEST:
            directories.append(f"{parent}{_word(rng)}/")
    return directories


def _size_bytes(rng: random.Random) -> int:
    size = int(MEDIAN_BYTES * rng.lognormvariate(0, SPREAD))
    return min(max(size, SMALLEST_BYTES), LARGEST_BYTES)


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.randint(2, 4)))


def _text(rng: random.Random) -> bytes:
    words = [_word(rng) for _ in range(5_000)]
    picked = rng.choices(words, k=POOL_BYTES // 5)
    lines = (" ".join(picked[at : at + 10]) for at in range(0, len(picked), 10))
    return "\n".join(lines).encode()[:POOL_BYTES]


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(POOL_BYTES)


def _file(path: str, body: bytes) -> bytes:
    return f"M 100644 inline {path}\n".encode() + _data(body)


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)
