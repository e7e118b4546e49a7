"""What commands of deploy.toml can see, write, use and leave behind; tried by deeds.

As root and as an ordinary user of the server, since what holds them differs.
"""

import contextlib
import functools
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from support import process
from support.git import REMOTE, Work
from support.ordinary import NOBODY, give, ordinary_user, without_programs
from support.server import Server
from support.tools import needs

from gitdeploy.deploy import quota
from gitdeploy.deploy.app import App
from gitdeploy.door import surroundings
from gitdeploy.errors import ReleaseFailed, SystemFailed
from gitdeploy.steps import box

CANARY = "canary-4711-of-another-app"
BOX = '[steps]\nconfine = "require"\n'
BWRAP = "/usr/bin/bwrap"


class Place:
    """A server with two apps, and somebody who pushes to one of them."""

    def __init__(self, world: Path, prefix: list[str]) -> None:
        self.world = world
        self.root = world / "root"
        self.prefix = prefix
        self.is_other = bool(prefix)
        self.outside = world / "outside"
        self.work = Work(world / "work")

    def set_up(self) -> None:
        """Make all of it, once; `cp` makes the others."""
        for path in (self.root, self.outside, self.world / "home/.ssh"):
            path.mkdir(parents=True)
        (self.world / "home/.ssh/id_ed25519").write_text(CANARY)
        Work.create(self.work.path)
        self.work.connect("../root/shop.git")
        self._give(self.world)
        for app in ("shop", "blog"):
            assert self.gitdeploy("setup", app).returncode == 0
        self.gitdeploy("env", "blog", "set", f"SECRET={CANARY}")
        self.gitdeploy("env", "shop", "set", "OWN=of-the-shop-itself")
        self.server_toml(BOX)

    def run(self, *words: str | Path) -> CompletedProcess[str]:
        here = {"GITDEPLOY_ROOT": str(self.root), "HOME": f"{self.world}/home"}
        return process.run(
            *self.prefix, *words, cwd=self.work.path, env=here, check=False
        )

    def gitdeploy(self, *words: str) -> CompletedProcess[str]:
        return self.run(sys.executable, "-m", "gitdeploy", *words)

    def json(self, *words: str) -> Any:
        return json.loads(self.gitdeploy(*words, "--json").stdout)

    def server_toml(self, text: str) -> None:
        place = self.root / "shop/server.toml"
        place.write_text(text)
        place.chmod(0o600)
        if self.is_other:
            os.chown(place, NOBODY, NOBODY)

    def push(self, toml: str, ref: str = "main", **files: str) -> "Told":
        """Push a commit with a deploy.toml and files."""
        for name, content in {"deploy.toml": toml, "page": "1", **files}.items():
            self.work.write(name, content)
        self._give(self.work.path)
        for words in (("add", "--all"), ("commit", "--quiet", "-m", "change")):
            done = self.run("git", *words)
            assert done.returncode == 0, done.stderr
        return Told(self.run("git", "push", REMOTE, ref))

    def push_step(self, script: str, more: str = "") -> "Told":
        """Push a commit whose one build step is a script."""
        step = '[[build.steps]]\nname = "step"\nrun = "sh -u script"\n'
        return self.push(f"{step}{more}", script=script)

    def without_bwrap(self) -> None:
        """Let the server have no bubblewrap from now on."""
        others = ordinary_user(self.world, BWRAP)
        self.prefix = others if self.is_other else without_programs(BWRAP)

    def _give(self, path: Path) -> None:
        if self.is_other:
            give(path)

    @property
    def live(self) -> Path:
        return (self.root / "www/shop-staging").resolve(strict=True)


class Told:
    """What a pusher was told."""

    def __init__(self, done: CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.lines = f"{done.stdout}{done.stderr}"
        self.words = " ".join(self.lines.replace("remote:", "").split())

    def __repr__(self) -> str:
        return self.lines


@contextlib.contextmanager
def made_place(kind: str) -> Iterator[Place]:
    """A place for an empty directory, which is gone afterwards."""
    if os.geteuid() != 0 and kind == "root":
        pytest.skip("we are not root")
    needs("bwrap")
    world = Path(tempfile.mkdtemp(prefix="gitdeploy-test-"))
    try:
        world.chmod(0o755)
        as_other = os.geteuid() == 0 and kind != "root"
        yield Place(world, ordinary_user(world) if as_other else [])
    finally:
        shutil.rmtree(world)


@pytest.fixture(scope="module")
def first() -> Iterator[Callable[[str], Place]]:
    """Set a place up for each kind of user, the first time that it is wanted."""
    with contextlib.ExitStack() as stack:

        @functools.cache
        def set_up(kind: str) -> Place:
            made = stack.enter_context(made_place(kind))
            made.set_up()
            return made

        yield set_up


@contextlib.contextmanager
def copied(first: Place, kind: str) -> Iterator[Place]:
    """A place as it was set up; nothing in it names where it lies."""
    with made_place(kind) as made:
        process.run("cp", "-a", f"{first.world}/.", made.world)
        yield made


@pytest.fixture(params=["root", "ordinary user"])
def place(
    request: pytest.FixtureRequest, first: Callable[[str], Place]
) -> Iterator[Place]:
    with copied(first(request.param), request.param) as made:
        yield made


@pytest.fixture
def ordinary(first: Callable[[str], Place]) -> Iterator[Place]:
    with copied(first("ordinary user"), "ordinary user") as made:
        yield made


def files_of(top: Path) -> dict[str, tuple[int, bytes]]:
    """Return all that lies below a directory: kind and content by path."""
    found = {}
    for folder, folders, names in os.walk(top):
        for name in (*folders, *names):
            path = Path(folder, name)
            status = path.lstat()
            content = os.readlink(path).encode() if path.is_symlink() else b""
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
            found[str(path)] = (status.st_mode, content)
    return found


# --- what it sees and writes --------------------------------------------------------

# What a hostile step tries; each of these has to fail. {…} as in `tried`.
DEEDS = {
    "read another app's .env": "cat {root}/blog/shared/.env",
    "find it": "ls {root}/blog",
    "look at who else there is": "ls {root} | grep -vxE 'shop|www'",
    "read an ssh key": "cat {home}/.ssh/id_ed25519",
    "read the ledger": "cat {root}/shop/ledger.db",
    "read the server's own file": "cat {root}/shop/server.toml",
    "read the logs": "ls {root}/shop/logs",
    "read the repository": "ls {root}/shop.git",
    "see the links": "ls -d {root}/www/shop-staging",
    "see earlier releases": "test $(ls {root}/shop/releases | wc -l) -gt 2",
    "write beside the links": "touch {root}/www/evil && ! test -d {root}/www",
    "write outside": "touch {outside}/evil",
    "make a place outside": "mkdir {outside}/evil",
    "write into the system": "touch /usr/evil || touch /etc/evil || touch /usr/bin/ls",
    "see other processes": "test $(ls /proc | grep -c '^[0-9]') -gt 30",
    "see who pushes": "cat /proc/*/cmdline | grep -a '[g]it-receive-pack'",
    "end the hook": "kill -9 $(cat {outside}/pid)",
    "become somebody": "su -c true || sudo -n true",
    "mount something": "mount -t tmpfs none /opt || umount /proc",
    "see the server's memory": "cat /dev/mem || cat /proc/kcore | head -c 1 | grep .",
    "write the kernel's settings": "echo 1 > /proc/sys/kernel/core_pattern",
}
MAY = {
    "read the system": "test -r /usr/bin/env && test -r /etc/passwd",
    "write its release": "echo 1 > made && mkdir folder && rm -r folder",
    "read its shared .env": 'grep of-the-shop-itself "$GITDEPLOY_SHARED_DIR/.env"',
    "write what is shared": 'echo 1 > "$GITDEPLOY_SHARED_DIR/storage/kept"',
    "keep a cache": 'echo 1 > "$HOME/.cached" && test "$HOME" = {root}/shop/cache',
    "write a temporary file": 'mktemp && test "$(ls -A /tmp | grep -v gitdeploy)"',
    "start processes": "sh -c 'sleep 0 & wait'",
    "see itself": "test -r /proc/self/status",
}
SHARED = '[shared]\nfiles = [".env"]\ndirs = ["storage"]\n'


def tried(place: Place, deeds: dict[str, str]) -> str:
    """Return a script that notes which of some deeds succeed."""
    words = {
        "root": place.root,
        "home": place.world / "home",
        "outside": place.outside,
    }
    lines = [
        f"if ( {deed.format_map(words)} ) >/dev/null 2>&1; then echo '{name}'; fi"
        for name, deed in ((n.replace("'", ""), d) for n, d in deeds.items())
    ]
    return "\n".join([": > done", *(f"{line} >> done" for line in lines), ""])


def succeeded(place: Place) -> set[str]:
    return set((place.live / "done").read_text().splitlines())


def test_a_step_does_nothing_but_what_is_its_own(place: Place) -> None:
    """Every deed is tried with confinement on, and again with it off, as a control."""
    (place.outside / "pid").write_text(str(os.getpid()) if place.is_other else "1")
    for number in range(3):
        assert place.push("", page=str(number)).code == 0
    before = files_of(place.outside), files_of(place.root / "blog")
    deeds = {**DEEDS, **MAY}
    if not place.is_other:
        del deeds["become somebody"]  # root may
    done = place.push_step(tried(place, deeds), SHARED)
    assert done.code == 0, done
    assert succeeded(place) == {name.replace("'", "") for name in MAY}
    assert (files_of(place.outside), files_of(place.root / "blog")) == before
    assert (place.root / "shop/shared/storage/kept").exists()
    assert place.json("status", "shop")["steps"]["confined_by"] == "bubblewrap"

    place.server_toml('[steps]\nconfine = "off"\n')
    harmless = {"end the hook", "become somebody", "mount something"}
    harmless |= {"write the kernel's settings", "write into the system"}
    control = {k: v for k, v in DEEDS.items() if k not in harmless}
    assert place.push_step(tried(place, control), SHARED).code == 0
    assert {"read another apps .env", "read an ssh key", "write outside"} <= succeeded(
        place
    )


KINDS = {
    "checks": "[[checks]]\nname = 'c'\nrun = 'sh -u script'\n",
    "activate": "[[activate]]\nname = 'c'\nrun = 'sh -u script'\n",
    "tool": "[[build.steps]]\nname = 'c'\nrun = 'true'\ninputs = ['page']\n"
    "outputs = ['out']\ntool = 'sh -u script'\n",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_of_deploy_toml_is_confined(place: Place, kind: str) -> None:
    script = (
        f"cat {place.root}/blog/shared/.env; touch {place.outside}/evil; mkdir -p out"
    )
    done = place.push(KINDS[kind], script=f"{script}; true")
    assert done.code == 0, done
    assert CANARY not in done.lines
    assert not (place.outside / "evil").exists()
    logs = "".join(path.read_text() for path in (place.root / "shop/logs").iterdir())
    assert CANARY not in logs


def test_commands_of_a_roll_back_are_confined(ordinary: Place) -> None:
    deed = (
        f"cat {ordinary.root}/blog/shared/.env > got; touch {ordinary.outside}/x; true"
    )
    undo = f"[[deactivate]]\nname = 'undo'\nrun = 'set +e; {deed}'\n"
    assert ordinary.push("").code == 0
    assert ordinary.push(undo, page="2").code == 0
    left = ordinary.live
    done = ordinary.gitdeploy("rollback", "shop", "dev")
    assert done.returncode == 0, done.stderr
    assert (left / "got").read_text() == ""
    assert not (ordinary.outside / "x").exists()


def test_plan_confines_what_tells_a_tool_s_version(ordinary: Place) -> None:
    assert ordinary.push(KINDS["tool"], script="mkdir out; true").code == 0
    touch = f"touch {ordinary.outside}/evil {ordinary.root}/shop/empty/evil; true"
    ordinary.push(KINDS["tool"], script=touch)
    assert ordinary.gitdeploy("plan", "shop", "main").returncode == 0
    assert not (ordinary.outside / "evil").exists()
    assert not any((ordinary.root / "shop/empty").iterdir())


def test_a_command_runs_by_the_public_path_in_its_box(ordinary: Place) -> None:
    toml = "[[activate]]\nname = 'where'\nrun = 'pwd; pwd -P; cat page'\n"
    done = ordinary.push(toml)
    assert done.code == 0, done
    assert f"{ordinary.root}/www/shop-dev-1" in done.words
    assert str(ordinary.live) in done.words


SERVES = """
import http.server, os, socketserver
class Page(http.server.BaseHTTPRequestHandler):
    def address_string(self): return ""
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2")
        self.end_headers(); self.wfile.write(b"ok")
if os.environ["BY"] == "port":
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
class Unix(socketserver.UnixStreamServer): pass
Unix(os.environ["SOCKET"], Page).serve_forever()
"""


@pytest.mark.parametrize(
    ("by", "network"), [("port", "true"), ("socket", "true"), ("socket", "false")]
)
def test_a_release_is_served_and_asked_in_its_box(
    ordinary: Place, by: str, network: str
) -> None:
    ordinary.server_toml(f"{BOX}network = {network}\n")
    serve = f"serve = 'exec env BY={by} {sys_python()} serve.py'"
    check = f"[[checks]]\nname = 'it answers'\n{serve}\nurl = '/'\nwithin = '20s'\n"
    done = ordinary.push(check, **{"serve.py": SERVES})
    assert done.code == 0, done
    assert "check / 200" in done.words


def sys_python() -> str:
    """Return a Python that is part of the system."""
    path = shutil.which("python3", path="/usr/bin")
    if path is None:
        pytest.skip("the system has no Python of its own")
    return path


@pytest.mark.parametrize("network", ["true", "false"])
def test_the_network_is_there_by_choice(place: Place, network: str) -> None:
    place.server_toml(f"{BOX}network = {network}\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_greet, args=[server], daemon=True)
        answering.start()
        port = server.getsockname()[1]
        bash = f"bash -c 'cat </dev/tcp/127.0.0.1/{port}' > got 2>/dev/null || true"
        done = place.push(f'[[build.steps]]\nname = \'ask\'\nrun = """{bash}"""\n')
        assert done.code == 0, done
    assert (place.live / "got").read_text() == ("hello" if network == "true" else "")
    assert place.json("status", "shop")["steps"]["network"] is (network == "true")


def _greet(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"hello")


def test_the_server_shows_more_where_it_wants_to(place: Place) -> None:
    for name in ("tools", "data"):
        (place.outside / name).mkdir()
    (place.outside / "tools/version").write_text("7")
    (place.world / "home/.nvm").mkdir()
    if place.is_other:
        give(place.world)
    more = f'readable = ["{place.outside}/tools", "~/.nvm"]\n'
    more += f'writable = ["{place.outside}/data"]\n'
    place.server_toml(BOX + more)
    script = f"""
        cat {place.outside}/tools/version; ls -d {place.world}/home/.nvm
        touch {place.outside}/tools/evil 2>/dev/null && exit 1
        touch {place.outside}/data/written
    """
    done = place.push_step(script)
    assert done.code == 0, done
    assert "7" in done.words
    assert (place.outside / "data/written").exists()
    assert not (place.outside / "tools/evil").exists()


def test_a_root_below_what_is_shown_is_hidden_in_it(place: Place) -> None:
    """As where it lies in /opt: the apps are not seen with it."""
    place.server_toml(f'{BOX}readable = ["{place.world}"]\n')
    deeds = {k: v for k, v in DEEDS.items() if "root" in v or "home" in v}
    done = place.push_step(tried(place, deeds))
    assert done.code == 0, done
    assert succeeded(place) == set()


def test_a_place_that_is_not_seen_is_explained(ordinary: Place) -> None:
    done = ordinary.push_step(f"cat {ordinary.root}/blog/shared/.env")
    assert done.code == 1
    assert "[steps] readable in server.toml shows them more" in done.words
    done = ordinary.push_step("touch /usr/evil")
    assert "[steps] readable in server.toml shows them more" in done.words
    done = ordinary.push_step("echo no; exit 1")
    assert "server.toml" not in done.words


def test_a_program_that_is_not_seen_is_explained(ordinary: Place) -> None:
    tool = ordinary.world / "home/bin/tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    done = ordinary.push(f"[[build.steps]]\nname = 'step'\nrun = '{tool}'\n")
    assert done.code == 1
    assert "step failed: exit 127" in done.words
    assert "[steps] readable in server.toml shows them more" in done.words


# --- what is not held ---------------------------------------------------------------


def test_a_command_that_the_server_names_is_not_held(place: Place) -> None:
    """Word for word; and what deploy.toml says of the environment is not for it."""
    free = f"printenv > {place.outside}/env"
    place.server_toml(f"{BOX}unconfined = ['{free}']\n")
    env = "[build]\nenv = { PATH = '/evil:/usr/bin:/bin', EVIL = '1' }\n"
    done = place.push(f"{env}[[activate]]\nname = 'free'\nrun = '{free}'\n")
    assert done.code == 0, done
    seen = (place.outside / "env").read_text()
    assert "EVIL" not in seen
    assert "/evil" not in seen
    assert f"HOME={place.world}/home\n" in seen
    assert "GITDEPLOY_STAGE=activate\n" in seen
    (place.outside / "env").unlink()
    done = place.push(f"[[activate]]\nname = 'free'\nrun = '{free} '\n", page="2")
    assert done.code == 0, done  # blanks around it say nothing
    (place.outside / "env").unlink()
    done = place.push(f"[[activate]]\nname = 'not'\nrun = '{free} || true'\n", page="3")
    assert not (place.outside / "env").exists(), done


@pytest.mark.parametrize("held", ["boxed", "unboxed"])
def test_a_commit_tells_nothing_to_what_holds_its_commands(
    ordinary: Place, held: str
) -> None:
    """Such as by LD_PRELOAD; here the loader is asked to tell what it loads."""
    if held == "unboxed":
        ordinary.without_bwrap()
        ordinary.server_toml("")
    trace = ordinary.outside / "trace"
    env = f"[build]\nenv = {{ LD_DEBUG = 'libs', LD_DEBUG_OUTPUT = '{trace}' }}\n"
    step = "[[build.steps]]\nname = 'step'\nrun = 'echo $LD_DEBUG'\n"
    done = ordinary.push(f"{env}{step}")
    assert done.code == 0, done
    assert "libs" in done.words
    traced = "".join(path.read_text() for path in ordinary.outside.iterdir())
    assert ("/libc.so" in traced) is (held == "unboxed")
    for program in ("bwrap", "prlimit", "setpriv", "git"):
        assert f"/{program}\n" not in traced


# --- without bubblewrap -------------------------------------------------------------

PRIVILEGES = "grep NoNewPrivs /proc/self/status"


def test_without_bubblewrap_commands_gain_no_privileges(place: Place) -> None:
    place.without_bwrap()
    place.server_toml("")
    done = place.push_step(PRIVILEGES)
    assert done.code == 0, done
    assert "NoNewPrivs: 1" in done.words
    steps = place.json("status", "shop")["steps"]
    assert steps["confined_by"] == "kernel"
    assert steps["why"] == "bubblewrap is not installed"
    said = place.gitdeploy("status", "shop").stdout
    assert "not confined: bubblewrap is not installed" in said
    place.server_toml('[steps]\nconfine = "off"\n')
    assert "NoNewPrivs: 0" in place.push_step(f"{PRIVILEGES}; true").words


def test_what_has_to_be_confined_is_refused_where_it_cannot_be(place: Place) -> None:
    assert place.push("").code == 0
    place.without_bwrap()
    releases = len(place.json("releases", "shop")["releases"])
    done = place.push_step("true")
    assert done.code == 1
    assert "commands have to be confined" in done.words
    assert "bubblewrap is not installed" in done.words
    assert "sudo apt-get install bubblewrap" in done.words
    assert len(place.json("releases", "shop")["releases"]) == releases
    assert place.json("status", "shop")["steps"]["confined_by"] == "refused"
    assert place.push("", page="3", script="").code == 0  # it has no commands
    doctor = place.gitdeploy("doctor", "shop")
    assert doctor.returncode == 4
    assert "every push that has commands is refused" in doctor.stdout
    assert "apt-get install bubblewrap" in doctor.stdout
    place.server_toml("")
    doctor = place.gitdeploy("doctor", "shop")
    assert doctor.returncode == 0, doctor.stdout
    assert "who may stage can read what the server's user can" in doctor.stdout


@pytest.mark.parametrize("held", ["boxed", "unboxed"])
def test_what_has_to_reach_the_machine_and_is_held_is_explained(
    ordinary: Place, held: str
) -> None:
    """As sudo and systemctl would, each in its own words."""
    said = 'echo "Failed to connect to bus: No such file or directory"; exit 1'
    if held == "unboxed":
        ordinary.without_bwrap()
        ordinary.server_toml("")
        said = 'echo "sudo: The \\"no new privileges\\" flag is set"; exit 1'
    toml = "[[activate]]\nname = 'reload'\nrun = 'sh script'\n"
    done = ordinary.push(toml, script=said)
    assert done.code == 1
    assert "if it runs nothing of the release: [steps] unconfined" in done.words
    assert '= ["sh script"] in server.toml' in done.words
    done = ordinary.push(toml, script="echo the migration failed; exit 1")
    assert "server.toml" not in done.words


# --- how much it uses ---------------------------------------------------------------

HOGS = {
    "memory": (
        "memory_bytes = '200MiB'",
        "head -c 900M /dev/zero | tail | wc -c > n; test $(cat n) -gt 9 || exit 9",
        ("of memory; the limit is 200.0 MiB", "step failed: exit 9"),
    ),
    "memory of many": (
        "memory_bytes = '200MiB'",
        "for i in 1 2 3 4 5; do (head -c 90M /dev/zero | tail | sleep 20) & done; wait",
        ("of memory; the limit is 200.0 MiB",),
    ),
    "processor time": (
        "cpu_time = '1s'",
        "while :; do :; done",
        (
            "of processor time; the limit is 1.0 s",
            "step failed: killed by SIGXCPU",
            "step failed: exit 152",
        ),
    ),
    "processes": (
        "processes = 30",
        "for i in $(seq 300); do sleep 20 & done; wait",
        (
            "processes; the limit is 30 processes",
            "step failed: exit 2",
            "step failed: exit 254",
        ),
    ),
    "time": (
        "steps_time = '2s'",
        "sleep 20",
        ("no time left; all commands together have 2.0 s",),
    ),
}


@pytest.mark.parametrize("held", ["boxed", "unboxed"])
def test_what_takes_too_much_is_ended(place: Place, held: str) -> None:
    if held == "unboxed":
        place.without_bwrap()
    for limit, script, said in HOGS.values():
        place.server_toml(f"{BOX if held == 'boxed' else ''}[limits]\n{limit}\n")
        done = place.push_step(script)
        assert done.code == 1, done
        assert any(words in done.words for words in said), done
        assert not running_in(place)


def test_a_fork_bomb_ends_with_its_step(ordinary: Place) -> None:
    """As an ordinary user: of root the kernel counts no processes."""
    place = ordinary
    place.server_toml(f"{BOX}[limits]\nprocesses = 200\n")
    place.push_step("b() { b | b & }; b; sleep 1.5")
    assert not running_in(place)


def running_in(place: Place) -> list[str]:
    """Return the command lines of processes that work for the place."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(place.root).encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().decode())
    return [words for words in found if words]


@pytest.mark.parametrize("held", ["boxed", "unboxed"])
def test_what_the_machine_allows_may_be_less(ordinary: Place, held: str) -> None:
    """Nobody may raise the limits that our own user has."""
    if held == "unboxed":
        ordinary.without_bwrap()
    limits = "[limits]\nmemory_bytes = '8GiB'\ncpu_time = '1h'\n"
    ordinary.server_toml(f"{BOX if held == 'boxed' else ''}{limits}")
    less = ("--nproc=2000:2000", "--data=4294967296", "--cpu=600:600")
    ordinary.prefix = [*ordinary.prefix, needs("prlimit"), *less, "--"]
    done = ordinary.push_step("ulimit -a")
    assert done.code == 0, done
    assert "processes 2000" in done.words.replace("process 2000", "processes 2000")


def test_a_timeout_that_is_above_the_limit_is_refused_at_once(ordinary: Place) -> None:
    ordinary.server_toml(f"{BOX}[limits]\nsteps_time = '1m'\n")
    toml = f"[[build.steps]]\nname = 'a'\nrun = 'touch {ordinary.outside}/x'\n"
    done = ordinary.push(f"{toml}timeout = '2h'\n")
    assert done.code == 1
    assert "build.steps[0].timeout: 2 h 0 min; the limit is 1 min" in done.words
    assert ordinary.json("releases", "shop")["releases"] == []


def test_an_app_takes_no_more_of_the_disk_than_it_may(ordinary: Place) -> None:
    ordinary.server_toml(f"{BOX}[limits]\ndisk_bytes = '6MiB'\n")
    assert ordinary.push("").code == 0
    done = ordinary.push_step("head -c 20M /dev/urandom > big", "")
    assert done.code == 1
    assert "of the disk; the limit is 6.0 MiB" in done.words
    assert "gitdeploy prune shop --keep 0" in done.words
    live = ordinary.live
    done = ordinary.push("", script="", big="x" * 7_000_000)
    assert done.code == 1
    assert "the limit is 6.0 MiB" in done.words
    assert ordinary.live == live


def test_a_quota_is_looked_at_while_commands_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As each command asks now and then; here nobody waits until it does."""
    for pause in ("_SOONEST_S", "_SPARSE", "_LATEST_S"):
        monkeypatch.setattr(f"gitdeploy.system.usage.{pause}", 0)
    server.setup("shop")
    (server.root / "shop/server.toml").write_text("[limits]\ndisk_bytes = '6MiB'\n")
    around = surroundings(os.environ)
    with App.open(server.root, "shop", around, "ada") as app:
        watch = quota.QuotaWatch(app)
        watch.look()
        (server.root / "shop/releases/big").write_bytes(os.urandom(7 * 2**20))
        with pytest.raises(ReleaseFailed, match=r"the limit is 6\.0 MiB"):
            watch.look()


# --- what it leaves -----------------------------------------------------------------

LEFT = {
    "in the background": "sleep 60 &",
    "in a session of its own": "setsid sleep 60 & sleep 0.3",
    "twice over": "(setsid sh -c 'sleep 60 & setsid sleep 60 &') & sleep 0.3",
    "that ignores being told": "(trap '' TERM HUP; setsid sleep 60) & sleep 0.3",
    "without its output": "nohup setsid sleep 60 >/dev/null 2>&1 & sleep 0.3",
}


@pytest.mark.parametrize("held", ["boxed", "unboxed"])
def test_nothing_that_a_step_began_goes_on(place: Place, held: str) -> None:
    if held == "unboxed":
        place.without_bwrap()
        place.server_toml("")
    for how, script in LEFT.items():
        done = place.push_step(script)
        assert done.code == 0, done
        assert not running_in(place), how


def test_a_step_in_a_box_may_end_well_when_it_is_told_to(ordinary: Place) -> None:
    script = "trap 'echo told > told; exit 0' TERM; sleep 60 & wait"
    step = "[[build.steps]]\nname = 'slow'\ntimeout = '1s'\nrun = 'exec sh script'\n"
    done = ordinary.push(step, script=script)
    assert done.code == 1
    assert "slow failed: timed out after 1.0 s" in done.words
    (release,) = (ordinary.root / "shop/releases").iterdir()
    assert (release / "told").read_text() == "told\n"


def test_what_a_command_writes_to_tmp_is_gone_with_it(ordinary: Place) -> None:
    step = "[[build.steps]]\nname = '{0}'\nrun = '{1}'\n"
    toml = step.format("writes", "echo 1 > /tmp/left; echo 1 > /var/tmp/left2")
    toml += step.format("looks", "ls -A /tmp > there")
    done = ordinary.push(toml)
    assert done.code == 0, done
    assert "left" not in (ordinary.live / "there").read_text()


# --- user namespaces ------------------------------------------------------------------


def test_a_command_makes_no_user_namespace_of_its_own(ordinary: Place) -> None:
    """In one it would have all capabilities, and more of the kernel to attack."""
    tries = [
        needs("unshare") + " --user --map-root-user true",
        needs("unshare") + " --user --mount --net true",
        f"{BWRAP} --unshare-user --ro-bind / / true",
    ]
    script = "\n".join(f"{one} && echo {n} >>got" for n, one in enumerate(tries))
    done = ordinary.push_step(f"{script}\ntouch got\n")
    assert done.code == 0, done
    assert (ordinary.live / "got").read_text() == ""


def test_an_older_bubblewrap_confines_without_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that does not know the option says no to it; that is no reason to refuse."""
    tried: list[bool] = []

    def run(argv: list[str], **_: object) -> bytes:
        tried.append("--disable-userns" in argv)
        if tried[-1]:
            raise SystemFailed("bwrap exited with 1: Unknown option --disable-userns")
        return b""

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(box.process, "run", run)
    found_out = box._found_out.__wrapped__  # noqa: SLF001 - as in a new process
    assert found_out() == ("", False)
    assert tried == [True, False]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert found_out() == ("", False)
    assert tried == [True, False, False]
