"""The harness itself: what the other tests take for granted."""

import getpass
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import process
from support.git import RefStatus, Work
from support.sshd import Sshd
from support.tools import ALL_MUST_RUN, needs


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bare repository that takes push options and knows nothing of gitdeploy."""
    path = tmp_path / "plain shop.git"
    process.run("git", "init", "--quiet", "--bare", path)
    process.run("git", "-C", path, "config", "receive.advertisePushOptions", "true")
    return path


def hook(bare: Path, name: str, script: str) -> None:
    path = bare / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# --- the clean world --------------------------------------------------------


def test_home_is_empty_and_temporary():
    assert Path.home() != Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert Path("~").expanduser() == Path.home()
    assert list(Path.home().iterdir()) == []


def test_git_reads_no_configuration_but_the_repository_s(make_work):
    listed = make_work("clone").git("config", "--list", "--show-scope").stdout
    assert {line.split("\t")[0] for line in listed.splitlines()} == {"local"}


def test_only_the_variables_of_the_harness_reach_a_program():
    printed = process.run("env").stdout
    names = {line.partition("=")[0] for line in printed.splitlines()}
    assert not [n for n in names if n.startswith(("SSH_", "GITDEPLOY_", "XDG_"))]
    assert "DEPLOYMENT_HELPER_TARGET" not in names
    assert os.environ["TZ"] == "UTC"
    assert os.environ["LC_ALL"] == "C.UTF-8"


def test_files_are_made_with_the_common_umask(tmp_path):
    (tmp_path / "file").write_text("")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "touch",
    [
        lambda path: path.write_text("x"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("x"),
        lambda path: path.unlink(missing_ok=True),
    ],
)
def test_writing_into_the_real_home_fails_the_test(touch):
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    if real == Path("/") or not real.is_dir():
        pytest.skip("this account has no home")
    path = real / "gitdeploy-test-that-must-not-exist"
    with pytest.raises(pytest.fail.Exception, match="real home"):
        touch(path)
    assert not os.path.lexists(path)


# --- programs ---------------------------------------------------------------


def test_a_failing_program_is_told_with_all_it_printed():
    with pytest.raises(process.ProgramError, match=r"(?s)exited with 3.*oops"):
        process.run("sh", "-c", "echo oops >&2; exit 3")


def test_a_program_that_runs_too_long_is_killed():
    with pytest.raises(subprocess.TimeoutExpired):
        process.run("sleep", "60", timeout_s=0.05)


def test_output_keeps_bytes_and_line_ends():
    done = process.run("printf", r"a\r\n\377")
    assert done.stdout == "a\r\n\udcff"


def test_standard_input_is_what_was_given_or_nothing():
    assert process.run("cat", stdin="given").stdout == "given"
    assert process.run("cat").stdout == ""


@pytest.mark.parametrize(("ci", "outcome"), [("true", "fail"), ("", "skip")])
@pytest.mark.parametrize("name", ["CI", ALL_MUST_RUN])
def test_a_missing_program_is_loud(monkeypatch, name, ci, outcome):
    for one in ("CI", ALL_MUST_RUN):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(name, ci)
    with pytest.raises(getattr(pytest, outcome).Exception, match="no-such-program"):
        needs("no-such-program")


def test_programs_of_the_system_are_found_without_its_directories_in_path(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert needs("ldconfig") in {"/usr/sbin/ldconfig", "/sbin/ldconfig"}


HUGE = """
def test_that_fails():
    print("y" * 10**6)
    assert {n: b"x" * 100 for n in range(10**4)} == {n: b"y" for n in range(10**4)}
"""


def test_what_a_failing_test_tells_is_some_kilobytes(tmp_path):
    """In CI as well, where pytest by itself leaves nothing out."""
    tests = Path(__file__).parent
    (tmp_path / "conftest.py").write_text((tests / "conftest.py").read_text())
    (tmp_path / "test_huge.py").write_text(HUGE)
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull]
    done = process.run(
        *(sys.executable, *words, "--rootdir", tmp_path, tmp_path),
        env={"CI": "true", "PYTHONPATH": str(tests)},
        check=False,
    )
    assert "1 failed" in done.stdout
    assert len(done.stdout) < 60_000


# --- the clone --------------------------------------------------------------


def test_a_clone_commits_files_of_any_name_and_mode(make_work):
    work = make_work("clone")
    work.write(b"caf\xe9\n.txt", b"\x00\xff")
    work.write("bin/run", "#!/bin/sh\n", mode=0o755)
    oid = work.commit("first", README="hello")
    listed = work.git("ls-tree", "-r", "-z", oid).stdout.split("\0")
    entries = {line.partition("\t")[2]: line[:6] for line in listed if line}
    assert entries == {
        "README": "100644",
        "bin/run": "100755",
        "caf\udce9\n.txt": "100644",
    }


def test_a_commit_may_change_nothing_and_is_later_than_the_one_before(make_work):
    work = make_work("clone")
    first, second = work.commit("first"), work.commit("second")
    assert work.oid(f"{first}^{{tree}}") == work.oid(f"{second}^{{tree}}")
    dates = work.git("log", "--format=%ct").stdout.split()
    assert int(dates[0]) - int(dates[1]) == 60


def test_the_same_history_has_the_same_ids_everywhere(make_work):
    ids = {make_work(name).commit("first", page="one") for name in ("ada", "bob")}
    assert len(ids) == 1


def test_a_revert_brings_the_earlier_tree_back(make_work):
    work = make_work("clone")
    first = work.commit("first", page="one")
    work.commit("second", page="two")
    reverted = work.revert()
    assert work.head == reverted
    assert work.oid("HEAD^{tree}") == work.oid(f"{first}^{{tree}}")


def test_what_was_removed_is_gone_from_the_next_commit(make_work):
    work = make_work("clone")
    work.commit("first", page="one", **{"dir/a": "1", "dir/b": "2"})
    work.remove("dir")
    work.remove("page")
    work.commit("second")
    assert work.git("ls-tree", "-r", "HEAD").stdout == ""


def test_tags_are_light_or_annotated(make_work):
    work = make_work("clone")
    oid = work.commit("first")
    assert work.tag("v1") == oid
    annotated = work.tag("v2", annotated=True)
    assert annotated != oid
    assert work.oid("v2^{commit}") == oid


# --- pushes -----------------------------------------------------------------


def test_a_push_over_a_path_tells_each_ref(make_work, bare):
    work = make_work("clone", bare)
    first = work.commit("first", page="one")
    work.tag("v1")
    pushed = work.push("main", "v1")
    assert pushed.code == 0
    assert pushed.statuses == {
        "refs/heads/main": RefStatus("*", "[new branch]", ""),
        "refs/tags/v1": RefStatus("*", "[new tag]", ""),
    }
    assert work.push("main").status("main").flag == "="
    second = work.commit("second")
    moved = RefStatus(" ", f"{first[:7]}..{second[:7]}", "")
    assert work.push("main").status("refs/heads/main") == moved
    assert work.push(":v1").status("v1") == RefStatus("-", "[deleted]", "")
    work.git("reset", "--quiet", "--hard", first)
    forced = work.push("--force", "main").status("main")
    assert forced == RefStatus("+", f"{second[:7]}...{first[:7]}", "forced update")


def test_a_refused_push_tells_the_reason_and_what_the_server_said(make_work, bare):
    hook(bare, "pre-receive", "printf 'one\\n\\n  two (2)\\n'; exit 1")
    work = make_work("clone", bare)
    work.commit("first")
    pushed = work.push("main")
    assert pushed.code == 1
    refused = RefStatus("!", "[remote rejected]", "pre-receive hook declined")
    assert pushed.status("main") == refused
    assert pushed.remote_lines == ["one", "", "  two (2)"]
    with pytest.raises(AssertionError, match="other"):
        pushed.status("other")


def test_push_options_reach_the_server(make_work, bare):
    said = 'echo "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1"'
    hook(bare, "pre-receive", said)
    work = make_work("clone", bare)
    work.commit("first")
    assert work.push("main", options=["plan", "a b"]).remote_lines == ["2 plan a b"]


def test_a_second_developer_clones_what_the_first_pushed(make_work, bare, tmp_path):
    work = make_work("clone", bare)
    oid = work.commit("first")
    work.push("main")
    other = Work.clone(bare, tmp_path / "other")
    other.git("checkout", "--quiet", "main")
    assert other.head == oid
    other.commit("second")
    assert other.push("main").code == 0


def test_a_push_under_way_can_be_interrupted(make_work, bare):
    hook(bare, "pre-receive", "echo under way; exec sleep 60")
    work = make_work("clone", bare)
    work.commit("first")
    with work.pushing("main") as push:
        assert push.stderr.readline().startswith(b"remote: under way")
        os.killpg(push.pid, signal.SIGINT)
        push.communicate(timeout=10)
    assert push.returncode == -signal.SIGINT


# --- over ssh ---------------------------------------------------------------


def test_a_push_over_ssh_arrives(make_work, bare, sshd: Sshd):
    work = make_work("clone", sshd.url(bare), sshd.ssh_command)
    oid = work.commit("first", page="one")
    assert work.push("main").status("main").flag == "*"
    shown = process.run("git", f"--git-dir={bare}", "rev-parse", "main")
    assert shown.stdout.strip() == oid


def test_ssh_needs_only_the_environment_too(make_work, bare, sshd: Sshd):
    work = make_work("clone", sshd.url(bare))
    work.commit("first")
    over_ssh = {"GIT_SSH_COMMAND": sshd.ssh_command}
    assert work.push("main", env=over_ssh).code == 0


def test_a_session_has_git_and_none_of_the_user_s_files(make_work, bare, sshd: Sshd):
    hook(bare, "pre-receive", 'echo "$HOME"; git --version; git config --global -l')
    work = make_work("clone", sshd.url(bare), sshd.ssh_command)
    work.commit("first")
    home, version, *rest = work.push("main").remote_lines
    assert Path(home) == sshd.home
    assert version.startswith("git version")
    assert rest == []


def test_sessions_of_the_server_can_be_found_by_their_pids(sshd: Sshd):
    where = f"ssh://{getpass.getuser()}@127.0.0.1:{sshd.port}"
    before = set(sshd.sessions())
    with process.started(*sshd.ssh_argv, where, "echo in; exec cat") as client:
        assert client.stdout.read(3) == b"in\n"
        (session,) = set(sshd.sessions()) - before
        os.kill(session, signal.SIGTERM)
        client.communicate(timeout=10)
    assert client.returncode == 255


def test_an_app_s_address_over_ssh_is_its_repository_s_path(server, ssh_url, sshd):
    assert ssh_url(server, "shop") == sshd.url(server.repo("shop"))
