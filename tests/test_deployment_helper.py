"""The old names and arguments of deployment helper do what they always did."""

import sys

import pytest
from support import process

ENTRY = (
    "from gitdeploy.cli import deployment_helper as old; import sys; sys.exit(old.{}())"
)


class Helper:
    """A machine on which deployment helper was used before."""

    def __init__(self, place) -> None:
        self.root = place / "root"
        self.target = place / "www"
        self.place = place
        self.root.mkdir()
        self.env = {
            "GITDEPLOY_ROOT": str(self.root),
            "DEPLOYMENT_HELPER_TARGET": str(self.target),
        }

    def build(self, name: str) -> str:
        path = self.place / name
        path.mkdir(exist_ok=True)
        (path / "index.html").write_text(name)
        return str(path)

    def __call__(self, verb: str, *words: str, env=None):
        argv = [sys.executable, "-c", ENTRY.format(verb), *words]
        return process.run(*argv, env=env or self.env, cwd=self.place, check=False)

    def live(self) -> dict[str, str]:
        """Return what each link shows, by name: a build's name, or `empty`."""
        return {
            path.name.removeprefix("app"): path.resolve(strict=True).name
            for path in sorted(self.target.iterdir())
        }


@pytest.fixture
def helper(tmp_path):
    helper = Helper(tmp_path)
    assert helper("setup", "app").returncode == 0
    return helper


def chain(helper, name: str) -> list[str]:
    live = helper.live()
    return [live[f"-{name}-{n}"] for n in (1, 2, 3)]


def test_setup_makes_two_heads_and_three_links_a_chain(helper):
    assert len(helper.live()) == 8
    assert (helper.target / "app").readlink().name == "app-prod-1"
    assert (helper.target / "app-staging").readlink().name == "app-dev-1"
    assert set(helper.live().values()) == {"empty"}


def test_setup_twice_changes_nothing(helper):
    done = helper("setup", "app", str(helper.target))
    assert done.returncode == 0
    assert "all is right" in done.stdout


def test_the_target_may_be_an_argument_of_every_command(tmp_path):
    helper = Helper(tmp_path)
    bare = {"GITDEPLOY_ROOT": str(helper.root)}
    target = str(helper.target)
    build = helper.build("b1")
    for words in (
        ["setup", "app", target],
        ["deploy", "app", build, "dev", target],
        ["release", "app", target],
    ):
        assert helper(*words, env=bare).returncode == 0
    assert chain(helper, "prod") == ["b1", "empty", "empty"]
    assert helper("rollback", "app", "prod", target, env=bare).returncode == 5


def test_deploy_pushes_a_build_onto_a_chain(helper):
    for name in ("b1", "b2", "b3", "b4"):
        assert helper("deploy", "app", helper.build(name), "dev").returncode == 0
    assert chain(helper, "dev") == ["b4", "b3", "b2"]
    assert helper.live()["-staging"] == "b4"
    assert chain(helper, "prod") == ["empty"] * 3


def test_deploy_takes_a_path_relative_to_where_it_runs(helper):
    helper.build("b1")
    assert helper("deploy", "app", "b1", "prod").returncode == 0
    assert helper.live()[""] == "b1"


def test_deploy_of_what_is_live_is_unchanged(helper):
    build = helper.build("b1")
    helper("deploy", "app", build, "dev")
    done = helper("deploy", "app", build, "dev")
    assert done.returncode == 0
    assert "unchanged" in done.stdout
    assert chain(helper, "dev") == ["b1", "empty", "empty"]


def test_a_build_that_is_no_directory_is_refused(helper):
    (helper.place / "file").write_text("")
    for build in ("file", "missing"):
        done = helper("deploy", "app", build, "dev")
        assert done.returncode == 2
        assert done.stderr.startswith("gitdeploy: ")
    assert chain(helper, "dev") == ["empty"] * 3


def test_release_pushes_the_staged_build_onto_prod(helper):
    for name in ("b1", "b2"):
        helper("deploy", "app", helper.build(name), "dev")
        assert helper("release", "app").returncode == 0
    assert chain(helper, "prod") == ["b2", "b1", "empty"]
    assert chain(helper, "dev") == ["b2", "b1", "empty"]


def test_release_with_nothing_staged_exits_with_5(helper):
    assert helper("release", "app").returncode == 5
    assert chain(helper, "prod") == ["empty"] * 3


def test_rollback_goes_one_build_back(helper):
    for name in ("b1", "b2"):
        helper("deploy", "app", helper.build(name), "prod")
    assert helper("rollback", "app", "prod").returncode == 0
    assert chain(helper, "prod") == ["b1", "empty", "empty"]


def test_rollback_with_nothing_behind_exits_with_5_and_changes_nothing(helper):
    assert helper("rollback", "app", "prod").returncode == 5
    helper("deploy", "app", helper.build("b1"), "prod")
    assert helper("rollback", "app", "prod").returncode == 5
    assert chain(helper, "prod") == ["b1", "empty", "empty"]


def test_another_target_than_the_app_s_is_named_and_refused(helper):
    other = str(helper.place / "other")
    for words in (
        ["setup", "app", other],
        ["deploy", "app", helper.build("b1"), "dev", other],
        ["release", "app", other],
        ["rollback", "app", "dev", other],
    ):
        done = helper(*words)
        assert done.returncode == 2
        assert str(helper.target) in done.stderr
    assert not (helper.place / "other").exists()


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("setup", []),
        ("deploy", ["app", "b1"]),
        ("deploy", ["app", "b1", "staging"]),
        ("rollback", ["app"]),
        ("release", ["nosuch"]),
    ],
)
def test_wrong_words_exit_with_2(helper, verb, words):
    done = helper(verb, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("gitdeploy: ")


@pytest.mark.parametrize("verb", ["setup", "deploy", "release", "rollback"])
def test_every_old_command_has_help(helper, verb):
    done = helper(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: depl-help-{verb} ")
