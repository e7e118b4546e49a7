"""Live means healthy: checked before the flip, tried out after it, taken back."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.git import Work
from support.server import Server
from support.site import Site, serving

SERVE = """
import http.server, os, pathlib
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(pathlib.Path("status").read_text())
        self.send_response(status)
        self.end_headers()
        self.wfile.write(pathlib.Path("page").read_bytes())
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
CHECK = f"""
[[checks]]
name = "it answers"
serve = ["{sys.executable}", "serve.py"]
url = "/"
within = "3s"
"""


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Iterator[Site]:
    """The web server of the dev chain: answers as the live release says."""
    with serving(server.target / "shop-staging", tmp_path / "asked") as site:
        yield site


def health(site: Site, words: str = "") -> str:
    """Return a [health] that asks the site."""
    return f'[health]\nurl = "{site.url}"\nwithin = "1s"\n{words}\n'


def live(server: Server) -> str:
    """Return the page that is staged."""
    return (server.target / "shop-staging/page").read_text()


def release(work: Work, page: str, status: int = 200, toml: str = "") -> str:
    """Commit a release that answers with a status."""
    files = {"page": page, "status": str(status), "serve.py": SERVE}
    return work.commit(page, **files, **{"deploy.toml": toml})


# --- checks before the flip -------------------------------------------------------


def test_a_release_that_answers_500_is_rejected_before_it_is_shown(
    server: Server, work: Work
) -> None:
    """Exit 1, the reason in git's status line, nothing public changed."""
    first = release(work, "one", toml=CHECK)
    said = work.push("main")
    assert said.code == 0, said.output
    assert any(line.split()[:2] == ["check", "/"] for line in said.remote_lines)
    release(work, "two", status=500, toml=CHECK)
    said = work.push("main")
    assert said.code == 1
    assert said.status("main").reason == "check it answers failed: 500"
    last_words = '"GET / HTTP/1.1" 500 -'
    assert any(line.endswith(last_words) for line in said.remote_lines)
    assert live(server) == "one"
    assert server.refs()["refs/heads/main"] == first
    assert server.releases()[0]["state"] == "failed"
    release(work, "three", toml=CHECK)
    assert work.push("main").code == 0
    assert live(server) == "three"


@pytest.mark.parametrize(
    ("check", "why"),
    {
        "a command that fails": (
            'run = "echo no; exit 3"',
            "check echo no; exit 3 failed: exit 3",
        ),
        "one too slow": (
            'run = "sleep 60"\nname = "slow"\nwithin = "1s"',
            "check slow failed: timed out after 1.0 s",
        ),
        "a server that ends": (
            'serve = "echo bye; exit 4"\nurl = "/"\nname = "up"',
            "check up failed: ended before it answered: exit 4",
        ),
        "a server elsewhere": (
            'serve = "sleep 60"\nurl = "/"\nwithin = "1s"\nname = "up"',
            "check up failed: connection refused",
        ),
        "no such program": (
            'serve = ["no-such-program"]\nurl = "/"\nname = "up"',
            "check up failed: ",
        ),
    }.values(),
    ids=str,
)
def test_a_check_that_does_not_hold_rejects_the_push(
    server: Server, work: Work, check: str, why: str
) -> None:
    """With what failed; and nothing it started is left."""
    work.commit("one", page="one")
    assert work.push("main").code == 0
    work.commit("two", page="two", **{"deploy.toml": f"[[checks]]\n{check}\n"})
    said = work.push("main")
    assert said.code == 1
    assert said.status("main").reason.startswith(why)
    assert live(server) == "one"
    said = work.push("main", options=["skip-checks"])
    assert said.code == 0
    assert live(server) == "two"


def test_a_server_on_a_socket_is_asked_there(work: Work) -> None:
    """$SOCKET is short enough to be bound, and gone afterwards."""
    program = (
        "import socketserver, os\n"
        "class H(socketserver.StreamRequestHandler):\n"
        "    def handle(self):\n"
        "        self.rfile.readline()\n"
        "        self.wfile.write(b'HTTP/1.0 200 OK\\r\\n\\r\\nhello')\n"
        "socketserver.UnixStreamServer(os.environ['SOCKET'], H).serve_forever()\n"
    )
    toml = (
        f'[[checks]]\nserve = ["{sys.executable}", "-c", """{program}"""]\n'
        'url = "/"\ntext = "hello"\n'
    ).replace("\\r\\n", "\\\\r\\\\n")
    work.commit("one", page="one", **{"deploy.toml": toml})
    said = work.push("main")
    assert said.code == 0, said.output


def test_what_passed_is_not_asked_again_unless_prod_wants_other_checks(
    server: Server, work: Work, tmp_path: Path
) -> None:
    """A promotion runs nothing twice; prod's own checks can refuse it."""
    asked, prod = tmp_path / "asked", tmp_path / "prod"
    run = f'[[checks]]\nrun = "echo $GITDEPLOY_CHAIN >> {asked}"\n'
    work.commit("one", page="one", **{"deploy.toml": run})
    assert work.push("main").code == 0
    work.tag("v1")
    assert work.push("v1").code == 0
    assert asked.read_text() == "dev\n"
    own = f'{run}[chains.prod]\nchecks = [{{ run = "test -e {prod}", name = "ok" }}]\n'
    work.commit("two", page="two", **{"deploy.toml": own})
    assert work.push("main").code == 0
    work.tag("v2")
    said = work.push("v2")
    assert (said.code, said.status("v2").reason) == (1, "check ok failed: exit 1")
    assert server.gitdeploy("release", "shop", check=False).returncode == 1
    assert (server.target / "shop/page").read_text() == "one"
    prod.touch()
    assert work.push("v2").code == 0
    assert (server.target / "shop/page").read_text() == "two"
    built = [one["state"] for one in server.releases()]
    assert built == ["ready", "ready"], "promoted, not built again"


# --- activation and health after the flip -----------------------------------------


def test_a_release_that_is_not_healthy_is_taken_back(
    server: Server, work: Work, site: Site
) -> None:
    """Links and ref are back, the pusher knows, and history how long it was shown."""
    toml = health(site) + f'[[activate]]\nrun = "cat page >> {site.asked}.activated"\n'
    first = release(work, "one", toml=toml)
    said = work.push("main")
    assert said.code == 0, said.output
    assert any(line.split()[:1] == ["health"] for line in said.remote_lines)
    release(work, "two", status=500, toml=toml)
    said = work.push("main")
    assert said.code == 1
    assert said.status("main").reason == f"health: {site.url}: 500 after 1 s"
    assert "  still live    release 1 on dev" in said.remote_lines
    assert live(server) == "one"
    assert server.refs()["refs/heads/main"] == first
    activated = Path(f"{site.asked}.activated").read_text()
    assert activated == "onetwoone", "the earlier one was activated again"
    event = server.history()[0]
    assert (event["verdict"], event["number"]) == ("failed", 2)
    assert 1 <= event["public_seconds"] < 10
    assert server.releases()[0]["bad_why"] == f"health: {site.url}: 500 after 1 s"
    assert "500" in site.heard()


def test_the_same_commit_can_be_pushed_again_and_is_built_anew(
    server: Server, work: Work, site: Site
) -> None:
    """What did not work live is not found by its content."""
    release(work, "one", toml=health(site))
    assert work.push("main").code == 0
    release(work, "two", toml=health(site, "text = 'yes'"))
    assert work.push("main").code == 1
    site.says = "yes"
    said = work.push("main")
    assert said.code == 0, said.output
    assert live(server) == "two"
    assert [one["state"] for one in server.releases()] == ["ready", "ready", "ready"]


def test_a_first_deployment_that_fails_leaves_nothing_live(
    server: Server, work: Work
) -> None:
    """Every link resolves; the branch does not exist."""
    toml = '[[activate]]\nrun = "exit 7"\nname = "start"\n'
    work.commit("one", page="one", **{"deploy.toml": toml})
    said = work.push("main")
    assert said.status("main").reason == "activate start failed: exit 7"
    assert "refs/heads/main" not in server.refs()
    empty = server.root / "shop/empty"
    assert set(server.links().values()) == {empty.resolve()}


def test_going_back_that_fails_too_is_told(server: Server, work: Work) -> None:
    """The links stay on the last good release."""
    toml = '[[activate]]\nrun = "test -e $GITDEPLOY_SHARED_DIR/up"\nname = "start"\n'
    up = server.root / "shop/shared/up"
    up.touch()
    work.commit("one", page="one", **{"deploy.toml": toml})
    assert work.push("main").code == 0
    up.unlink()
    work.commit("two", page="two", **{"deploy.toml": toml})
    said = work.push("main")
    assert said.code == 1
    reason = said.status("main").reason
    assert "; release 1 is live again, and fails too: activate start" in reason
    assert live(server) == "one"


def test_activation_runs_by_the_public_path_with_the_previous_release_named(
    server: Server, work: Work, tmp_path: Path
) -> None:
    """So that a server that is told to reload finds what is live."""
    told = tmp_path / "told"
    toml = (
        "[[activate]]\n"
        f'run = "pwd; readlink -f .; echo $GITDEPLOY_PREVIOUS_DIR"\nname = "say"\n'
        f"[[activate]]\nrun = 'pwd > {told}; readlink -f . >> {told}; "
        f'basename "$GITDEPLOY_PREVIOUS_DIR" >> {told}\'\n'
    )
    for page in ("one", "two"):
        work.commit(page, page=page, **{"deploy.toml": toml})
        assert work.push("main").code == 0
    public, real, previous = told.read_text().splitlines()
    assert public == str(server.target / "shop-dev-1")
    assert real == str(server.link("shop-staging"))
    assert previous == server.releases()[1]["name"]


def test_an_atomic_push_takes_back_what_worked_with_what_did_not(
    server: Server, work: Work
) -> None:
    """Both chains are as before, and both refs."""
    work.commit("one", page="one")
    work.tag("v1")
    assert work.push("main", "v1").code == 0
    before = server.links(), server.refs()
    toml = '[chains.prod]\nactivate = [{ run = "exit 1", name = "start" }]\n'
    work.commit("two", page="two", **{"deploy.toml": toml})
    work.tag("v2")
    said = work.push("--atomic", "main", "v2")
    assert said.code == 1
    assert said.status("v2").reason == "activate start failed: exit 1"
    assert (server.links(), server.refs()) == before


# --- roll backs -------------------------------------------------------------------


@pytest.fixture
def migrating(server: Server, work: Work, tmp_path: Path) -> Callable[[], str]:
    """Three releases that tell which of them was deactivated; as it says so far."""
    told = tmp_path / "told"
    told.touch()
    for page in ("one", "two", "three"):
        toml = (
            "[[deactivate]]\nname = 'migrate back'\n"
            f"run = 'cat page >> {told}; test ! -e {tmp_path}/stuck'\n"
        )
        work.commit(page, page=page, **{"deploy.toml": toml})
        said = work.push("main")
        assert said.code == 0, said.output
    assert live(server) == "three"
    return told.read_text


def test_a_roll_back_runs_deactivate_in_each_release_it_leaves(
    server: Server, work: Work, migrating: Callable[[], str]
) -> None:
    """The live one first: pushed, or on the server."""
    work.revert()
    assert work.push("main").code == 0
    assert (migrating(), live(server)) == ("three", "two")
    server.gitdeploy("rollforward", "shop", "dev")
    assert migrating() == "three"
    server.gitdeploy("rollback", "shop", "dev", "--steps", "2")
    assert (migrating(), live(server)) == ("threethreetwo", "one")


def test_each_release_that_is_left_is_told_which_one_is_behind_it(
    server: Server, work: Work, tmp_path: Path
) -> None:
    """So that migrations go back as far as that one, step by step."""
    told = tmp_path / "told"
    for page in ("one", "two", "three"):
        run = f"""basename "$GITDEPLOY_PREVIOUS_DIR" >> {told}"""
        toml = f"[[deactivate]]\nname = 'back'\nrun = '{run}'\n"
        work.commit(page, page=page, **{"deploy.toml": toml})
        assert work.push("main").code == 0
    server.gitdeploy("rollback", "shop", "dev", "--steps", "2")
    names = [told.split("-")[0] for told in told.read_text().splitlines()]
    assert names == ["2", "1"]


def test_a_deactivate_that_fails_stops_the_roll_back_unless_forced(
    server: Server, work: Work, migrating: Callable[[], str], tmp_path: Path
) -> None:
    """Nothing public changes, and the way on is named."""
    (tmp_path / "stuck").touch()
    refs = server.refs()
    work.revert()
    said = work.push("main")
    assert said.code == 1
    assert said.status("main").reason == "deactivate migrate back failed: exit 1"
    assert any("git push -o force" in line for line in said.remote_lines)
    assert (live(server), server.refs()) == ("three", refs)
    done = server.gitdeploy("rollback", "shop", "dev", check=False)
    assert done.returncode == 1
    assert "gitdeploy rollback shop dev --force" in done.stderr
    assert live(server) == "three"
    assert work.push("main", options=["force"]).code == 0
    assert live(server) == "two"
    server.gitdeploy("rollback", "shop", "dev", "--force")
    assert live(server) == "one"
    assert migrating() == "threethreethreetwo"


def test_a_roll_back_to_what_does_not_work_is_taken_back(
    server: Server, work: Work, site: Site
) -> None:
    """What was live is live; the release that stands on the chain is not marked."""
    for page in ("one", "two"):
        release(work, page, toml=health(site))
        assert work.push("main").code == 0
    earlier = (server.link("shop-dev-2") or Path()) / "status"
    earlier.unlink()  # others may have it, too
    earlier.write_text("503")
    done = server.gitdeploy("rollback", "shop", "dev", check=False)
    assert done.returncode == 1
    assert "503 after 1 s" in done.stderr
    assert live(server) == "two"
    assert server.history()[0]["verdict"] == "failed"
    assert [one["bad_why"] for one in server.releases()] == [None, None]
