"""Set-up makes an app whole, says what it did, and touches nothing that is right."""

import os
import shlex
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from support import process

from gitdeploy import door
from gitdeploy.deploy import relocate
from gitdeploy.deploy.app import App
from gitdeploy.deploy.hook_files import wrong
from gitdeploy.deploy.setup import set_up
from gitdeploy.errors import StateError, SystemFailed, UsageError
from gitdeploy.system.surroundings import Surroundings

NOBODY = 65534
HOOKS = ("pre-receive", "proc-receive", "post-receive")


class Root:
    """A root whose apps are set up by the engine itself."""

    def __init__(self, path):
        self.path = path
        self.target = path / "www"

    def set_up(self, name="shop", *, target=None, links=None, gate=None):
        """Set an app up and return what changed."""
        done = set_up(
            self.path,
            name,
            surroundings(),
            "ada",
            target=target,
            links=links,
            gate=gate,
        )
        with done.app:
            return done.changes

    def config(self, key, app="shop"):
        """Return the values of a setting."""
        words = ("git", f"--git-dir={self.path / app}.git", "config", "--get-all", key)
        return process.run(*words, check=False).stdout.split("\n")[:-1]


def surroundings():
    return Surroundings(
        os.environ["PATH"],
        os.environ["HOME"],
        "C.UTF-8",
        "ada",
        "/bin/sh",
        tempfile.gettempdir(),
    )


def links(target):
    """Return the links in a directory and what they resolve to, which exists."""
    return {
        path.name: path.resolve(strict=True)
        for path in target.iterdir()
        if path.is_symlink()
    }


def names(app, positions):
    chains = ("dev", "prod")
    numbered = {f"{app}-{c}-{n + 1}" for c in chains for n in range(positions)}
    return numbered | {app, f"{app}-staging"}


def snapshot(top):
    """Return everything below and when it was made or changed; no ledger, no lock."""
    return {
        str(path): (path.lstat().st_ino, path.lstat().st_mtime_ns)
        for path in top.rglob("*")
        if path.is_symlink() or (path.is_file() and path.name in ("config", *HOOKS))
    }


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


# --- all of it --------------------------------------------------------------


def test_everything_is_made_and_said(root):
    changes = "\n".join(root.set_up())
    home = root.path / "shop"
    for place in (home / "releases", home / "shared", home / "logs", home / "empty"):
        assert place.is_dir()
        assert f"made {place}" in changes
    assert f"made {home}/ledger.db" in changes
    assert f"made {root.path}/shop.git" in changes
    for hook in HOOKS:
        place = root.path / "shop.git/hooks" / hook
        assert os.access(place, os.X_OK)
        assert f"installed {place}" in changes
    assert root.config("receive.procReceiveRefs") == ["refs"]
    assert links(root.target).keys() == names("shop", 3)
    assert set(links(root.target).values()) == {home / "empty"}


def test_setting_up_again_changes_nothing_and_says_so(root):
    root.set_up()
    before = snapshot(root.path)
    assert root.set_up() == ()
    assert snapshot(root.path) == before


def test_setting_up_again_keeps_what_was_asked_for(root, tmp_path):
    root.set_up(target=tmp_path / "public", links=2, gate=False)
    assert root.set_up() == ()
    assert links(tmp_path / "public").keys() == names("shop", 2)
    assert root.config("receive.procReceiveRefs") == []


def test_links_are_relative_so_that_the_root_can_be_moved(root, tmp_path):
    root.set_up()
    moved = root.path.rename(tmp_path / "moved")
    assert set(links(moved / "www").values()) == {moved / "shop/empty"}


def test_the_gate_is_closed_and_opened(root):
    assert root.set_up(gate=False)
    assert root.config("receive.procReceiveRefs") == []
    assert root.set_up(gate=True) == (
        "the gate is closed: a failed deployment is rejected",
    )
    assert root.config("receive.procReceiveRefs") == ["refs"]
    assert root.set_up(gate=False) == (
        "the gate is open: a failed deployment is put back",
    )


# --- repairs ----------------------------------------------------------------


def change_setting(key, value):
    def change(root):
        repository = root.path / "shop.git"
        process.run("git", f"--git-dir={repository}", "config", key, value)

    return change


def relink(root):
    (root.target / "shop-prod-2").unlink()
    (root.target / "shop-prod-2").symlink_to("../nowhere")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda root: (root.target / "shop").unlink(), "linked ROOT/www/shop"),
        (relink, "linked ROOT/www/shop-prod-2"),
        (
            lambda root: (root.path / "shop.git/hooks/proc-receive").unlink(),
            "installed ROOT/shop.git/hooks/proc-receive",
        ),
        (
            lambda root: (root.path / "shop.git/hooks/post-receive").chmod(0o644),
            "installed ROOT/shop.git/hooks/post-receive",
        ),
        (
            lambda root: (root.path / "shop.git/hooks/post-receive").write_text("#"),
            "installed ROOT/shop.git/hooks/post-receive",
        ),
        (
            change_setting("core.hooksPath", "/nowhere"),
            "configured ROOT/shop.git: core.hooksPath",
        ),
        (
            change_setting("receive.fsckObjects", "false"),
            "configured ROOT/shop.git: receive.fsckObjects",
        ),
        (
            change_setting("receive.procReceiveRefs", "refs/heads"),
            "the gate is closed: a failed deployment is rejected",
        ),
        (lambda root: (root.path / "shop/logs").rmdir(), "made ROOT/shop/logs"),
        (lambda root: (root.path / "shop/empty").rmdir(), "made ROOT/shop/empty"),
    ],
    ids=[
        "a removed link",
        "a link that was changed",
        "a removed hook",
        "a hook that cannot be run",
        "a hook that was changed",
        "hooks somewhere else",
        "a changed setting",
        "a gate that is half open",
        "a missing directory",
        "no place for empty positions",
    ],
)
def test_what_is_wrong_is_mended_and_named_and_nothing_else(root, harm, said):
    root.set_up()
    harm(root)
    assert root.set_up() == (said.replace("ROOT", str(root.path)),)
    assert root.set_up() == ()


def test_a_removed_target_is_made_again_with_all_links(root):
    root.set_up()
    shutil.rmtree(root.target)
    assert f"made {root.target}" in root.set_up()
    assert links(root.target).keys() == names("shop", 3)


def test_a_removed_repository_is_made_again(root):
    root.set_up()
    shutil.rmtree(root.path / "shop.git")
    assert f"made {root.path}/shop.git" in root.set_up()
    assert root.set_up() == ()


def test_a_stale_link_beside_does_not_matter(root):
    root.set_up()
    (root.target / ".shop.new").symlink_to("stale")
    (root.target / "shop").unlink()
    root.set_up()
    assert links(root.target).keys() == names("shop", 3)


# --- names and numbers ------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "Shop", "-shop", ".shop", "a/b", "..", "shop.git", "a b", "ü", "a" * 99],
)
def test_only_fit_names_become_apps(root, name):
    if name == "a" * 99:
        root.set_up(name)
        return
    with pytest.raises(UsageError, match="app name"):
        root.set_up(name)
    assert not root.path.exists()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a-staging"),
        ("a", "a-prod-1"),
        ("a", "a-dev-12"),
        ("a", "a-preview-x"),
        ("a-staging", "a"),
        ("a-prod-1", "a"),
    ],
)
def test_names_whose_links_would_collide_are_refused(root, first, second):
    root.set_up(first)
    before = snapshot(root.path)
    with pytest.raises(UsageError, match="collides with the links of app"):
        root.set_up(second)
    assert snapshot(root.path) == before
    assert not (root.path / f"{second}.git").exists()


@pytest.mark.parametrize("second", ["a-prod", "a-stagingx", "ab", "a-1", "a-dev-x"])
def test_names_that_only_resemble_live_side_by_side(root, second):
    root.set_up("a")
    root.set_up(second)
    assert links(root.target).keys() == names("a", 3) | names(second, 3)
    assert root.set_up("a") == root.set_up(second) == ()


@pytest.mark.parametrize("number", [0, -1, 101])
def test_the_number_of_links_is_within_reason(root, number):
    with pytest.raises(UsageError, match="--links: should be 1 to 100"):
        root.set_up(links=number)
    assert not root.path.exists()


def test_links_are_added_and_taken_away(root):
    root.set_up()
    added = root.set_up(links=5)
    assert len(added) == 4
    assert links(root.target).keys() == names("shop", 5)
    removed = root.set_up(links=2)
    assert {Path(line).name for line in removed} == names("shop", 5) - names("shop", 2)
    assert all(line.startswith("removed ") for line in removed)
    assert links(root.target).keys() == names("shop", 2)


# --- what is not ours -------------------------------------------------------


@pytest.mark.parametrize("place", ["shop", "shop-staging", "shop-prod-3"])
@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_has_a_link_s_name_already_is_refused_and_left(root, place, kind):
    stranger = root.target / place
    root.target.mkdir(parents=True)
    match kind:
        case "file":
            stranger.write_text("precious")
        case "directory":
            stranger.mkdir()
        case "link":
            stranger.symlink_to("/srv")
    before = stranger.lstat()
    with pytest.raises(UsageError, match="is not this app's link"):
        root.set_up()
    assert stranger.lstat() == before
    assert os.listdir(root.path) == ["www"]


def test_a_file_in_the_place_of_a_link_is_refused_when_mending_too(root):
    root.set_up()
    (root.target / "shop").unlink()
    (root.target / "shop").write_text("precious")
    with pytest.raises(StateError, match="is not a link"):
        root.set_up()
    assert (root.target / "shop").read_text() == "precious"


@pytest.mark.parametrize("when", ["at first", "by more links", "by another target"])
def test_a_link_of_somebody_else_is_never_replaced(root, tmp_path, when):
    target = tmp_path / "public"
    target.mkdir()
    stranger = target / ("shop" if when == "by another target" else "shop-dev-5")
    stranger.symlink_to("/srv")
    if when == "by more links":
        root.set_up(target=target)
    if when == "by another target":
        root.set_up()
    with pytest.raises((UsageError, StateError)):
        root.set_up(target=target, links=5)
    assert os.readlink(stranger) == "/srv"


def test_a_new_app_with_a_target_removes_nothing_from_the_default_one(root, tmp_path):
    root.target.mkdir(parents=True)
    (root.target / "shop").symlink_to("/srv")
    root.set_up(target=tmp_path / "public")
    assert os.readlink(root.target / "shop") == "/srv"


def test_the_target_is_no_place_of_the_app_s_own(root):
    for place in ("shop", "shop.git", "shop/releases"):
        with pytest.raises(UsageError, match="cannot be the target"):
            root.set_up(target=root.path / place)


# --- targets ----------------------------------------------------------------


def test_links_follow_the_target_when_it_is_moved(root, tmp_path):
    root.set_up()
    changes = root.set_up(target=tmp_path / "public")
    assert f"made {tmp_path}/public" in changes
    assert f"removed {root.target}/shop" in changes
    assert links(tmp_path / "public").keys() == names("shop", 3)
    assert links(root.target) == {}
    assert root.set_up() == ()


def test_two_apps_share_a_target(root):
    root.set_up("shop")
    root.set_up("blog", links=1)
    assert links(root.target).keys() == names("shop", 3) | names("blog", 1)
    root.set_up("shop", links=1)
    assert links(root.target).keys() == names("shop", 1) | names("blog", 1)
    assert links(root.target)["blog"] == root.path / "blog/empty"


def test_links_resolve_where_the_target_itself_is_a_link(root, tmp_path):
    (tmp_path / "var/deep/www").mkdir(parents=True)
    root.path.mkdir()
    root.target.symlink_to(tmp_path / "var/deep/www")
    root.set_up()
    assert set(links(root.target).values()) == {root.path / "shop/empty"}


# --- rights -----------------------------------------------------------------


@pytest.mark.parametrize(
    "closed",
    [
        "root",
        pytest.param(
            "target",
        ),
    ],
)
def test_a_place_that_is_not_writable_is_named_with_who_needs_it(closed):
    if os.geteuid() != 0:
        pytest.skip("LEFT OUT: only root can act as somebody without rights")
    with tempfile.TemporaryDirectory() as base:  # pytest's own are closed to others
        place = Path(base)
        place.chmod(0o755)
        root, target = place / "root", place / "target"
        for path in (root, target):
            path.mkdir(mode=0o755)
            os.chown(path, NOBODY, -1)
        os.chown(root if closed == "root" else target, 0, -1)
        os.seteuid(NOBODY)
        try:
            with pytest.raises(SystemFailed, match="Permission denied") as no:
                Root(root).set_up(target=target)
        finally:
            os.seteuid(0)
        assert str(root if closed == "root" else target) in no.value.message
        assert no.value.hint == f"the user {NOBODY} must be able to write to it"


@pytest.mark.parametrize("place", ["shop", "shop/releases", "shop.git", "www"])
def test_a_file_in_the_place_of_a_directory_is_named(root, place):
    path = root.path / place
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    with pytest.raises((SystemFailed, UsageError), match=str(path)):
        root.set_up()
    assert path.read_text() == "precious"


# --- hooks, through a push --------------------------------------------------


def pushed(root, make_work, env=None):
    """Push a commit to the app, and return what came of it and what is live."""
    work = make_work("work", root.path / "shop.git")
    work.commit(page="1")
    push = work.push("main", env=env)
    return push, root.target / "shop-staging/page"


@pytest.fixture
def spaced(tmp_path):
    """Another name of this installation's Python, with a space and a quote in it."""
    environment = tmp_path / "it's a virtual environment"
    packages = Path(sysconfig.get_path("purelib"))
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python3").symlink_to(Path(sys.executable).resolve())
    (environment / "lib" / packages.parent.name).mkdir(parents=True)
    (environment / "lib" / packages.parent.name / packages.name).symlink_to(packages)
    home = Path(sys.base_prefix, "bin")
    (environment / "pyvenv.cfg").write_text(f"home = {home}\n")
    return environment / "bin/python3"


@pytest.mark.parametrize("gate", ["--gate", "--no-gate"])
def test_hooks_work_where_the_interpreter_s_path_has_a_space(
    root, make_work, spaced, gate
):
    root.path.mkdir()
    words = ("-m", "gitdeploy", "setup", "shop", "--root", root.path, gate)
    process.run(spaced, "-I", *words)
    for hook in HOOKS:
        text = (root.path / "shop.git/hooks" / hook).read_text()
        assert text.startswith("#!/bin/sh\n'''")
        (starts,) = [
            line for line in text.split("\n") if "exec " in line or "exec'" in line
        ]
        assert str(spaced.parent.name) in starts
    push, page = pushed(root, make_work)
    assert push.code == 0, push.output
    assert page.read_text() == "1"


@pytest.mark.parametrize("of", ["here", "spaced"])
def test_pre_receive_asks_people_with_keys_and_nobody_else(root, request, of):
    """The server's own user waits for a shell alone, whose Python may even be gone."""
    if of == "spaced":
        python = request.getfixturevalue("spaced")
        root.path.mkdir()
        words = ("-m", "gitdeploy", "setup", "shop", "--root", root.path)
        process.run(python, "-I", *words)
    else:
        root.set_up()
        python = Path(sys.prefix, "bin", "python3")
    hook = root.path / "shop.git/hooks/pre-receive"
    much = {"GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "x" * 70_000}
    asked = process.run(
        hook, env={**much, "GITDEPLOY_KEY": "SHA256:x"}, stdin="", check=False
    )
    assert asked.returncode == 1
    assert "push options of more than 64 KiB; nothing was taken" in asked.stderr
    assert wrong("pre-receive", hook) in {None, "was changed"}  # by which Python
    gone = hook.read_text().replace(shlex.quote(str(python)), "/gone/python3")
    hook.write_text(gone)
    assert wrong("pre-receive", hook) == "starts /gone/python3, which is gone"
    assert process.run(hook, env=much, stdin="", check=False).returncode == 0


def test_hooks_depend_on_nobody_s_python_settings(root, make_work, tmp_path):
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("gitdeploy", "sitecustomize", "json"):
        (evil / f"{name}.py").write_text("raise SystemExit('evil')\n")
    root.set_up()
    env = {"PYTHONPATH": str(evil), "PYTHONHOME": str(evil), "PYTHONSTARTUP": "/x"}
    push, page = pushed(root, make_work, env)
    assert push.code == 0, push.output
    assert page.read_text() == "1"


HOSTILE = """
[core]
	hooksPath = /nowhere
	fsync = none
	logAllRefUpdates = false
[init]
	templateDir = {template}
	defaultBranch = evil
[receive]
	advertisePushOptions = false
	autogc = true
	fsckObjects = false
	keepAlive = 0
	maxInputSize = 1
"""


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A configuration of the user that would switch off or break everything."""
    template = tmp_path / "template"
    (template / "hooks").mkdir(parents=True)
    (template / "hooks/update").write_text("#!/bin/sh\nexit 1\n")
    (template / "hooks/update").chmod(0o755)
    config = tmp_path / "hostile"
    config.write_text(HOSTILE.format(template=template))
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").symlink_to(config)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return {"GIT_CONFIG_GLOBAL": str(config)}


def test_a_hostile_configuration_does_not_reach_what_is_set_up(root, hostile):
    root.set_up()
    repository = root.path / "shop.git"
    assert (repository / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert sorted(os.listdir(repository / "hooks")) == sorted(HOOKS)
    assert hostile


def test_a_hostile_configuration_does_not_change_a_push(root, make_work, hostile):
    root.set_up()
    push, page = pushed(root, make_work, hostile)
    assert push.code == 0, push.output
    assert page.read_text() == "1"
    assert (root.path / "shop.git/logs/refs/heads/main").exists()


def test_that_configuration_does_break_a_plain_repository(tmp_path, make_work, hostile):
    plain = tmp_path / "plain.git"
    process.run("git", "init", "--quiet", "--bare", plain, env=hostile)
    assert (plain / "HEAD").read_text() == "ref: refs/heads/evil\n"
    work = make_work("work", plain)
    work.commit(page="1")
    assert work.push("main", env=hostile).code != 0


def test_how_large_a_push_may_be_is_said_by_server_toml(server):
    """A second set-up tells git; every other setting is ours."""
    server.setup("shop")
    told = ("config", "receive.maxInputSize")
    assert server.git(*told).stdout == f"{2 * 2**30}\n"
    toml = server.root / "shop/server.toml"
    toml.write_text("[limits]\npack_bytes = '8GiB'\n")
    server.git("config", "receive.keepAlive", "99")
    assert "receive.keepAlive" in server.setup("shop").stdout
    assert server.git(*told).stdout == f"{8 * 2**30}\n"
    toml.write_text("[limits\n")
    server.setup("shop")
    assert server.git(*told).stdout == f"{8 * 2**30}\n"


def test_an_app_whose_ledger_is_lost_is_not_set_up_over(server, work):
    """The way out is another verb, and it is named."""
    work.commit("one", a="one")
    assert work.push("main").code == 0
    for path in (server.root / "shop").glob("ledger.db*"):
        path.unlink()
    again = server.gitdeploy("setup", "shop", check=False)
    assert again.returncode == 4
    assert "gitdeploy repair --from-links shop" in again.stderr


def test_an_app_cannot_be_called_like_the_directory_of_the_links(server):
    refused = server.gitdeploy("setup", "www", "--target", "elsewhere", check=False)
    assert refused.returncode == 2
    assert not (server.root / "www.git").exists()


def test_links_that_a_killed_move_left_in_the_old_target_are_removed(
    server, make_work, tmp_path
):
    """By whoever comes next; the new ones are there before they go."""
    server.setup("shop")
    ada = make_work("ada", server.url())
    ada.commit("one", a="1")
    assert ada.push("main").code == 0
    app = App.open(server.root, "shop", door.surroundings(os.environ), "ada")
    (tmp_path / "new").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relocate, "finish_relocating", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            relocate.relocate(app, tmp_path / "new", 2)
    app.ledger.close()
    assert server.link("shop-staging") == server.link("shop-dev-1")
    assert ada.push("main:refs/tags/v1").code == 0
    assert server.links() == {}
    assert (tmp_path / "new" / "shop" / "a").read_text() == "1"
    assert len(list((tmp_path / "new").iterdir())) == 2 * 2 + 2


# --- hooks that were there ----------------------------------------------------


@pytest.mark.parametrize("hook", ["post-receive", "pre-receive"])
def test_a_hook_that_somebody_wrote_is_kept_and_named(root, hook):
    """As often as that happens: none takes the place of one that was kept."""
    place = root.path / "shop.git/hooks" / hook
    process.run("git", "init", "--quiet", "--bare", root.path / "shop.git")
    for number, kept in enumerate(["", "-2", "-3"]):
        place.unlink(missing_ok=True)
        place.write_text(f"#!/bin/sh\necho mine {number}\n")
        place.chmod(0o750)
        beside = place.with_name(f"{hook}.before-gitdeploy{kept}")
        said = f"kept {beside}, which was {hook} and does not run any more"
        assert said in root.set_up()
        assert beside.read_text() == f"#!/bin/sh\necho mine {number}\n"
        assert wrong(hook, place) is None
    assert root.set_up() == ()


def test_a_hook_of_another_installation_of_ours_is_replaced(root):
    root.set_up()
    place = root.path / "shop.git/hooks/post-receive"
    place.write_text("#!/gone/python3 -I\nfrom gitdeploy.hooks.post_receive import x\n")
    assert root.set_up() == (f"installed {place}",)
    assert [path.name for path in place.parent.glob("*.before-gitdeploy*")] == []


def test_hooks_that_git_runs_besides_ours_are_left_alone(root):
    process.run("git", "init", "--quiet", "--bare", root.path / "shop.git")
    for hook in ("update", "post-update"):
        place = root.path / "shop.git/hooks" / hook
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    root.set_up()
    for hook in ("update", "post-update"):
        assert (root.path / "shop.git/hooks" / hook).read_text() == "#!/bin/sh\n"
