"""Files that releases share cannot be changed in another release by any step."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import process
from support.git import REMOTE, Work
from support.tools import needs

from gitdeploy import sharing

NOBODY = 65534
DEPS = """
[[build.steps]]
name = "deps"
run = "mkdir -p lib; printf 1 > lib/made; printf 1 > 'lib/my file'; echo deps >> {runs}"
inputs = ["lock.json"]
outputs = ["lib"]
reuse = "share"
"""
LATER = "[[build.steps]]\nname = 'later'\nrun = '''{run}'''\n"

IN_PLACE = "later failed: it changed lib/made in place"
IS_SHARED = "lib/made is shared with other releases and read-only"
DEEDS = {
    "written": ("printf 2 > lib/made", "later failed: exit 2", IS_SHARED),
    "appended to": ("printf 2 >> $PWD/lib/made", "later failed: exit 2", IS_SHARED),
    "truncated": ("truncate -s 0 lib/made", "later failed: exit 1", IS_SHARED),
    "given away": ("chown 1 lib/made", "later failed: exit 1", IS_SHARED),
    "a name with a space": (
        "cp lock.json 'lib/my file'",
        "later failed: exit 1",
        "lib/my file is shared with other releases and read-only",
    ),
    "its mode": ("chmod 600 lib/made", IN_PLACE, "rename it over lib/made"),
    "made writable": (
        "chmod u+w lib/made; printf 2 > lib/made",
        IN_PLACE,
        "rename it over lib/made",
    ),
    "and read-only again": (
        "chmod u+w lib/made; printf 22 > lib/made; chmod a-w lib/made; false",
        IN_PLACE,
        "rename it over lib/made",
    ),
    "renamed over": ("printf 2 > new; mv -f new lib/made", "", ""),
    "edited": ("sed -i s/1/2/ lib/made", "", ""),
    "removed": ("rm -r lib; mkdir lib; printf 2 > lib/made", "", ""),
    "only read": ("cat lib/made; : > lib/another", "", ""),
}
LOSES = ("made writable", "and read-only again")
"""Where the owner of a file insists, it is noticed and not prevented."""


class Shop:
    """An app on a file system without reflinks, deployed by a user of one kind."""

    def __init__(self, place: Path, become: tuple[str, ...]) -> None:
        self.place = place
        self.root = place / "root"
        self.runs = place / "runs"
        self._become = become
        for path in (self.root, place / "home"):
            path.mkdir()
        self.runs.touch()
        self.work = Work.create(place / "work")
        self.work.connect(self.root / "shop.git")
        self.number = 0
        self._own()
        self.run(sys.executable, "-m", "gitdeploy", "setup", "shop")
        free = '[steps]\nconfine = "off"\n[sharing]\noutputs = true\n'  # marks outside
        (self.root / "shop/server.toml").write_text(free)

    def run(self, *words: str) -> CompletedProcess[str]:
        environment = {"GITDEPLOY_ROOT": str(self.root), "HOME": f"{self.place}/home"}
        return process.run(
            *self._become, *words, cwd=self.work.path, env=environment, check=False
        )

    def push(self, *later: str) -> CompletedProcess[str]:
        """Push a commit whose dependencies did not change."""
        self.number += 1
        toml = DEPS.format(runs=self.runs)
        toml += "".join(LATER.format(run=run) for run in later)
        files = {"deploy.toml": toml, "lock.json": "1", "index.html": str(self.number)}
        return self.push_files(files)

    def push_files(self, files: dict[str, str]) -> CompletedProcess[str]:
        """Commit files and push them."""
        for name, content in files.items():
            self.work.write(name, content)
        self._own()
        for words in (("add", "--all"), ("commit", "--quiet", "-m", "change")):
            done = self.run("git", *words)
            assert done.returncode == 0, done.stderr
        return self.run("git", "push", "--porcelain", REMOTE, "main")

    def _own(self) -> None:
        if self._become:
            owner = f"{NOBODY}:{NOBODY}"
            process.run("chown", "-R", owner, self.place / "work", self.place / "home")
            process.run("chown", owner, self.place, self.root, self.runs)

    @property
    def ran(self) -> int:
        return len(self.runs.read_text().split())

    @property
    def live(self) -> Path:
        return (self.root / "www/shop-staging").resolve(strict=True)


@pytest.fixture(params=["root", "ordinary user"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    """One for each kind of user that this machine lets us be."""
    become: tuple[str, ...] = ()
    if os.geteuid() != 0 and request.param == "root":
        pytest.skip("we are not root")
    if os.geteuid() == 0 and request.param != "root":
        # May read anything, as this Python may lie in root's home; writes nothing more.
        only = "-all,+dac_read_search"
        who = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        caps = (f"--inh-caps={only}", f"--ambient-caps={only}", "--")
        become = (needs("setpriv"), *who, *caps)
    place = Path(tempfile.mkdtemp(prefix="gitdeploy-test-"))
    try:
        place.chmod(0o755)
        if sharing.can_reflink(place):
            pytest.skip("releases have files of their own here")
        yield Shop(place, become)
    finally:
        shutil.rmtree(place)


def told(done: CompletedProcess[str]) -> str:
    return " ".join(f"{done.stdout} {done.stderr}".replace("remote:", "").split())


def test_what_no_step_may_change_is_not_changed(shop: Shop) -> None:
    """Each deed in a release of its own, and the earlier release is as it was."""
    first = shop.push("true")
    assert first.returncode == 0, first.stderr
    origin = shop.live
    for name, (deed, failure, hint) in DEEDS.items():
        if name in LOSES:
            continue
        done = shop.push(deed)
        assert done.returncode == bool(failure), (name, done.stderr)
        assert failure in told(done), name
        assert hint in told(done), name
        assert "a bug" not in told(done)
        assert shop.ran == 1, name
        status = (origin / "lib/made").stat()
        assert (origin / "lib/made").read_text() == "1", name
        assert stat.S_IMODE(status.st_mode) == 0o444, name
        if name == "only read":
            assert (shop.live / "lib/made").samefile(origin / "lib/made")
            assert not (origin / "lib/another").exists()


@pytest.mark.parametrize("deed", LOSES)
def test_what_an_owner_insists_on_is_told_and_not_passed_on(
    shop: Shop, deed: str
) -> None:
    """The release fails, which earlier one lost what is said loudly, and it is over."""
    shop.push()
    run, failure, hint = DEEDS[deed]
    done = shop.push(run)
    assert done.returncode == 1
    assert failure in told(done)
    assert hint in told(done)
    assert "DAMAGED release 1 and those that share with it lost lib/made" in told(done)
    assert shop.push().returncode == 0
    assert shop.ran == 2
    assert (shop.live / "lib/made").read_text() == "1"


@pytest.mark.parametrize("deed", ["written", "its mode", "renamed over"])
def test_it_is_the_same_in_the_first_release(shop: Shop, deed: str) -> None:
    """So nobody learns of it only when something is shared indeed."""
    run, failure, hint = DEEDS[deed]
    done = shop.push(run)
    assert done.returncode == bool(failure)
    assert failure in told(done)
    assert hint in told(done)
    assert "DAMAGED" not in told(done)


def test_a_file_that_has_names_elsewhere_is_not_made_read_only_there(
    shop: Shop,
) -> None:
    """A package manager's store: the outputs get files of their own."""
    store = shop.place / "home/store"
    store.write_text("s")
    shop.push()
    make = f"mkdir lib; ln {store} lib/s"
    toml = DEPS.format(runs=shop.runs).replace("mkdir -p lib", make)
    assert shop.push_files({"deploy.toml": toml}).returncode == 0
    assert stat.S_IMODE(store.stat().st_mode) == 0o644
    assert store.stat().st_nlink == 1
    assert stat.S_IMODE((shop.live / "lib/s").stat().st_mode) == 0o444


def test_without_the_means_to_confine_root_files_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No privilege is trusted to be gone that could not be taken away."""
    from gitdeploy.steps import can_be_unprivileged, privileges
    from gitdeploy.system import programs

    monkeypatch.setattr(privileges, "_privileged", lambda: True)
    monkeypatch.setattr(programs, "PLACES", ("/nowhere",))
    assert not can_be_unprivileged()


def test_who_has_no_privilege_needs_no_program_to_lose_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An ordinary user's steps start as they always did."""
    from gitdeploy.steps import can_be_unprivileged, privileges

    monkeypatch.setattr(privileges, "_privileged", lambda: False)
    assert can_be_unprivileged()
    assert privileges.setpriv(unprivileged=True) == []
    assert sharing.way_in(tmp_path, hard_links=can_be_unprivileged()) != "copy"
