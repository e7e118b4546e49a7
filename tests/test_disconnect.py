"""Pushers who vanish or get stuck, over a real sshd and over a path.

The deployment is finished quietly, or cancelled where deploy.toml says so; history
has its verdict, nothing is left running, and the next push just works.
"""

import os
import pty
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from support.git import Work, told
from support.held import Held, at_work, blocked_after, ended, until
from support.server import Server
from support.sshd import Sshd
from support.tools import needs

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

    def stopped(self) -> None:
        """The network is silent: nobody reads, and the connection stays."""
        for pid in self._client():
            os.kill(pid, signal.SIGSTOP)

    def resumed(self) -> None:
        """The network is there again."""
        for pid in self._client():
            os.kill(pid, signal.SIGCONT)

    def _client(self) -> list[int]:
        below = descendants(self.child.pid) if self._sshd else []
        return [self.child.pid, *below]

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
    ways = [("ssh", how) for how in over_ssh] + [("path", how) for how in over_path]
    left_out = {("path", "git_killed"), ("path", "interrupted"), ("ssh", "hung_up")}
    twice = {("ssh", "ssh_killed"), ("path", "hung_up")}
    return [
        (over, how, gate)
        for over, how in ways
        for gate in (True, False)
        if LONG or ((over, how) in twice if not gate else (over, how) not in left_out)
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
        assert gone.seconds < 60, "the step would run for ever"
    assert (event.verdict, event.reason) == ("cancelled", "cancelled: the pusher left")
    until(lambda: not at_work(server), "nothing is left running")
    assert server.refs()["refs/heads/main"] == first
    assert (shown(server) / "index.html").read_text() == "one"
    all_is_well_after(ada)


@pytest.mark.parametrize("over", ["ssh", "path"])
def test_a_pusher_who_stays_is_not_taken_for_one_who_left(
    developer: Callable[..., Developer], tmp_path: Path, over: str
) -> None:
    """However much is printed, and although nobody types anything."""
    ada, held = developer(over), Held(tmp_path)
    commit = ada.work.commit("one", **{"deploy.toml": held.toml(NOISE, build=CANCEL)})
    with ada.pushing() as pusher:
        held.wait()
        held.go_on()
        assert told(pusher.child).code == 0
    assert ended(ada.server, commit).verdict == "deployed"


@pytest.mark.parametrize("over", ["ssh", "path"])
def test_what_has_happened_is_finished_whoever_leaves(
    developer: Callable[..., Developer], tmp_path: Path, over: str
) -> None:
    """From the moment at which the ref has moved."""
    ada, held = developer(over), Held(tmp_path)
    server = ada.server
    commit = ada.work.commit("one", **{"deploy.toml": f"[build]\n{CANCEL}\n"})
    with blocked_after(server, "refs/heads/main", held), ada.pushing() as pusher:
        held.wait()
        pusher.interrupted()
        pusher.child.wait(timeout=30)
        held.go_on()
        assert ended(server, commit).verdict == "deployed"
    assert server.refs()["refs/heads/main"] == commit
    all_is_well_after(ada)


def test_a_push_whose_terminal_is_closed_is_finished(
    developer: Callable[..., Developer], tmp_path: Path
) -> None:
    """The kernel tells the whole session; the deployment has left it."""
    ada, held = developer("path"), Held(tmp_path)
    commit = ada.work.commit("one", **{"deploy.toml": held.toml(NOISE)})
    screen, keyboard = pty.openpty()
    words = [needs("setsid"), "--ctty", "git", "push", "server", "main"]
    with Popen(
        words, cwd=ada.work.path, stdin=keyboard, stdout=keyboard, stderr=keyboard
    ) as child:
        os.close(keyboard)
        held.wait()
        os.close(screen)
        child.wait(timeout=30)
        held.go_on()
        assert ended(ada.server, commit).verdict == "deployed"
    assert child.returncode != 0
    all_is_well_after(ada)


@pytest.mark.parametrize(
    ("over", "steps", "gate"),
    [
        ("path", 3, True),
        ("path", 3, False),
        ("ssh", 36, True),
        *([("ssh", 36, False)] if LONG else []),
    ],
)
def test_a_client_that_is_stuck_keeps_nobody_waiting(
    developer: Callable[..., Developer],
    tmp_path: Path,
    over: str,
    steps: int,
    *,
    gate: bool,
) -> None:
    """Somebody else's push gets its turn; the stuck one reads its verdict later."""
    ada, bob = developer(over, gate=gate), developer("path", gate=gate, name="bob")
    held, server = Held(tmp_path), ada.server
    flood = f"[[build.steps]]\nrun = 'yes {'x' * 230} | head -n 1000'\nname = "
    toml = held.toml() + "".join(f'{flood}"flood {n}"\n' for n in range(steps))
    commit = ada.work.commit("one", **{"deploy.toml": toml})
    other = bob.work.commit("two", **{"index.html": "two"})
    bob.work.tag("v1")
    with ada.pushing() as pusher:
        held.wait()
        pusher.stopped()
        held.go_on()
        assert bob.work.push("v1").code == 0
        assert ended(server, commit).verdict == "deployed"
        pusher.resumed()
        push = told(pusher.child)
    assert push.code == 0
    assert push.status("main").flag == "*"
    assert server.refs()["refs/heads/main"] == commit
    assert server.refs()["refs/tags/v1"] == other
    all_is_well_after(ada)


def test_a_ref_that_moved_without_a_deployment_is_told_and_deployed_by_repair(
    developer: Callable[..., Developer], tmp_path: Path
) -> None:
    """git and its client are killed between the ref and the hook that would deploy."""
    ada, held = developer("path", gate=False), Held(tmp_path)
    server, work = ada.server, ada.work
    first = work.commit("one", **{"index.html": "one"})
    assert work.push("main").code == 0
    commit = work.commit("two", **{"index.html": "two"})
    with blocked_after(server, "refs/heads/main", held), ada.pushing() as pusher:
        held.wait()
        pusher.silent_then_killed()  # receive-pack is of its group
        pusher.child.wait(timeout=30)
        until(lambda: not receives(server), "git is gone")
    assert server.refs()["refs/heads/main"] == commit
    assert server.status()["pending"] is True
    assert "main moved to" in server.gitdeploy("status", "shop").stdout
    again = work.push("main")
    assert again.status("main").flag == "="  # git asks no hook
    work.tag("v1", oid=first)
    said = " ".join(" ".join(work.push("v1").remote_lines).split())
    assert "moved unseen main" in said
    assert "gitdeploy repair shop" in said
    assert (shown(server) / "index.html").read_text() == "one"
    named = server.gitdeploy("repair", "shop").stdout
    assert "gitdeploy repair shop --deploy main" in named
    assert (shown(server) / "index.html").read_text() == "one"
    server.gitdeploy("repair", "shop", "--deploy", "main")
    assert (shown(server) / "index.html").read_text() == "two"
    all_is_well_after(ada)


def receives(server: Server) -> bool:
    return any("receive-pack" in one for one in at_work(server))


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
