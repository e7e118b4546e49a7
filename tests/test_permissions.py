"""A missing right is told with its place, before anything is built for nothing."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support import process
from support.git import REMOTE, Work
from support.ordinary import give, ordinary_user
from support.server import Server
from support.tools import needs

# Without these, root is bound by the modes of files like everybody else.
POWERS = "-dac_override,-dac_read_search"

PLACES = {
    "www": "www: cannot be written to; www belongs to ",
    "shop.git/refs/heads": "main.lock': Permission denied",
    "shop.git": ".lock': Permission denied",
    "shop/lock": "lock: Permission denied; lock belongs to ",
    "shop/ledger.db": "ledger.db: attempt to write a readonly database",
    "shop/releases": "Permission denied; releases belongs to ",
    "shop/logs": "Permission denied; logs belongs to ",
    "shop.git/objects": "unpacker error",
}


@pytest.fixture
def shop(
    server: Server, make_work: Callable[..., Work], tmp_path: Path
) -> tuple[Server, Work, Path]:
    """One release is staged; its build leaves a line in a file."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    built = tmp_path / "built"
    toml = f"[[build.steps]]\nrun = 'echo built >> {built}'\n"
    ada.commit("one", a="one", **{"deploy.toml": toml})
    assert ada.push("main").code == 0
    return server, ada, built


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Take the right to write from a place until the test is over."""
    modes: dict[Path, int] = {}

    def take(path: Path) -> None:
        modes[path] = stat.S_IMODE(path.stat().st_mode)
        path.chmod(modes[path] & ~0o222)

    yield take
    for path, mode in modes.items():
        path.chmod(mode)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_cannot_be_written_to_is_named_before_anything_is_built(
    shop: tuple[Server, Work, Path],
    read_only: Callable[[Path], None],
    place: str,
) -> None:
    """The old release stays live, and the next push works when the right is back."""
    server, ada, built = shop
    links, path = server.links(), server.root / place
    ada.commit("two", a="two")
    mode = stat.S_IMODE(path.stat().st_mode)
    read_only(path)
    said = _push(ada)
    assert said.returncode == 1
    told = f"{said.stdout} {said.stderr}".replace("remote:", "")
    assert PLACES[place] in " ".join(told.split())
    assert "a bug" not in said.stderr
    assert server.links() == links
    assert built.read_text() == "built\n"
    path.chmod(mode)
    for journal in path.parent.glob("ledger.db-*"):  # SQLite gives it the same mode
        journal.chmod(mode)
    assert _push(ada).returncode == 0
    live = server.link("shop-staging")
    assert live is not None
    assert (live / "a").read_text() == "two"


def _push(ada: Work) -> CompletedProcess[str]:
    """Push as somebody whom modes bind, also where that is root."""
    push = ("git", "push", "--porcelain", REMOTE, "main")
    if os.geteuid():
        return process.run(*push, cwd=ada.path, check=False)
    bound = (needs("setpriv"), f"--bounding-set={POWERS}", f"--inh-caps={POWERS}")
    return process.run(*bound, *push, cwd=ada.path, check=False)


def test_another_user_of_the_machine_deploys_by_a_key_alone() -> None:
    """Also where the files let them in, and their git trusts the repository."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    with tempfile.TemporaryDirectory(prefix="gitdeploy-test-") as name:
        world = Path(name)
        world.chmod(0o755)
        home = world / "home"
        home.mkdir()
        (home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        work = Work.create(world / "work")
        work.commit("one", a="one")
        give(world)
        server = Server(world / "server")
        server.setup("shop")
        for folder, folders, names in os.walk(server.root):
            for each in (".", *folders, *names):
                path = Path(folder, each)
                if not path.is_symlink():
                    path.chmod(0o777)
        other = ordinary_user(world)
        push = ("git", "push", server.url(), "HEAD:refs/heads/main")
        environment = {"HOME": str(home), "GIT_CONFIG_GLOBAL": f"{home}/.gitconfig"}
        done = process.run(*other, *push, cwd=work.path, env=environment, check=False)
        assert done.returncode == 1, done.stderr
        words = " ".join(done.stderr.replace("remote:", "").split())
        assert "shop belongs to root, and this is nobody; others push with a" in words
        assert server.refs() == {}
        assert server.link("shop-staging") == server.root / "shop/empty"
