"""Old releases go; what is live, pinned, in use or not ours stays."""

import errno
import os
import sys

import pytest
from support import process

from gitdeploy.deploy.app import App
from gitdeploy.deploy.prune import finish_pruning, mark_pruned, prune, to_prune
from gitdeploy.door import surroundings
from gitdeploy.ledger import Ledger
from gitdeploy.system import files

KEEP = "[releases]\nkeep = {}\n"
FAILING = '[[build.steps]]\nrun = "echo no; exit 1"\n'


def stage(work, *pages, keep=10):
    """Push a release for each page."""
    for page in pages:
        work.commit(page, page=page, **{"deploy.toml": KEEP.format(keep)})
        assert work.push("main").code == 0


def fail(work, *pages):
    """Push what cannot become a release, once for each page."""
    good = work.head
    for page in pages:
        work.commit(page, page=page, **{"deploy.toml": FAILING})
        assert work.push("main").code == 1
    work.git("reset", "--quiet", "--hard", good)


def numbers(server):
    """Return the numbers of the directories there are."""
    names = os.listdir(server.root / "shop/releases")
    return sorted(int(name.partition("-")[0]) for name in names)


def logs(server):
    names = os.listdir(server.root / "shop/logs")
    return sorted(int(name.partition("-")[0]) for name in names)


def directory(server, number):
    (found,) = (server.root / "shop/releases").glob(f"{number}-*")
    return found


def chain(server, name="dev"):
    """Return the whole chain, head first, as the ledger has it."""
    ledger = Ledger(server.root / "shop/ledger.db")
    entries = ledger.chains.read(name).entries
    ledger.close()
    return [entry.release for entry in entries]


def pruned(server, *args):
    """Prune, and return the numbers of what was removed."""
    shown = server.json("prune", "shop", *args)
    return [int(name.partition("-")[0]) for name in shown["removed"]]


# --- what stays -------------------------------------------------------------


def test_the_newest_are_kept_besides_those_on_a_link(server, work):
    stage(work, *"abcdefg")
    assert pruned(server, "--keep", "2") == [1, 2]
    assert numbers(server) == [3, 4, 5, 6, 7]


def test_what_a_link_shows_stays_however_little_is_kept(server, work):
    stage(work, "a")
    work.tag("v1")
    assert work.push("v1").code == 0
    stage(work, *"bcdef")
    assert pruned(server, "--keep", "0") == [2, 3]
    assert numbers(server) == [1, 4, 5, 6]
    assert (server.link("shop") / "page").read_text() == "a"
    assert (server.link("shop-dev-3") / "page").read_text() == "d"


def test_how_many_is_what_the_live_commit_says(server, work):
    stage(work, *"abcdef", keep=10)
    stage(work, "g", keep=1)
    assert numbers(server) == [4, 5, 6, 7]


def test_after_a_push_old_ones_go_by_themselves(server, work):
    stage(work, *"abcdef", keep=0)
    assert numbers(server) == [4, 5, 6]


def test_of_failed_ones_the_newest_two_stay(server, work):
    stage(work, "a")
    fail(work, *"bcdef")
    assert pruned(server, "--keep", "10") == [2, 3, 4]
    assert numbers(server) == [1, 5, 6]


def test_failed_ones_do_not_count_among_the_kept(server, work):
    stage(work, *"abcd")
    fail(work, *"xy")
    assert pruned(server, "--keep", "1") == []


def test_a_pinned_one_stays_until_it_is_not(server, work):
    stage(work, *"abcde")
    server.gitdeploy("pin", "shop", "1")
    assert pruned(server, "--keep", "0") == [2]
    ledger = Ledger(server.root / "shop/ledger.db")
    ledger.releases.pin(1, pinned=False)
    ledger.close()
    assert pruned(server, "--keep", "0") == [1]


USES = {
    "works in": "import os; os.chdir(path)",
    "works below": "import os; os.mkdir(path + '/d'); os.chdir(path + '/d')",
    "has a file open of": "file = open(path + '/page')",
    "has a directory open of": "import os; fd = os.open(path, os.O_RDONLY)",
}


@pytest.mark.parametrize("use", USES)
def test_what_a_process_uses_stays_until_it_has_ended(server, work, use):
    stage(work, *"abcde")
    path = directory(server, 1)
    program = f"path = {str(path)!r}; {USES[use]}; print('in', flush=True); input()"
    with process.started(sys.executable, "-Ic", program) as user:
        assert user.stdout.readline() == b"in\n"
        assert pruned(server, "--keep", "0") == [2]
        assert path.is_dir()
        user.communicate(b"\n", timeout=10)
    assert pruned(server, "--keep", "0") == [1]


def test_a_program_that_runs_from_a_release_keeps_it(server, work):
    program = os.path.realpath("/bin/sleep")
    with open(program, "rb") as file:
        work.write("run", file.read(), mode=0o755)
    stage(work, *"abcde")
    with process.started(directory(server, 1) / "run", "60", cwd=server.root):
        assert pruned(server, "--keep", "0") == [2]
    assert pruned(server, "--keep", "0") == [1]


def test_a_directory_that_the_ledger_does_not_know_is_left(server, work):
    stage(work, *"abcde")
    releases = server.root / "shop/releases"
    strangers = ("1-someone-else", "1", "precious", "99-20261121T191102Z-abcdef0")
    for name in strangers:
        (releases / name).mkdir()
        (releases / name / "file").write_text("")
    (releases / "file").write_text("")
    assert pruned(server, "--keep", "0") == [1, 2]
    assert {*strangers, "file"} < set(os.listdir(releases))
    assert (releases / "precious/file").exists()


def test_a_directory_that_was_only_linked_is_never_removed(server, work, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "page").write_text("own")
    stage(work, "a")
    server.gitdeploy("deploy", "shop", own, "dev")
    stage(work, *"bcde")
    pruned(server, "--keep", "0")
    assert (own / "page").read_text() == "own"


# --- what goes --------------------------------------------------------------


def test_a_dry_run_says_the_same_and_does_nothing(server, work):
    stage(work, *"abcdef")
    before = server.releases(), chain(server), numbers(server), logs(server)
    assert pruned(server, "--keep", "0", "--dry-run") == [1, 2, 3]
    assert (server.releases(), chain(server), numbers(server), logs(server)) == before
    assert pruned(server, "--keep", "0") == [1, 2, 3]


def test_pruning_again_finds_nothing(server, work):
    stage(work, *"abcde")
    assert pruned(server, "--keep", "0") == [1, 2]
    assert pruned(server, "--keep", "0") == []


def test_the_log_goes_with_the_release(server, work):
    stage(work, *"abcde")
    assert logs(server) == [1, 2, 3, 4, 5]
    pruned(server, "--keep", "0")
    assert logs(server) == [3, 4, 5]


def test_the_chain_is_shorter_without_what_was_pruned(server, work):
    stage(work, *"abcdef")
    server.gitdeploy("pin", "shop", "2")
    assert pruned(server, "--keep", "0") == [1, 3]
    assert chain(server) == [6, 5, 4, 2]
    server.gitdeploy("rollback", "shop", "dev", "--steps", "3")
    assert (server.link("shop-staging") / "page").read_text() == "b"
    assert server.gitdeploy("rollback", "shop", "dev", check=False).returncode == 5


def test_what_was_rolled_back_from_is_pruned_like_any_other(server, work):
    stage(work, *"abcde")
    server.gitdeploy("rollback", "shop", "dev", "--steps", "2")
    assert pruned(server, "--keep", "0") == [4, 5]
    no = server.gitdeploy("rollforward", "shop", "dev", check=False)
    assert no.returncode == 5
    assert (server.link("shop-staging") / "page").read_text() == "c"


def test_what_was_pruned_is_made_again_when_it_is_pushed_again(server, work):
    stage(work, "a")
    first = work.head
    stage(work, *"bcdef")
    pruned(server, "--keep", "0")
    assert work.push("--force", f"{first}:refs/heads/main").code == 0
    assert (server.link("shop-staging") / "page").read_text() == "a"
    assert numbers(server) == [4, 5, 6, 7]


def test_releases_remember_what_was_pruned_by_its_number(server, work):
    stage(work, *"abcde")
    pruned(server, "--keep", "0")
    stage(work, "x")
    assert numbers(server) == [3, 4, 5, 6]
    listed = {release["number"]: release["state"] for release in server.releases()}
    assert {1, 2}.isdisjoint(listed) or listed[1] == listed[2] == "pruned"


# --- a crash ----------------------------------------------------------------


def died_after_the_ledger(server, *numbers_):
    """Leave what a kill between the ledger and the directories leaves."""
    ledger = Ledger(server.root / "shop/ledger.db")
    gone = [ledger.releases.get(number) for number in numbers_]
    with ledger.transaction():
        shorter = ledger.chains.read("dev").without(set(numbers_))
        ledger.chains.write(shorter)
        for release in gone:
            ledger.releases.prune(release)
    ledger.close()


def test_what_a_crash_left_is_removed_by_the_next_prune(server, work):
    stage(work, *"abcde")
    died_after_the_ledger(server, 1, 2)
    assert numbers(server) == [1, 2, 3, 4, 5]
    assert pruned(server, "--keep", "10") == []
    assert numbers(server) == [3, 4, 5]
    assert logs(server) == [3, 4, 5]


def test_a_directory_that_a_crash_left_half_removed_is_removed(server, work):
    stage(work, *"abcde")
    (directory(server, 1) / ".removing-7-1").mkdir()
    (directory(server, 1) / "page").unlink()
    died_after_the_ledger(server, 1)
    pruned(server, "--keep", "10")
    assert numbers(server) == [2, 3, 4, 5]


def test_a_log_that_a_crash_left_is_removed_by_the_next_prune(server, work):
    stage(work, *"abcde")
    path = directory(server, 1)
    died_after_the_ledger(server, 1)
    (path / "page").unlink()
    (path / "deploy.toml").unlink()
    path.rmdir()
    pruned(server, "--keep", "10")
    assert logs(server) == [2, 3, 4, 5]


def test_nothing_is_pruned_while_somebody_works_on_the_app(server, work):
    stage(work, *"abcde")
    program = (
        "import fcntl, sys; lock = open(sys.argv[1], 'r+');"
        "fcntl.flock(lock, fcntl.LOCK_EX); print('held', flush=True); input()"
    )
    lock = server.root / "shop/lock"
    with process.started(sys.executable, "-Ic", program, lock) as holder:
        assert holder.stdout.readline() == b"held\n"
        words = ("prune", "shop", "--keep", "0", "--wait", "0")
        assert server.gitdeploy(*words, check=False).returncode == 75
    assert numbers(server) == [1, 2, 3, 4, 5]


def test_a_prune_that_was_killed_is_finished_by_the_next_push(
    server, work, monkeypatch
):
    """Its releases are gone from the ledger; so are their directories then."""
    for n in range(6):
        work.commit(f"{n}", a=str(n))
        assert work.push("main").code == 0
    app = App.open(server.root, "shop", surroundings(os.environ), "ada")
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_tree", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            prune(app, keep=0, dry_run=False)
    app.ledger.close()
    releases = server.root / "shop" / "releases"
    assert len(list(releases.iterdir())) == 6
    work.commit("next", a="next")
    assert work.push("main").code == 0
    assert len(list(releases.iterdir())) == 4


def _interrupted(_path):
    raise KeyboardInterrupt


def test_what_cannot_be_removed_keeps_nobody_from_deploying(server, work, monkeypatch):
    """It is tried again by whoever comes next."""
    stage(work, "1", "2", "3", "4", "5")
    with App.open(server.root, "shop", surroundings(os.environ), "ada") as app:
        gone = to_prune(app, 0)
        mark_pruned(app, gone)
        with monkeypatch.context() as patch:
            patch.setattr(files, "remove_tree", refuse)
            finish_pruning(app)
        assert gone
        assert all(app.directory(release).is_dir() for release in gone)
        finish_pruning(app)
        assert not any(app.directory(release).exists() for release in gone)


def refuse(path):
    raise PermissionError(errno.EPERM, "not ours", str(path))
