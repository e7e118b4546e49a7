"""Commits that mean harm, pushed for real: refused by name, or harmless on the disk.

Each of them is tried twice: as `setup` leaves the repository, and with git's own fsck
switched off, so that what gitdeploy looks for has to hold alone.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.git import Push, Work
from support.hostile import BOMBS, TREES, UNFIT, UNREADABLE, UNSENT, Raw, Watched
from support.server import Server
from support.sshd import running_sshd

from gitdeploy.system import files

LIMIT_S = 60.0
"""What a refusal may take; a bound, not what it takes (some 0.1 s)."""

ALL = {**TREES, **BOMBS}
FSCK = {"as setup leaves it": "true", "without git's fsck": "false"}
SERVER_TOML = '[limits]\nfile_bytes = "100MiB"\n'


class Place:
    """An app with one honest release, and somebody who means harm."""

    def __init__(self, directory: Path) -> None:
        self.server = Server(directory / "server")
        self.server.setup("shop")
        (self.server.root / "shop/server.toml").write_text(SERVER_TOML)
        self.work = Work.create(directory / "work")
        self.work.connect(self.server.url())
        self.raw = Raw(self.work.path / ".git")
        self.honest = self.work.commit("honest", **{"index.html": "honest"})
        assert self.work.push("main").code == 0
        self.watched = Watched(self.server)
        self._commits: dict[str, str] = {}

    def push(self, commit: str) -> Push:
        """Push a commit to main, in time."""
        began = time.monotonic()
        push = self.work.push(f"+{commit}:refs/heads/main")
        assert time.monotonic() - began < LIMIT_S
        assert not UNFIT.search(push.output), push.output
        assert "Traceback" not in push.output
        return push

    def commit(self, name: str) -> str:
        """Make the commit of a case, once."""
        if name not in self._commits:
            tree = ALL[name].tree(self.raw)
            if name == "300 MB of zeros":
                self._pack(self.work.oid(f"{tree}:zeros"))
            self._commits[name] = self.raw.commit(tree)
        return self._commits[name]

    def directories(self) -> set[Path]:
        return set((self.server.root / "shop/releases").iterdir())

    def _pack(self, id_: str) -> None:
        """Let git send an object as it is: what deflating takes is not the server's."""
        words = ("pack-objects", "-q", ".git/objects/pack/pack")
        self.work.git(*words, stdin=f"{id_}\n")
        self.work.git("prune-packed", "-q")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("hostile"))


def held(directory: Path) -> dict[bytes, bytes]:
    """Return every file below a directory, byte for byte."""
    top = os.fsencode(directory)
    return {
        os.path.relpath(os.path.join(folder, name), top): Path(
            os.fsdecode(os.path.join(folder, name))
        ).read_bytes()
        for folder, _, names in os.walk(top)
        for name in names
    }


def without_links(seen):
    return {path: it for path, it in seen.items() if "/www" not in path}


@pytest.mark.parametrize("fsck", FSCK.values(), ids=FSCK)
@pytest.mark.parametrize("name", ALL)
def test_a_hostile_tree_is_refused_or_harmless(place, name, fsck):
    case = ALL[name]
    place.server.git("config", "receive.fsckObjects", fsck)
    commit = place.commit(name)
    seen, links, refs = place.watched.seen(), place.server.links(), place.server.refs()
    push = place.push(commit)
    if case.deployed:
        assert push.code == 0, push.output
        release = place.server.link("shop-dev-1")
        assert held(release) == case.deployed
        for path in release.iterdir():
            assert stat.S_IMODE(path.lstat().st_mode) in (0o644, 0o444, 0o755, 0o555)
        assert without_links(place.watched.seen()) == without_links(seen)
    else:
        assert push.code == 1
        if fsck == "true" and case.fsck:
            assert f": {case.fsck}: " in push.output
        else:
            assert case.refused in push.status("main").reason
        assert place.watched.seen() == seen
        assert place.server.refs() == refs
        assert place.server.links() == links
    said = place.watched.said()
    assert not UNFIT.search(said)
    assert "Traceback" not in said
    assert not Path("/etc/cron.d/gitdeploy-canary").exists()
    assert not Path("/tmp/gitdeploy-ran").exists()  # noqa: S108 - must not be there


@contextmanager
def moved(place: Place, tree: Callable[[Raw], str]) -> Iterator[str]:
    """Let main be at a tree that came by other ways; an honest push mends that."""
    server = place.server
    raw = Raw(server.repo())
    commit = raw.commit(tree(raw))
    seen, links = place.watched.seen(), server.links()
    server.git("update-ref", "refs/heads/main", commit)
    yield commit
    assert server.links() == links
    assert place.watched.seen() == seen
    assert place.push(place.honest).code == 0
    assert server.refs()["refs/heads/main"] == place.honest


def repaired(place: Place, *words: str) -> tuple[int, str]:
    done = place.server.gitdeploy("repair", "shop", *words, check=False)
    told = done.stdout + done.stderr
    assert "Traceback" not in told
    assert not UNFIT.search(told)
    return done.returncode, told


@pytest.mark.parametrize("name", UNSENT)
def test_what_git_sends_nobody_is_refused_where_it_lies(place, name):
    case = UNSENT[name]
    with moved(place, case.tree) as commit:
        repaired(place, "--deploy", "main")
        event = place.server.history()[0]
        assert (event["new"], event["verdict"]) == (commit, "failed")
        assert case.refused in event["reason"]


@pytest.mark.parametrize(("tree", "words"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_git_cannot_read_stops_nobody_from_pushing_on(place, tree, words):
    with moved(place, tree):
        code, told = repaired(place)
        assert code == 1
        assert words in told


def test_what_hostile_commits_left_behind_is_removed(place):
    """Whatever was deployed of them, and what a refused one left half done."""
    server = place.server
    server.git("config", "receive.fsckObjects", "false")
    for name, case in TREES.items():
        if case.deployed or "submodule" in name:
            place.push(place.commit(name))
    assert place.push(place.honest).code == 0
    linked = set(server.links().values())
    server.gitdeploy("prune", "shop", "--keep", "0")
    failed = [r for r in server.releases() if r["state"] == "failed"]
    left = {path for path in place.directories() if path not in linked}
    assert {path.name for path in left} <= {release["name"] for release in failed}
    for path in left:
        files.remove_tree(path)
    assert place.directories() <= linked


# --- over ssh -------------------------------------------------------------------


@pytest.fixture(scope="module")
def over_ssh(tmp_path_factory):
    """A place that is reached by the forced command alone."""
    directory = tmp_path_factory.mktemp("hostile-ssh")
    place = Place(directory)
    place.server.git("config", "receive.fsckObjects", "false")
    grant = '[[grant]]\nto = ["mallory"]\nmay = ["stage"]\n'
    (place.server.root / "access.toml").write_text(grant)
    with running_sshd(directory / "sshd") as sshd:
        keys = directory / "sshd/authorized_keys"
        public = directory / "sshd/key.pub"
        keys.write_text("")
        words = ("key", "add", "mallory", public, f"--authorized-keys={keys}")
        place.server.gitdeploy(*words)
        place.work.connect(sshd.url("/shop"), ssh_command=sshd.ssh_command)
        yield place


@pytest.mark.parametrize(
    "name",
    [
        "a folder called ..",
        "a link that a NUL makes lead out",
        "a name with a newline and ESC",
        "10^10 files",
    ],
)
def test_it_is_the_same_over_ssh(over_ssh, name):
    case = ALL[name]
    commit = over_ssh.commit(name)
    seen = over_ssh.watched.seen()
    push = over_ssh.push(commit)
    assert (push.code == 0) is bool(case.deployed), push.output
    if case.refused:
        assert case.refused in push.status("main").reason
        assert over_ssh.watched.seen() == seen
        assert over_ssh.server.history()[0]["by"] == "mallory"
