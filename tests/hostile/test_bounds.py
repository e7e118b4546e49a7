"""Every resource has a bound that a pusher cannot step around.

Each is tried by pushes of somebody who may only stage, confined, on an ordinary user's
server. The limits are small: nothing here could fill the machine.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.git import Work

from hostile.scene import Scene

MIB = 2**20
# Writes `$1` MiB to a new file of memory, which nobody maps, and waits.
MEMFD = """
import os, sys, time
fd = os.memfd_create("x")
for _ in range(int(sys.argv[1])):
    os.write(fd, bytes(2**20))
time.sleep(20)
"""
SHARED = """
import mmap, sys, time
there = mmap.mmap(-1, int(sys.argv[1]) * 2**20)
for at in range(0, len(there), 4096):
    there[at] = 1
time.sleep(20)
"""


TOOK = re.compile(r"(?<=\S) {2,}[0-9.]+ m?s$")


class Attack:
    """What is pushed, and what came of it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.work: Work = scene.clone("mallory")
        self._count = 0

    def step(self, script: str, **files: str) -> "tuple[int, str]":
        """Push a commit whose build step is a script of sh."""
        return self.push(
            "[[build.steps]]\nname = 'step'\nrun = 'sh -u script'\n",
            script=script,
            **files,
        )

    def push(self, toml: str, **files: str) -> "tuple[int, str]":
        """Push a commit; return the exit status and all that was said, in one line."""
        self._count += 1
        done = self.scene.push(self.work, toml, n=str(self._count), **files)
        lines = (TOOK.sub("", line) for line in done.remote_lines)
        return done.code, " ".join(" ".join(lines).split())

    def refused(self, told: "tuple[int, str]", *words: str) -> None:
        """See that a push was refused in these words, and that nothing is left."""
        code, said = told
        assert code == 1, said
        for one in words:
            assert one in said, said
        assert not list(self.scene.path("shop/tmp").glob("*"))


@pytest.fixture
def bounds(attack: Scene) -> Attack:
    return Attack(attack)


# --- memory -------------------------------------------------------------------------

PLACES = "/ /dev /etc /run /home /home/deploy /home/deploy/gitdeploy/www /var /proc"


def test_no_memory_is_written_to_but_dev_shm(bounds: Attack) -> None:
    script = f"""
for place in {PLACES} $(dirname $GITDEPLOY_RELEASE_DIR); do
    if echo 1 >$place/evil || mkdir $place/evil; then echo "WROTE $place"; fi
done 2>/dev/null
while read -r _ at kind options _; do
    case $at in /tmp|/home/deploy/gitdeploy/shop/*) continue; esac
    case $kind,$options in tmpfs,rw*) echo "RW $at"; esac
done </proc/mounts
echo 1 >/tmp/mine && echo 1 >/dev/shm/mine && echo 1 >$HOME/mine
df -k --output=size /dev/shm
"""
    code, said = bounds.step(script)
    assert code == 0, said
    assert "WROTE" not in said
    assert re.findall("RW ([^ ]+)", said) == ["/dev/shm"]  # noqa: S108 - in a box
    assert "1K-blocks 1048576" in said


def test_dev_shm_is_no_larger_than_memory_may_be(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\nmemory_bytes = '64MiB'\n")
    code, said = bounds.step("df -k --output=size /dev/shm")
    assert code == 0, said
    assert "1K-blocks 65536" in said


@pytest.mark.parametrize(
    "script",
    [
        "head -c 60M /dev/zero >/dev/shm/x; head -c 50M /dev/zero | tail | sleep 20",
        "python3 hog.py 150",
        "for i in 1 2 3; do python3 hog.py 60 & done; wait",
    ],
)
def test_what_is_memory_counts_wherever_it_lies(bounds: Attack, script: str) -> None:
    bounds.scene.server_toml("[limits]\nmemory_bytes = '100MiB'\n")
    told = bounds.step(script, **{"hog.py": MEMFD})
    bounds.refused(told, "of memory; the limit is 100.0 MiB")


def test_what_is_mapped_by_nobody_s_name_counts(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\nmemory_bytes = '100MiB'\n")
    told = bounds.step("python3 hog.py 150", **{"hog.py": SHARED})
    bounds.refused(told, "of memory; the limit is 100.0 MiB")


def test_many_files_of_no_size_are_memory(bounds: Attack) -> None:
    """Each has an inode of the kernel's, in no process's memory."""
    bounds.scene.server_toml("[limits]\nmemory_bytes = '30MiB'\n")
    script = "cd /dev/shm; seq 60000 | xargs touch; sleep 20"
    bounds.refused(bounds.step(script), "of memory; the limit is 30.0 MiB")


# --- /tmp ---------------------------------------------------------------------------


def test_tmp_is_bounded_while_a_command_runs(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\ntmp_bytes = '20MiB'\n")
    told = bounds.step("head -c 40M /dev/zero >/tmp/x; sleep 30")
    bounds.refused(told, "40.0 MiB in /tmp; the limit is 20.0 MiB", "tmp_bytes")


def test_tmp_counts_for_the_quota(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\ndisk_bytes = '20MiB'\n")
    told = bounds.step("head -c 40M /dev/zero >/var/tmp/x; sleep 30")
    bounds.refused(told, "of the disk; the limit is 20.0 MiB")


def test_the_directory_of_a_check_s_socket_is_bounded(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\ntmp_bytes = '20MiB'\n")
    serve = "head -c 40M /dev/zero >$(dirname $SOCKET)/x; sleep 30"
    toml = f"[[checks]]\nserve = '{serve}'\nurl = '/'\nwithin = '25s'\n"
    bounds.refused(bounds.push(toml), "40.0 MiB in /tmp; the limit is 20.0 MiB")


def test_what_a_crash_leaves_in_tmp_is_gone_with_the_next_command(
    bounds: Attack,
) -> None:
    tmp = bounds.scene.path("shop/tmp")
    with pushing(bounds, "head -c 9M /dev/zero >/tmp/big; touch made; sleep 60"):
        wait_until(lambda: list(bounds.scene.path("shop/releases").glob("*/made")))
        for pid in hooks(bounds.scene):
            os.kill(pid, signal.SIGKILL)
    assert list(tmp.glob("*/big"))
    bounds.scene.server_toml("[limits]\ndisk_bytes = '8MiB'\n")
    code, said = bounds.step("true")
    assert code == 0, said
    assert not list(tmp.iterdir())


@contextmanager
def pushing(bounds: Attack, script: str) -> Iterator[None]:
    toml = "[[build.steps]]\nname = 'step'\nrun = 'sh -u script'\n"
    bounds.work.commit("hangs", **{"deploy.toml": toml, "script": script})
    argv = ["git", "push", "server", "main"]
    with subprocess.Popen(
        argv, cwd=bounds.work.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as push:
        yield
        push.wait()


def hooks(scene: Scene) -> list[int]:
    """Return the processes of gitdeploy that work for the scene's user."""
    said = scene.machine.run("pgrep", "-u", "deploy", "-f", "proc_receive|proc-receive")
    return [int(pid) for pid in said.stdout.split()]


def wait_until(done) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- the quota ----------------------------------------------------------------------


HIDING = {
    "a mode": "mkdir -p h/i; head -c 40M /dev/zero >h/i/x; chmod 0 h/i h",
    "names": "mkdir h; for i in 1 2 3; do head -c 15M /dev/zero >h/$i; done",
    "a deep folder": "p=.; for i in $(seq 300); do p=$p/d; done; mkdir -p $p;"
    " head -c 40M /dev/zero >$p/x",
    "a name with a line end": "mkdir 'a\nb'; head -c 40M /dev/zero >'a\nb/x'",
    "shared state": "mkdir -p $GITDEPLOY_SHARED_DIR/s;"
    " cd $GITDEPLOY_SHARED_DIR/s; head -c 40M /dev/zero >x; chmod 0 .",
    "the cache": "head -c 40M /dev/zero >$HOME/x",
}


@pytest.mark.parametrize("how", HIDING)
def test_nothing_is_hidden_from_the_quota(bounds: Attack, how: str) -> None:
    bounds.scene.server_toml("[limits]\ndisk_bytes = '30MiB'\n")
    told = bounds.step(HIDING[how])
    bounds.refused(told, "of the disk; the limit is 30.0 MiB")


def test_what_takes_no_room_counts_for_nothing(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\ndisk_bytes = '30MiB'\n")
    script = """truncate -s 1T sparse
head -c 9M /dev/zero >one
for i in 1 2 3 4 5; do ln one also$i; done
ln -s /usr usr"""
    code, said = bounds.step(script)
    assert code == 0, said


def test_inodes_count(bounds: Attack) -> None:
    bounds.scene.server_toml("[limits]\ndisk_files = 3000\n")
    told = bounds.step("mkdir d; cd d; seq 4000 | xargs touch; chmod 0 .")
    bounds.refused(told, "files of the disk; the limit is 3,000 files", "disk_files")


def test_a_commit_of_too_many_files_is_refused_before_it_is_checked_out(
    bounds: Attack,
) -> None:
    bounds.scene.server_toml("[limits]\ndisk_files = 1000\n")
    told = bounds.push("", **{f"d/{n}": "" for n in range(1000)})
    bounds.refused(told, "1,003 files more are needed; the limit is 1,000 files")


# --- every stage --------------------------------------------------------------------

STAGES = {
    "check": "[[checks]]\nname = 'c'\nrun = 'sh -u script'\n",
    "served check": "[[checks]]\nserve = 'sh -u script'\nurl = '/'\nwithin = '25s'\n",
    "activate": "[[activate]]\nname = 'c'\nrun = 'sh -u script'\n",
    "tool": "[[build.steps]]\nname = 'c'\nrun = 'true'\ninputs = ['n']\n"
    "outputs = ['out']\ntool = 'sh -u script'\n",
}
TAKEN = {
    "memory": (
        "memory_bytes = '60MiB'",
        "for i in 1 2 3 4; do (head -c 40M /dev/zero | tail | sleep 20) & done; wait",
        "of memory; the limit is 60.0 MiB",
    ),
    "processes": (
        "processes = 30",
        "exec python3 forks.py",
        "exit 1",  # fork(2) fails with EAGAIN
    ),
    "processor time": (
        "cpu_time = '1s'",
        "for i in 1 2 3; do (while :; do :; done) & done; wait",
        "of processor time; the limit is 1.0 s",
    ),
    "time": (
        "steps_time = '2s'",
        "sleep 20",
        "no time left; all commands together have 2.0 s",
    ),
    "the disk": (
        "disk_bytes = '30MiB'",
        "head -c 60M /dev/zero >big; sleep 20",
        "of the disk; the limit is 30.0 MiB",
    ),
}
FORKS = """
import os, time
for _ in range(60):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
time.sleep(30)
"""


@pytest.mark.parametrize("stage", STAGES)
def test_every_command_is_bounded_as_steps_are(bounds: Attack, stage: str) -> None:
    for what, (limit, script, said) in TAKEN.items():
        if stage == "tool" and what == "the disk":
            continue  # it has ten seconds
        bounds.scene.server_toml(f"[limits]\n{limit}\n")
        files = {"script": script, "forks.py": FORKS}
        code, words = bounds.push(STAGES[stage], **files)
        assert code == 1, (what, words)
        assert said in words, (what, words)
        bounds.scene.server_toml("")
        bounds.scene.gitdeploy("prune", "shop", "--keep", "0")


def test_a_roll_back_s_commands_are_bounded_and_a_full_quota_does_not_hold_it(
    bounds: Attack,
) -> None:
    """The app may be over its quota already, by what visitors sent, say."""
    undo = "[[deactivate]]\nname = 'undo'\nrun = 'sh -u script'\n"
    assert bounds.push("", script="true")[0] == 0
    for script in ("sleep 0.5", "head -c 90M /dev/zero >big; sleep 30"):
        assert bounds.push(undo, script=script)[0] == 0
        big = bounds.scene.path("shop/shared/upload")
        big.write_bytes(b"x" * 40 * MIB)
        bounds.scene.server_toml("[limits]\ndisk_bytes = '30MiB'\n")
        done = bounds.scene.gitdeploy("rollback", "shop", "dev", check=False)
        if script.startswith("sleep"):
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 1
            assert "of the disk; the limit is 30.0 MiB" in done.stderr
        big.unlink()
        bounds.scene.server_toml("")
