"""A step is run to its end, told and kept, and leaves nothing behind."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from gitdeploy import steps
from gitdeploy.config import Seconds, Step
from gitdeploy.errors import StepFailed
from gitdeploy.logs import Log
from gitdeploy.steps import Bounds, Mask, Workplace, run_step, session

SECRET = "correct horse battery"  # noqa: S105 - of nothing
PATH = {"PATH": os.environ["PATH"]}


class Run:
    """One way to run steps: keeps what is told and what is logged."""

    def __init__(self, place, log_bytes=2**20):
        self.place = place
        self.told = []
        self.log_path = place / "log"
        self.log_bytes = log_bytes

    def __call__(self, run, *, timeout_s=20.0, secrets=(), environment=PATH):
        """Run a step and return how long it took, as it says."""
        with Log(self.log_path, limit_bytes=self.log_bytes) as log:
            return run_step(
                Step(run=run, name="build", timeout_s=Seconds(timeout_s)),
                Workplace(
                    directory=self.place,
                    environment=environment,
                    log=log,
                    tell=self.told.append,
                    mask=Mask(secrets),
                ),
                timeout_s=timeout_s,
            )

    @property
    def logged(self):
        return self.log_path.read_text().split("\n")[:-1]


@pytest.fixture
def step(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def python(tmp_path):
    """Write a program for a step; return its argv."""

    def write(text):
        path = tmp_path / "program.py"
        path.write_text(text)
        return (sys.executable, "-I", str(path))

    return write


def pid_in(path):
    return int(path.read_text())


def is_gone(pid):
    """Whether a process has ended; what nobody has waited for has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except FileNotFoundError:
        return True


# --- what it prints ---------------------------------------------------------


def test_output_is_told_and_logged_line_by_line(step):
    step("echo one; echo two >&2; printf three")
    assert step.told == step.logged == ["one", "two", "three"]


def test_a_line_is_told_while_the_step_runs(step, tmp_path):
    os.mkfifo(tmp_path / "go")
    writer = os.open(tmp_path / "go", os.O_RDWR)

    def tell(text):
        step.told.append(text)
        if text == "waiting":
            os.write(writer, b"told\n")

    with Log(step.log_path, limit_bytes=1000) as log:
        run_step(
            Step(run="echo waiting; read answer <go; echo $answer"),
            Workplace(tmp_path, PATH, log=log, tell=tell, mask=Mask()),
            timeout_s=5,
        )
    os.close(writer)
    assert step.told == ["waiting", "told"]


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        pytest.param(r"a\n\nb\n", ["a", "", "b"], id="an empty line is kept"),
        pytest.param(r"a\r\nb\r\n", ["a", "b"], id="line ends of other systems"),
        pytest.param(
            r"10%%\r50%%\r100%%\n", ["10%", "50%", "100%"], id="progress in one line"
        ),
        pytest.param(r"\303\244", ["ä"], id="UTF-8"),
        pytest.param(r"a\377b", [r"a\xffb"], id="what is not UTF-8"),
        pytest.param(r"\033[31mred\033[0m", ["red"], id="colours"),
        pytest.param(r"a\033]0;title\007b", ["ab"], id="a title"),
        pytest.param(r"a\033[2J\033[Hb", ["ab"], id="a cleared screen"),
        pytest.param(r"a\007\010\000b", [r"a\x07\x08\x00b"], id="control characters"),
        pytest.param(r"a\302\233b", [r"a\x9bb"], id="C1"),
        pytest.param(r"a\342\200\256b", ["a\\u202eb"], id="reordered text"),
        pytest.param(r"a\033", [r"a\x1b"], id="a sequence that never ends"),
        pytest.param(r"a\tb", ["a\tb"], id="a tab"),
    ],
)
def test_what_is_told_cannot_act_on_a_terminal(step, printed, lines):
    step(f"printf '{printed}'")
    assert step.told == step.logged == lines


def test_a_line_end_in_two_pieces_is_one(step, monkeypatch):
    monkeypatch.setattr(steps, "_READ_BYTES", 2)
    step("printf 'a\\r\\nb\\r\\n'")
    assert step.told == ["a", "b"]


def test_a_very_long_line_is_cut_into_or_down_to_lines_of_a_fair_length(step):
    step("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end")
    assert step.told[-1] == "end"
    assert all(len(line) <= 4096 for line in step.told)
    assert {*"".join(step.told[:-1])} == {"x"}


def test_a_step_that_prints_nothing_tells_nothing(step):
    step("true")
    assert step.told == step.logged == []


# --- how it ends ------------------------------------------------------------


def test_it_says_how_long_it_took(step):
    assert 0 < step("true") < 5


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        ("exit 3", "exit 3"),
        ("false; echo never", "exit 1"),
        ("echo $UNSET", "exit 2"),
        ("no-such-command", "exit 127"),
        ("./log", "exit 126"),
        (("sh", "-c", "exit 4"), "exit 4"),
        ("kill -KILL $$", "killed by SIGKILL"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        (f"kill -{40} $$", "killed by signal 40"),
        (("no-such-command",), "no-such-command: no such program in PATH"),
        (("./log",), "./log: Permission denied"),
        (("/",), "/: Permission denied"),
    ],
    ids=str,
)
def test_a_failure_says_how_the_step_ended(step, run, outcome):
    step.log_path.touch(0o640)
    with pytest.raises(StepFailed) as caught:
        step(run)
    assert caught.value.step == "build"
    assert caught.value.outcome == outcome or outcome in caught.value.message
    assert "never" not in step.told


def test_what_a_failed_step_printed_last_is_told(step):
    with pytest.raises(StepFailed):
        step("echo because; exit 1")
    assert step.told == ["because"]


# --- what it runs in --------------------------------------------------------


def test_a_list_sees_no_shell(step):
    step(("printf", "%s", "$HOME; echo *"))
    assert step.told == ["$HOME; echo *"]


def test_the_environment_is_what_was_given_and_nothing_else(step, python):
    environment = {**PATH, "ONE": "1", "TWO": "a\nb"}
    step(
        python("import os; print(ascii(sorted(os.environb.items())))"),
        environment=environment,
    )
    pairs = sorted((k.encode(), v.encode()) for k, v in environment.items())
    locale = (b"LC_CTYPE", b"C.UTF-8")  # Python puts it there itself (PEP 538)
    found = [pair for pair in eval(step.told[0]) if pair != locale]  # noqa: S307 - ours
    assert found == pairs


def test_it_runs_in_its_directory(step, tmp_path):
    step("pwd")
    assert step.told == [str(tmp_path)]


def test_standard_input_is_empty(step):
    step("cat; readlink /proc/self/fd/0")
    assert step.told == ["/dev/null"]


def test_no_descriptor_of_ours_is_inherited(step, python, tmp_path):
    with (tmp_path / "log").open("ab") as ours:
        os.set_inheritable(ours.fileno(), True)  # noqa: FBT003 - os has no keyword
        step(python("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"))
    assert step.told == ["[0, 1, 2, 3]"]  # 3 is the listing itself


def test_it_leads_a_session_without_a_terminal(step, python):
    step(python("import os; print(os.getsid(0) == os.getpid())"))
    assert step.told == ["True"]


# --- what it leaves behind --------------------------------------------------


def test_too_slow_a_step_is_stopped_and_says_so(step):
    with pytest.raises(
        StepFailed, match=r"build failed: timed out after 300 ms|0\.3 s"
    ):
        step("echo begun; sleep 60", timeout_s=0.3)
    assert step.told == ["begun"]


def test_a_step_may_end_well_when_it_is_told_to_stop(step):
    with pytest.raises(StepFailed, match="timed out"):
        step("trap 'echo bye >bye; exit 0' TERM; sleep 60 & wait", timeout_s=0.3)
    assert (step.place / "bye").read_text() == "bye\n"


def test_children_that_ignore_being_told_to_stop_are_killed(step, monkeypatch):
    monkeypatch.setattr(session, "_GRACE_S", 0.1)
    ignoring = "trap '' TERM; (echo $$ >pid; exec sleep 60) & echo $! >child; wait"
    with pytest.raises(StepFailed, match="timed out"):
        step(ignoring, timeout_s=0.3)
    assert is_gone(pid_in(step.place / "pid"))
    assert is_gone(pid_in(step.place / "child"))


def test_a_background_child_that_keeps_the_pipe_is_not_waited_for(step):
    step("sleep 100000 & echo $! >pid; echo done", timeout_s=60)
    assert step.told == ["done"]
    assert is_gone(pid_in(step.place / "pid"))


def test_a_background_child_that_floods_the_pipe_is_not_waited_for(step):
    step("yes & echo $! >pid", timeout_s=60)
    assert is_gone(pid_in(step.place / "pid"))


DAEMON = """
import os, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("pid", "w") as file:
            file.write(str(os.getpid()))
        os.write(write, b".")
        time.sleep(60)
    os._exit(0)
os.read(read, 1)
"""


def test_a_child_in_a_session_of_its_own_is_ended_too(step, python):
    step(python(DAEMON))
    assert is_gone(pid_in(step.place / "pid"))


def test_a_child_in_a_session_of_its_own_is_ended_on_a_timeout_too(step, python):
    with pytest.raises(StepFailed, match="timed out"):
        step(python(f"{DAEMON}\ntime.sleep(60)"), timeout_s=0.5)
    assert is_gone(pid_in(step.place / "pid"))


def test_what_may_not_be_ended_is_not_waited_for(step, python, monkeypatch):
    def not_ours(*_):
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", not_ours)
        step(python(DAEMON.replace("sleep(60)", "sleep(100000)")), timeout_s=60)
    left = pid_in(step.place / "pid")
    assert not is_gone(left)
    os.kill(left, 9)


def test_a_process_that_was_there_before_is_left_alone(step):
    ours = os.fork()
    if ours == 0:
        time.sleep(60)
        os._exit(0)
    try:
        step("true")
        assert not is_gone(ours)
    finally:
        os.kill(ours, 9)
        os.waitpid(ours, 0)


def test_a_step_that_closes_its_output_runs_on(step):
    step("exec >&- 2>&-; sleep 0.3; touch end")
    assert (step.place / "end").exists()


def test_a_step_that_closes_its_output_is_stopped_in_time(step):
    with pytest.raises(StepFailed, match="timed out"):
        step("exec >&- 2>&-; sleep 60", timeout_s=0.3)


def test_nothing_of_ours_stays_open(step):
    before = len(os.listdir("/proc/self/fd"))
    step("echo x")
    assert len(os.listdir("/proc/self/fd")) == before


# --- how much it prints -----------------------------------------------------

FLOOD = 100_000_000


@pytest.mark.parametrize(
    ("line", "log_bytes"),
    [("x" * 79, 16 * 2**20), ("y", 2**20)],
    ids=["lines of 80 bytes and the default limit", "lines of 2 bytes"],
)
def test_a_flood_ends_in_time_and_its_end_is_told(tmp_path, line, log_bytes):
    step = Run(tmp_path, log_bytes=log_bytes)
    step(f"yes {line} | head -c {FLOOD}; echo; echo the end", timeout_s=300)
    assert step.log_path.stat().st_size < log_bytes + 10_000
    assert step.logged[-1] == "== the log is full; what steps print is not kept"
    assert len(step.told) < 1100
    assert step.told[-1] == "the end"
    assert "… more in the log; this is how it ends:" in step.told


def test_a_flood_without_a_line_end_is_bounded(tmp_path):
    step = Run(tmp_path, log_bytes=2**20)
    step(f"head -c {FLOOD} /dev/zero | tr '\\0' x; echo; echo the end")
    assert step.log_path.stat().st_size < 2 * 2**20
    assert step.told[-1] == "the end"


def test_the_log_s_limit_is_in_bytes_whatever_is_printed(tmp_path):
    step = Run(tmp_path, log_bytes=100_000)
    step("yes €€€€€€€€€€€€€€€€ | head -c 1000000")
    assert step.log_path.stat().st_size < 110_000


def test_a_log_that_is_full_still_says_how_the_next_step_ended(tmp_path):
    step = Run(tmp_path, log_bytes=1000)
    step("yes first | head -n 3000")
    step("yes second | head -n 3000; echo last")
    assert step.told[-1] == "last"


# --- secrets ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "printed", "shown"),
    [
        (SECRET, f"a {SECRET} b {SECRET}", "a [hidden] b [hidden]"),
        (f"{SECRET}\nsecond line", "second line", "[hidden]"),
        (f"{SECRET}\nsecond line", SECRET, "[hidden]"),
        ("geheimnis-ä", "geheimnis-ä", "[hidden]"),
        (".*[secret]", "x .*[secret] y", "x [hidden] y"),
        ("short", "short", "short"),
        ("", "nothing", "nothing"),
    ],
)
def test_secrets_are_hidden(step, secret, printed, shown):
    (step.place / "text").write_text(printed)
    step("cat text", secrets=[secret])
    assert step.told == step.logged == [shown]


def test_of_two_secrets_the_longer_is_hidden_whole(step):
    step("echo password-of-ada", secrets=["password", "password-of-ada"])
    assert step.told == ["[hidden]"]


def test_a_secret_is_hidden_in_a_line_that_comes_in_pieces(step, python):
    halves = (SECRET[:8], SECRET[8:])
    program = "import os\nfor part in {!r}: os.write(1, part.encode())"
    step(python(program.format(halves)), secrets=[SECRET])
    assert step.told == ["[hidden]"]


def test_a_secret_at_the_cut_of_a_long_line_is_hidden(step):
    (step.place / "text").write_text(f"{'x' * 4090}{SECRET}\n")
    step("cat text", secrets=[SECRET])
    assert not re.search("corr|horse|batt", "".join(step.told))


def test_a_secret_at_the_cut_of_a_very_long_line_is_hidden(step):
    (step.place / "text").write_text(f"{'x' * 4090}{SECRET}{'x' * 200_000}\n")
    step("cat text", secrets=[SECRET])
    assert not re.search("correct|battery", "".join(step.told + step.logged))


def test_a_secret_with_colours_in_it_is_hidden(step):
    (step.place / "text").write_text(f"\033[1m{SECRET[:7]}\033[0m{SECRET[7:]}\n")
    step("cat text", secrets=[SECRET])
    assert SECRET not in "".join(step.told + step.logged)


def test_a_secret_in_the_last_lines_of_a_flood_is_hidden(tmp_path):
    step = Run(tmp_path, log_bytes=1000)
    (tmp_path / "text").write_text(f"{SECRET}\n")
    step("yes x | head -n 3000; cat text", secrets=[SECRET])
    assert step.told[-1] == "[hidden]"
    assert SECRET not in step.log_path.read_text()


def test_a_command_for_which_no_time_is_left_is_not_started(tmp_path):
    with Log(tmp_path / "log", limit_bytes=100) as log:
        place = Workplace(
            directory=tmp_path,
            environment=PATH,
            log=log,
            tell=pytest.fail,
            mask=Mask(),
            bounds=Bounds(time_s=0),
        )
        with pytest.raises(StepFailed, match="no time left"):
            run_step(Step(run="touch made", name="build"), place, timeout_s=20)
    assert not (tmp_path / "made").exists()
