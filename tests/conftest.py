"""The ground that every test stands on; see tests/support for what it offers."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from support.git import Work
from support.guard import clean_environment, forbid_writes, real_homes
from support.server import Server
from support.sshd import Sshd, running_sshd
from support.tools import hide_ci

SOURCE = Path(__file__).resolve().parent.parent
REAL_HOMES = real_homes()

# Who starts the tests in the background (`&`, nohup) ignores these, and so would every
# program that a test starts and interrupts (execve(2)).
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        mine = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, mine)

hide_ci()

# How fast a machine happens to be is not what a property says.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")


@pytest.fixture(scope="session", autouse=True)
def clean_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test depends on the developer's home, git configuration or locale."""
    temporary = Path(tempfile.gettempdir())
    pythons = [Path(sys.prefix), Path(sys.base_prefix)]
    own = tmp_path_factory.getbasetemp()
    forbid_writes(REAL_HOMES, except_in=[SOURCE, temporary, own, *pythons])
    home = tmp_path_factory.mktemp("home")
    umask = os.umask(0o022)
    with pytest.MonkeyPatch.context() as patch:
        clean_environment(patch, home)
        yield home
    os.umask(umask)


@pytest.fixture(autouse=True)
def nothing_leaks(clean_world: Path) -> Iterator[None]:  # noqa: ARG001 - order
    """A test that changes the environment or the directory puts it back."""
    before = _surroundings()
    yield
    assert _surroundings() == before


def _surroundings() -> tuple[dict[str, str], str]:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return variables, str(Path.cwd())


@pytest.fixture
def make_work(tmp_path: Path) -> Callable[..., Work]:
    """Make clones: `make_work("ada", server.url())` commits and can push."""

    def make(name: str, url: str | Path | None = None, ssh_command: str = "") -> Work:
        work = Work.create(tmp_path / name)
        if url is not None:
            work.connect(url, ssh_command=ssh_command)
        return work

    return make


@pytest.fixture
def make_server(tmp_path: Path) -> Callable[..., Server]:
    """Make servers beside the first: `make_server("second")`; none is set up."""

    def make(name: str, target: Path | None = None) -> Server:
        return Server(tmp_path / name, target=target)

    return make


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """A server with no app; `work` sets up its app shop."""
    return make_server("server")


@pytest.fixture
def work(server: Server, make_work: Callable[..., Work]) -> Work:
    """A developer's clone whose remote `server` is the app shop of `server`."""
    server.setup("shop")
    return make_work("work", server.url("shop"))


@pytest.fixture(scope="session")
def sshd(
    clean_world: Path,  # noqa: ARG001 - order
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sshd]:
    """An sshd that lets the current user in; one for each test process."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def ssh_url(sshd: Sshd) -> Callable[..., str]:
    """The way to an app over ssh: `work.connect(ssh_url(server), ...)`."""

    def url(server: Server, app: str = "shop") -> str:
        return sshd.url(server.repo(app))

    return url


# --- reports ------------------------------------------------------------------------


MOST_TOLD = 20_000
"""Characters of what one failing test tells: beside others it still can be read."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """Cut what a test that failed tells: its beginning and its end say enough."""
    report = yield
    if report.failed and (text := str(report.longrepr)) and len(text) > MOST_TOLD:
        report.longrepr = shortened(text)
    report.sections = [(name, shortened(text)) for name, text in report.sections]
    return report


def shortened(text: str) -> str:
    """Return a text of at most a few kilobytes, with its beginning and its end."""
    half = MOST_TOLD // 2
    if len(text) <= MOST_TOLD:
        return text
    return f"{text[:half]}\n[{len(text) - MOST_TOLD:,} characters cut]\n{text[-half:]}"
