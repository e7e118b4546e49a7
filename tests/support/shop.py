"""The app that tests of the command line look at and act on."""

from collections.abc import Iterator
from contextlib import contextmanager

from gitdeploy.lock import lock_held
from support import process
from support.git import Work
from support.server import Server


def staged(server: Server, work: Work) -> Server:
    """Put release 1 on both chains and stage release 2; return the server."""
    work.commit("one", **{"index.html": "one"})
    assert work.push("main").code == 0
    work.tag("v1")
    assert work.push("v1").code == 0
    work.commit("two", **{"index.html": "two"})
    assert work.push("main").code == 0
    return server


@contextmanager
def busy(server: Server) -> Iterator[None]:
    """Let somebody else, bob, work on the app shop for the body."""
    lock = server.root / "shop" / "lock"
    with lock_held(lock, by="bob", what="push of main", wait_s=0, tell=print):
        yield


def code(server: Server, *words: str, **more) -> int:
    """Return the exit status of a verb."""
    return server.gitdeploy(*words, check=False, **more).returncode


@contextmanager
def ref_locked(server: Server, ref: str) -> Iterator[int]:
    """Let a living git hold a ref's lock file for the body; yields its process."""
    held = server.refs()[ref]
    begun = b"start\nupdate %b %b\nprepare\n" % (ref.encode(), held.encode())
    words = ("git", f"--git-dir={server.repo()}", "update-ref", "--stdin")
    with process.started(*words) as git:
        assert git.stdin
        assert git.stdout
        git.stdin.write(begun)
        git.stdin.flush()
        assert git.stdout.readline() == b"start: ok\n"
        assert git.stdout.readline() == b"prepare: ok\n"
        yield git.pid
        git.stdin.close()
        git.wait()
