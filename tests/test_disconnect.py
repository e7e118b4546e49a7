"""Pushers who vanish or get stuck, over a real sshd and over a path.

The deployment is finished quietly, or cancelled where deploy.toml says so; history
has its verdict, nothing is left running, and the next push just works.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from support.git import Work
from support.held import Held, at_work, ended, until
from support.server import Server
from support.sshd import Sshd

from gitdeploy.lock import holder, waiting
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.processes import Process, running

LONG = os.environ.get("GITDEPLOY_LONG") == "1"

# More than all pipes on the way hold together.
NOISE = "yes 'compiled something, and it took a while' | head -n 200000"
FOREVER = "yes 'compiled something, and it took a while'"
FINISH = 'on_disconnect = "finish"'
CANCEL = 'on_disconnect = "cancel"'


class Pusher:
    """A push under way, whose client can vanish in every way that clients do."""

    def __init__(self, child: Popen[bytes], sshd: Sshd | None) -> None:
        self.child = child
        self._sshd = sshd

    def git_killed(self) -> None:
        """The oom killer, or an impatient person."""
        os.kill(self.child.pid, signal.SIGKILL)

    def ssh_killed(self) -> None:
        """The connection breaks."""
        (ssh,) = [p for p in descendants(self.child.pid) if _name(p) == "ssh"]
        os.kill(ssh, signal.SIGKILL)

    def session_killed(self) -> None:
        """The server's end of the connection breaks."""
        assert self._sshd is not None
        for pid in self._sshd.sessions():
            os.kill(pid, signal.SIGKILL)

    def interrupted(self) -> None:
        """Ctrl-C: the whole foreground group."""
        os.killpg(self.child.pid, signal.SIGINT)

    def hung_up(self) -> None:
        """The terminal is closed."""
        os.killpg(self.child.pid, signal.SIGHUP)

    def silent_then_killed(self) -> None:
        """The network is silent for a while, then somebody gives up."""
        os.killpg(self.child.pid, signal.SIGSTOP)
        os.killpg(self.child.pid, signal.SIGKILL)


class Developer:
    """A clone that pushes over a path or over ssh."""

    def __init__(self, server: Server, work: Work, sshd: Sshd | None) -> None:
        self.server = server
        self.work = work
        self._sshd = sshd

    @contextmanager
    def pushing(self) -> Iterator[Pusher]:
        with self.work.pushing("main") as child:
            yield Pusher(child, self._sshd)


@pytest.fixture
def developer(
    server: Server, make_work: Callable[..., Work], request: pytest.FixtureRequest
) -> Callable[..., Developer]:
    """Make a developer of the app shop: `developer(over="ssh", gate=False)`."""

    def make(over: str, *, gate: bool = True, name: str = "ada") -> Developer:
        server.setup("shop", *([] if gate else ["--no-gate"]))
        if over == "path":
            return Developer(server, make_work(name, server.url()), None)
        sshd: Sshd = request.getfixturevalue("sshd")
        work = make_work(name, sshd.url(server.repo()), ssh_command=sshd.ssh_command)
        return Developer(server, work, sshd)

    return make


def cases() -> list[tuple[str, str, bool]]:
    """Return how the client vanishes, over what, and whether the gate is there."""
    over_ssh = ["ssh_killed", "session_killed", "git_killed", "interrupted"]
    over_ssh += ["hung_up", "silent_then_killed"]
    over_path = ["git_killed", "interrupted", "hung_up", "silent_then_killed"]
    few = {("ssh", "ssh_killed"), ("ssh", "interrupted"), ("path", "hung_up")}
    ways = [("ssh", how) for how in over_ssh] + [("path", how) for how in over_path]
    return [
        (over, how, gate)
        for over, how in ways
        for gate in (True, False)
        if gate or LONG or (over, how) in few
    ]


@pytest.mark.parametrize(("over", "how", "gate"), cases())
def test_a_push_whose_client_vanishes_is_finished_quietly(
    developer: Callable[..., Developer],
    tmp_path: Path,
    over: str,
    how: str,
    gate: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Also where its step prints far more than anybody reads."""
    ada, held = developer(over, gate=gate), Held(tmp_path)
    work, server = ada.work, ada.server
    commit = work.commit("one", **{"deploy.toml": held.toml(NOISE, build=FINISH)})
    with ada.pushing() as pusher:
        held.wait()
        getattr(pusher, how)()
        held.go_on()
        assert ended(server, commit).verdict == "deployed"
    assert server.refs()["refs/heads/main"] == commit
    assert (shown(server) / "deploy.toml").is_file()
    all_is_well_after(ada)


@pytest.mark.parametrize(("over", "how", "gate"), cases())
def test_a_push_whose_client_vanishes_is_cancelled_where_that_is_wanted(
    developer: Callable[..., Developer],
    tmp_path: Path,
    over: str,
    how: str,
    gate: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Within two seconds, whatever its step prints; the ref is where it was."""
    ada, held = developer(over, gate=gate), Held(tmp_path)
    work, server = ada.work, ada.server
    first = work.commit("one", **{"index.html": "one"})
    assert work.push("main").code == 0
    commit = work.commit("two", **{"deploy.toml": held.toml(FOREVER, build=CANCEL)})
    with ada.pushing() as pusher:
        held.wait()
        held.go_on()
        getattr(pusher, how)()
        gone = Stopwatch()
        event = ended(server, commit)
        assert gone.seconds < 5, "two seconds, and more for a busy machine"
    assert (event.verdict, event.reason) == ("cancelled", "cancelled: the pusher left")
    until(lambda: not at_work(server), "nothing is left running")
    assert server.refs()["refs/heads/main"] == first
    assert (shown(server) / "index.html").read_text() == "one"
    all_is_well_after(ada)


def shown(server: Server) -> Path:
    path = server.link("shop-staging")
    assert path is not None
    return path


def all_is_well_after(ada: Developer) -> None:
    """Nothing runs, nothing is held, all agrees, and the next push just works."""
    server = ada.server
    until(lambda: not at_work(server), "nothing is left running")
    lock = server.root / "shop" / "lock"
    assert (holder(lock), waiting(lock)) == (None, [])
    assert server.status()["pending"] is False
    commit = ada.work.commit("next", **{"deploy.toml": "", "index.html": "next"})
    assert ada.work.push("main").code == 0
    assert server.refs()["refs/heads/main"] == commit
    assert (shown(server) / "index.html").read_text() == "next"


def descendants(pid: int) -> list[int]:
    """Return the processes below one."""
    children = [one.pid for one in running() if one.parent == pid]
    return children + [below for child in children for below in descendants(child)]


def _name(pid: int) -> str:
    return os.path.basename((Process(pid).arguments or ("",))[0])
