"""The main job, end to end: real pushes to a real repository, by path and by ssh."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Push, Work
from support.server import Server
from support.sshd import Sshd

Story = tuple[Server, Work]

STEP = """
[[build.steps]]
name = "count"
run = "echo ran >> {runs}"
"""


@pytest.fixture(params=["by path", "by ssh"])
def story(
    request: pytest.FixtureRequest, server: Server, make_work: Callable[..., Work]
) -> Story:
    """A server with the app `shop`, and a developer who can push to it."""
    server.setup("shop")
    if request.param == "by path":
        return server, make_work("ada", server.url())
    sshd: Sshd = request.getfixturevalue("sshd")
    ssh_url = request.getfixturevalue("ssh_url")
    return server, make_work("ada", ssh_url(server), sshd.ssh_command)


@pytest.fixture
def shop(server: Server, make_work: Callable[..., Work]) -> Story:
    """The same by path only, where the way does not matter."""
    server.setup("shop")
    return server, make_work("ada", server.url())


def head(server: Server, name: str) -> str:
    link = server.link(name)
    assert link is not None
    return link.name


def pushed(push: Push) -> Push:
    assert push.code == 0, push.output
    return push


def refused(push: Push, ref: str, words: str) -> None:
    assert push.code == 1, push.output
    flag, _, reason = push.status(ref)
    assert flag == "!", push.output
    assert words in reason, push.output


def test_a_push_stages_a_tag_releases_and_a_revert_rolls_back(  # noqa: PLR0915 - a story
    story: Story, tmp_path: Path
) -> None:
    """The build runs once for each content; what is staged is what is released."""
    server, ada = story
    runs = tmp_path / "runs"
    ada.commit("first", **{"deploy.toml": STEP.format(runs=runs), "index.html": "one"})
    pushed(ada.push("main"))
    first = head(server, "shop-staging")
    assert head(server, "shop") == "empty"

    ada.tag("v1")
    pushed(ada.push("v1"))
    assert head(server, "shop") == first

    ada.commit("second", **{"index.html": "two"})
    pushed(ada.push("main"))
    second = head(server, "shop-staging")
    assert second != first
    ada.tag("v2")
    pushed(ada.push("v2"))
    assert (head(server, "shop"), head(server, "shop-prod-2")) == (second, first)
    assert runs.read_text().split() == ["ran", "ran"]

    ada.revert()
    said = pushed(ada.push("main"))
    assert any("rolled back" in line for line in said.remote_lines)
    assert (head(server, "shop-staging"), head(server, "shop")) == (first, second)

    ada.tag("v3")
    pushed(ada.push("v3"))
    assert (head(server, "shop"), head(server, "shop-prod-2")) == (first, "empty")

    ada.revert()
    pushed(ada.push("main"))
    assert head(server, "shop-staging") == second
    ada.tag("v4")
    pushed(ada.push("v4"))
    assert head(server, "shop") == second

    pushed(ada.push(":v4"))
    assert head(server, "shop") == first
    assert runs.read_text().split() == ["ran", "ran"]
    assert len(list((server.root / "shop/releases").iterdir())) == 2


def test_without_the_gate_the_story_is_the_same(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """post-receive alone is a complete deployer."""
    server.setup("shop", "--no-gate")
    ada = make_work("ada", server.url())
    ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    first = head(server, "shop-staging")
    ada.tag("v1")
    pushed(ada.push("v1"))
    ada.commit("second", **{"index.html": "two"})
    pushed(ada.push("main"))
    second = head(server, "shop-staging")
    ada.tag("v2")
    pushed(ada.push("v2"))
    ada.revert()
    pushed(ada.push("main"))
    assert (head(server, "shop-staging"), head(server, "shop")) == (first, second)
    pushed(ada.push(":v2"))
    assert head(server, "shop") == first


def test_without_the_gate_a_failed_ref_is_put_back(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """git cannot tell the pusher, but the ref tells the truth."""
    server.setup("shop", "--no-gate")
    ada = make_work("ada", server.url())
    good = ada.commit("good", **{"index.html": "one"})
    pushed(ada.push("main"))
    links = server.links()
    ada.commit("bad", **{"deploy.toml": '[[build.steps]]\nrun = "exit 4"'})
    said = ada.push("main")
    assert any("exit 4 failed: exit 4" in line for line in said.remote_lines)
    assert server.refs()["refs/heads/main"] == good
    assert server.links() == links
    ada.push("main:refs/heads/nobody")
    ada.push(":main")
    assert "refs/heads/nobody" not in server.refs()
    assert server.refs()["refs/heads/main"] == good


def test_a_failing_build_rejects_the_push_and_the_same_commit_can_come_again(
    story: Story, tmp_path: Path
) -> None:
    """Exit status 1, the reason in git's status line, nothing public changed."""
    server, ada = story
    ada.commit("good", **{"index.html": "one"})
    pushed(ada.push("main"))
    links, refs = server.links(), server.refs()
    mended = tmp_path / "mended"
    toml = f'[[build.steps]]\nname = "assets"\nrun = "echo no luck; test -e {mended}"'
    commit = ada.commit("bad", **{"deploy.toml": toml})
    said = ada.push("main")
    refused(said, "main", "assets failed: exit 1")
    assert any("no luck" in line for line in said.remote_lines)
    assert any("still live    release 1 on dev" in line for line in said.remote_lines)
    assert (server.links(), server.refs()) == (links, refs)
    failed = next(r for r in server.releases() if r["number"] == 2)
    assert failed["state"] == "failed"
    assert "no luck" in server.gitdeploy("logs", "shop", "2").stdout

    mended.touch()
    pushed(ada.push("main"))
    assert server.refs()["refs/heads/main"] == commit
    assert head(server, "shop-staging").startswith("3-")


def test_branch_and_tag_of_one_push_share_one_build(shop: Story) -> None:
    """Branches go first, so the tag releases the very build just staged."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    ada.tag("v1")
    pushed(ada.push("v1", "main"))
    assert head(server, "shop") == head(server, "shop-staging")
    assert len(server.releases()) == 1


def test_an_atomic_push_is_all_or_nothing(shop: Story) -> None:
    """One refused ref refuses all of them, and nothing public changes."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    links = server.links()
    said = ada.push("--atomic", "main", "main:refs/heads/nobody")
    assert said.code == 1
    assert said.status("main").flag == "!"
    assert server.links() == links
    assert "refs/heads/main" not in server.refs()
    ada.tag("v1")
    pushed(ada.push("--atomic", "main", "v1"))
    assert head(server, "shop") == head(server, "shop-staging")


def test_what_is_live_can_be_read_from_any_clone(shop: Story) -> None:
    """refs/deploy is published after every flip, and nobody else can write it."""
    _, ada = shop
    first = ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    ada.tag("v1")
    pushed(ada.push("v1"))
    second = ada.commit("second", **{"index.html": "two"})
    pushed(ada.push("main"))
    listed = ada.git("ls-remote", "server", "refs/deploy/*").stdout.split()
    seen = dict(zip(listed[1::2], listed[::2], strict=True))
    assert seen == {
        "refs/deploy/dev/1": second,
        "refs/deploy/dev/2": first,
        "refs/deploy/prod/1": first,
    }
    assert ada.push("main:refs/deploy/prod/1").code == 1


def test_pushing_what_is_live_changes_nothing(shop: Story) -> None:
    """An empty commit has the same tree: accepted, unchanged, no new release."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    links = server.links()
    empty = ada.commit("nothing new")
    said = pushed(ada.push("main"))
    assert any("unchanged" in line for line in said.remote_lines)
    assert server.links() == links
    assert server.refs()["refs/deploy/dev/1"] == empty
    assert server.history()[0]["verdict"] == "unchanged"


def test_a_force_push_to_an_old_commit_rolls_back(shop: Story) -> None:
    """What counts is the content, not how it came."""
    server, ada = shop
    first = ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    old = head(server, "shop-staging")
    ada.commit("second", **{"index.html": "two"})
    pushed(ada.push("main"))
    pushed(ada.push(f"+{first}:refs/heads/main"))
    assert head(server, "shop-staging") == old
    assert server.history()[0]["verdict"] == "rolled back"


def test_push_options(shop: Story) -> None:
    """`plan` says and refuses, `rebuild` builds again, the unknown is refused."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    refused(ada.push("main", options=["plan"]), "main", "would prepare a release")
    assert server.releases() == []
    pushed(ada.push("main"))
    refused(ada.push("main:master", options=["colour"]), "master", "'colour'")
    pushed(ada.push("main:master", options=["rebuild"]))
    assert head(server, "shop-staging").startswith("2-")


def test_thirty_tags_at_once_are_refused_with_what_to_push_instead(
    shop: Story,
) -> None:
    """They would be thirty releases of one chain."""
    server, ada = shop
    for number in range(30):
        ada.commit(f"c{number}", **{"index.html": str(number)})
        ada.tag(f"v{number}")
    said = ada.push("--tags", "main")
    assert said.status("main").flag == "*"
    refused(said, "v7", "30 refs of this push reach prod")
    assert any("git push server v" in line for line in said.remote_lines)
    assert head(server, "shop") == "empty"


def test_more_refs_than_the_limit_are_refused_at_once(shop: Story) -> None:
    """Without a look at any of them."""
    server, ada = shop
    (server.root / "shop/server.toml").write_text("[limits]\nrefs = 3\n")
    ada.commit("first", **{"index.html": "one"})
    said = ada.push("main", *(f"main:refs/heads/b{n}" for n in range(3)))
    refused(said, "main", "4 refs in one push; the limit is 3")
    assert [e["reason"] for e in server.history()] == [
        "4 refs in one push; the limit is 3"
    ]


def test_a_clone_of_the_server_checks_out_the_branch_that_was_staged(
    shop: Story, tmp_path: Path
) -> None:
    """HEAD of the bare repository follows the first stage branch."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main:master"))
    clone = Work.clone(server.url(), tmp_path / "clone")
    assert (clone.path / "index.html").read_text() == "one"


def test_a_shallow_clone_can_push_once_the_server_has_the_base(
    shop: Story, tmp_path: Path
) -> None:
    """CI systems work in shallow clones."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    ada.commit("second", **{"index.html": "two"})
    shallow = Work(tmp_path / "shallow")
    ada.git("clone", "-q", "--depth=1", f"file://{ada.path}", str(shallow.path))
    shallow.connect(server.url())
    refused(shallow.push("HEAD:main"), "main", "shallow update not allowed")
    assert head(server, "shop-staging") == "empty"
    pushed(ada.push("main"))
    shallow.commit("third", **{"index.html": "three"})
    pushed(shallow.push("HEAD:main"))


def test_a_push_whose_base_has_moved_on_is_refused(shop: Story, tmp_path: Path) -> None:
    """As git would; nothing is built in vain."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    bob = Work.clone(server.url(), tmp_path / "bob")
    bob.commit("bob's", **{"index.html": "bob"})
    pushed(bob.push("HEAD:main"))
    ada.commit("ada's", **{"index.html": "ada"})
    assert ada.push("main").code == 1
    assert len(server.releases()) == 2


def test_prod_with_shared_state_of_its_own_gets_a_release_of_its_own(
    shop: Story,
) -> None:
    """scope = "chain": dev and prod never share an .env."""
    server, ada = shop
    toml = '[shared]\ndirs = ["storage"]\nscope = "chain"\n'
    ada.commit("first", **{"deploy.toml": toml, "index.html": "one"})
    pushed(ada.push("main"))
    ada.tag("v1")
    pushed(ada.push("v1"))
    dev, prod = server.link("shop-staging"), server.link("shop")
    assert dev is not None
    assert prod is not None
    assert dev != prod
    home = server.root / "shop"
    assert (dev / "storage").resolve() == home / "shared-dev" / "storage"
    assert (prod / "storage").resolve() == home / "shared-prod" / "storage"
    pushed(ada.push("main:master"))
    assert server.history()[0]["verdict"] == "unchanged"


def test_releasing_on_the_server_heeds_whose_shared_state_it_is(shop: Story) -> None:
    """Prod never runs on dev's .env."""
    server, ada = shop
    for chain in ("dev", "prod"):
        server.gitdeploy("env", "shop", "--chain", chain, "set", f"WHO={chain}")
    toml = '[shared]\nfiles = [".env"]\nscope = "chain"\n'
    ada.commit("first", **{"deploy.toml": toml})
    pushed(ada.push("main"))
    server.gitdeploy("release", "shop")
    live = server.link("shop")
    assert live is not None
    assert live != server.link("shop-staging")
    assert (live / ".env").read_text() == "WHO=prod\n"


def test_one_of_our_releases_can_be_deployed_by_its_path(shop: Story) -> None:
    """It stays one release; anything else of the app is refused."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    staged = server.link("shop-staging")
    assert staged is not None
    server.gitdeploy("deploy", "shop", str(server.target / "shop-dev-1"), "prod")
    assert server.link("shop") == staged
    assert len(server.releases()) == 1
    no = server.gitdeploy(
        "deploy", "shop", str(server.root / "shop/shared"), "prod", check=False
    )
    assert no.returncode == 2


def test_a_build_that_fails_for_the_branch_fails_for_the_tag_as_well(
    shop: Story, tmp_path: Path
) -> None:
    """One push builds one content once."""
    server, ada = shop
    runs = tmp_path / "runs"
    toml = f"[[build.steps]]\nrun = 'echo ran >> {runs}; test $(wc -l < {runs}) -ge 2'"
    ada.commit("first", **{"deploy.toml": toml})
    ada.tag("v1")
    said = ada.push("main", "v1")
    assert said.status("main").reason == said.status("v1").reason
    assert runs.read_text().split() == ["ran"]
    assert head(server, "shop") == "empty"


def test_a_branch_nothing_is_staged_from_any_more_can_be_deleted(shop: Story) -> None:
    """What is staged says which branches are."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    refused(ada.push(":main"), "main", "is not deleted")
    ada.commit("second", **{"deploy.toml": '[refs]\nstage = ["live"]\n'})
    pushed(ada.push("main:live"))
    server.git("symbolic-ref", "HEAD", "refs/heads/live")
    pushed(ada.push(":main"))
    assert "refs/heads/main" not in server.refs()
    refused(ada.push(":live"), "live", "is not deleted")


@pytest.mark.parametrize("gate", ["--gate", "--no-gate"])
def test_a_push_that_deletes_tags_takes_prod_back_once_or_not_at_all(
    server: Server, make_work: Callable[..., Work], gate: str
) -> None:
    """By no order of their names is it taken back more than one step."""
    server.setup("shop", gate)
    ada = make_work("ada", server.url())
    names = ("z1", "b2", "a3", "m4")
    for name in names:
        ada.commit(name, page=name)
        ada.tag(name)
        pushed(ada.push("main", name))
    live, before = head(server, "shop"), server.refs()
    said = ada.push(":b2", ":a3", ":m4")
    assert "3 refs of this push reach prod; push one" in said.output
    assert "git push server :m4" in said.output
    assert head(server, "shop") == live
    assert server.refs() == before
    pushed(ada.push(":b2", ":m4"))
    assert (server.target / "shop/page").read_text() == "a3"
    assert {"refs/tags/a3", "refs/tags/z1"} <= server.refs().keys()
    pushed(ada.push(":a3"))
    assert (server.target / "shop/page").read_text() == "b2"


def test_a_build_that_removes_its_release_has_failed(shop: Story) -> None:
    """Nothing without a directory is ever ready."""
    server, ada = shop
    toml = "[[build.steps]]\nrun = 'cd ..; rm -rf \"$GITDEPLOY_RELEASE_DIR\"'"
    ada.commit("first", **{"deploy.toml": toml})
    refused(ada.push("main"), "main", "removed the release's directory")
    assert server.releases()[0]["state"] == "failed"


BAD_INPUT: dict[str, tuple[dict[str, str | bytes], str]] = {
    "deploy.toml is no TOML": ({"deploy.toml": "[refs\n"}, "should be TOML"),
    "deploy.toml is not UTF-8": ({"deploy.toml": b"a = '\xff'"}, "should be UTF-8"),
    "an unknown key": ({"deploy.toml": "[refs]\nstagee = []"}, "refs.stagee"),
    "a wrong type": ({"deploy.toml": "[releases]\nkeep = 'x'"}, "releases.keep"),
    "a bad duration": ({"deploy.toml": "[build]\ntimeout = '10x'"}, "build.timeout"),
    "an absolute shared path": ({"deploy.toml": "[shared]\nfiles = ['/x']"}, "files"),
    "a shared path with ..": ({"deploy.toml": "[shared]\ndirs = ['../x']"}, "dirs"),
    "the release as shared": ({"deploy.toml": "[shared]\ndirs = ['.']"}, "dirs"),
    "a missing shared file": ({"deploy.toml": "[shared]\nfiles = ['.env']"}, ".env"),
    "previews, for now": ({"deploy.toml": "[refs]\npreview = ['x']"}, "not supported"),
    "a missing command": (
        {"deploy.toml": "[[build.steps]]\nrun = ['no-such-program']"},
        "no-such-program",
    ),
    "a hanging command": (
        {"deploy.toml": "[[build.steps]]\nrun = 'sleep 60'\ntimeout = '1s'"},
        "timed out",
    ),
    "a path that is no folder": ({"deploy.toml": "[checkout]\npath = 'no'"}, "'no'"),
    "outputs on a shared path": (
        {
            "deploy.toml": "[shared]\ndirs = ['st']\n[[build.steps]]\nrun = 'x'\n"
            "inputs = ['a']\noutputs = ['st/cache']"
        },
        "build.steps[0].outputs",
    ),
    "deploy.toml is a folder": ({"deploy.toml/x": "a"}, "should be a file"),
    "a Git LFS pointer": (
        {
            "big.bin": "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{'a' * 64}\nsize 12345\n"
        },
        "Git LFS pointer",
    ),
}


@pytest.mark.parametrize(("files", "words"), BAD_INPUT.values(), ids=BAD_INPUT)
def test_bad_input_is_refused_with_what_is_wrong_and_changes_nothing(
    shop: Story, files: dict[str, str | bytes], words: str
) -> None:
    """The status line says it; links and refs stay; the next push just works."""
    server, ada = shop
    good = ada.commit("good", **{"index.html": "one"})
    pushed(ada.push("main"))
    links, refs = server.links(), server.refs()
    ada.commit("bad", **files)
    said = ada.push("main")
    refused(said, "main", words)
    assert "Traceback" not in said.output
    assert (server.links(), server.refs()) == (links, refs)
    ada.git("reset", "--hard", good)
    ada.commit("better", **{"index.html": "two"})
    pushed(ada.push("main"))


def test_links_above_a_shared_path_are_refused(shop: Story) -> None:
    """A commit must not choose where shared state is written."""
    server, ada = shop
    ada.commit("good", **{"index.html": "one"})
    pushed(ada.push("main"))
    (ada.path / "config").symlink_to("elsewhere")
    ada.commit("bad", **{"deploy.toml": '[shared]\ndirs = ["config/data"]'})
    refused(ada.push("main"), "main", "'config' is a link in this commit")
    assert not (server.root / "shop/shared/config").exists()


REFUSED_REFS: dict[str, tuple[Callable[[Work], str], str, str]] = {
    "a tag of a blob": (
        lambda w: f"{w.oid('HEAD:index.html')}:refs/tags/blob",
        "blob",
        "is a blob, not a commit",
    ),
    "a tag of a tree": (
        lambda w: f"{w.oid('HEAD^{tree}')}:refs/tags/tree",
        "tree",
        "is a tree, not a commit",
    ),
    "an annotated tag on a branch": (
        lambda w: f"{w.tag('t', annotated=True)}:refs/heads/main",
        "main",
        "annotated tag",
    ),
    "a deleted stage branch": (lambda _: ":main", "main", "is not deleted"),
    "a ref nobody follows": (
        lambda _: "HEAD:refs/heads/topic",
        "topic",
        "deploys nothing here",
    ),
    "a ref outside branches and tags": (
        lambda _: "HEAD:refs/weird/x",
        "refs/weird/x",
        "deploys nothing here",
    ),
    "a branch below a branch": (
        lambda _: "HEAD:refs/heads/main/x",
        "refs/heads/main/x",
        "",
    ),
}


@pytest.mark.parametrize(
    ("refspec", "ref", "words"), REFUSED_REFS.values(), ids=REFUSED_REFS
)
def test_what_cannot_be_deployed_is_refused(
    shop: Story, refspec: Callable[[Work], str], ref: str, words: str
) -> None:
    """A silent success is the complaint about every tool of this kind."""
    server, ada = shop
    ada.commit("good", **{"index.html": "one"})
    pushed(ada.push("main"))
    links, refs = server.links(), server.refs()
    said = ada.push(f"+{refspec(ada)}")
    refused(said, ref, words)
    assert (server.links(), server.refs()) == (links, refs)


def test_a_release_tag_is_not_moved_unless_allowed(shop: Story) -> None:
    """`move_tags` is the author's choice, at the commit that moves."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    ada.tag("v1")
    pushed(ada.push("main", "v1"))
    ada.commit("second", **{"index.html": "two"})
    ada.git("tag", "-f", "v1")
    refused(ada.push("+v1"), "v1", "a release tag is not moved")
    ada.commit("third", **{"deploy.toml": "[refs]\nmove_tags = true\n"})
    ada.git("tag", "-f", "v1")
    pushed(ada.push("+v1"))
    assert head(server, "shop").startswith("2-")


def test_other_refs_can_be_stored(shop: Story) -> None:
    """other = "store" keeps a branch without deploying it."""
    server, ada = shop
    ada.commit("first", **{"deploy.toml": '[refs]\nother = "store"\n'})
    pushed(ada.push("HEAD:refs/heads/topic"))
    assert "refs/heads/topic" in server.refs()
    assert head(server, "shop-staging") == "empty"
    pushed(ada.push(":refs/heads/topic"))
    assert "refs/heads/topic" not in server.refs()


def test_an_empty_tree_is_refused(shop: Story) -> None:
    """There is nothing to deploy."""
    _, ada = shop
    ada.git("commit", "--allow-empty", "-m", "nothing at all")
    refused(ada.push("main"), "main", "no files")


@pytest.mark.parametrize(
    ("right", "odd"),
    [
        ("+0000\n", "+051800\n"),
        (" <", "<"),
        ("> ", ">"),
    ],
    ids=["a time zone that is none", "no space before", "no space after the address"],
)
def test_the_harmless_sins_of_old_repositories_are_forgiven(
    shop: Story, right: str, odd: str
) -> None:
    """Nobody rewrites history to be able to deploy; what means harm is refused."""
    server, ada = shop
    ada.commit("first", **{"index.html": "one"})
    raw = ada.git("cat-file", "commit", "HEAD").stdout
    words = ("hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    old = ada.git(*words, stdin=raw.replace(right, odd, 1)).stdout.strip()
    pushed(ada.push(f"{old}:refs/heads/main"))
    assert head(server, "shop-staging").startswith("1-")


def test_steps_see_the_stated_environment_and_nothing_of_ours(shop: Story) -> None:
    """No GIT_*, no SSH_*, no descriptor of ours; their own and GITDEPLOY_*."""
    server, ada = shop
    toml = (
        '[build]\nenv = { NODE_ENV = "production" }\n'
        '[[build.steps]]\nrun = "env -0 > environment; ls /proc/self/fd > fds"\n'
    )
    commit = ada.commit("first", **{"deploy.toml": toml})
    pushed(ada.push("main"))
    release = server.link("shop-staging")
    assert release is not None
    lines = (release / "environment").read_text().rstrip("\0").split("\0")
    seen = dict(line.split("=", 1) for line in lines)
    own = {k: v for k, v in seen.items() if k.startswith("GITDEPLOY_")}
    assert own == {
        "GITDEPLOY_APP": "shop",
        "GITDEPLOY_CHAIN": "dev",
        "GITDEPLOY_COMMIT": commit,
        "GITDEPLOY_REF": "refs/heads/main",
        "GITDEPLOY_RELEASE": release.name,
        "GITDEPLOY_RELEASE_DIR": str(release),
        "GITDEPLOY_SHARED_DIR": str(server.root / "shop/shared"),
        "GITDEPLOY_PREVIOUS_DIR": "",
        "GITDEPLOY_STAGE": "build",
    }
    rest = set(seen) - set(own)
    assert rest <= {
        *("PATH", "HOME", "LANG", "USER", "SHELL", "TMPDIR", "NODE_ENV"),
        *("PWD", "OLDPWD", "_", "SHLVL"),
    }
    assert seen["NODE_ENV"] == "production"
    assert set((release / "fds").read_text().split()) <= {"0", "1", "2", "3"}


def test_secrets_of_the_shared_env_are_hidden_in_what_steps_print(
    shop: Story,
) -> None:
    """From the pusher and from the log."""
    server, ada = shop
    secret = "correct horse battery"  # noqa: S105 - made up
    server.gitdeploy("env", "shop", "set", f"DB_PASSWORD={secret}")
    toml = '[shared]\nfiles = [".env"]\n[[build.steps]]\nrun = "cat .env"\n'
    ada.commit("first", **{"deploy.toml": toml})
    said = pushed(ada.push("main"))
    assert "[hidden]" in said.output
    assert secret not in said.output
    assert secret not in server.gitdeploy("logs", "shop").stdout


def test_a_step_left_in_the_background_holds_nothing_up(shop: Story) -> None:
    """Neither the push nor the lock waits for it."""
    server, ada = shop
    toml = '[[build.steps]]\nrun = "sleep 300 & setsid sleep 300 & echo started"\n'
    ada.commit("first", **{"deploy.toml": toml})
    pushed(ada.push("main"))
    assert server.status()["running"] is None
    ada.commit("second", **{"index.html": "two"})
    pushed(ada.push("main"))


def test_hostile_output_of_a_step_reaches_no_terminal(shop: Story) -> None:
    """Escape sequences and bytes that are not UTF-8 are neutralised."""
    _, ada = shop
    toml = (
        "[[build.steps]]\nrun = '''printf '\\033]0;gotcha\\007\\033[2Jx\\377\\n' '''\n"
    )
    ada.commit("first", **{"deploy.toml": toml})
    said = pushed(ada.push("main"))
    assert "\x1b]0" not in said.output
    assert any(line.strip() == "x\\xff" for line in said.remote_lines)


def test_history_tells_all_that_happened(shop: Story) -> None:
    """Newest first, refusals too."""
    server, ada = shop
    first = ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    ada.tag("v1")
    pushed(ada.push("v1"))
    ada.push("main:refs/heads/topic")
    events = server.history()
    assert [(e["action"], e["verdict"]) for e in events] == [
        ("refuse", "refused"),
        ("release", "deployed"),
        ("stage", "deployed"),
    ]
    stage = events[-1]
    assert (stage["chain"], stage["ref"], stage["new"]) == (
        "dev",
        "refs/heads/main",
        first,
    )
    assert stage["started"].endswith("Z")
    assert stage["seconds"] >= 0
    assert stage["release"] == head(server, "shop")


def test_status_has_the_shape_that_is_promised(shop: Story) -> None:
    """Scripts read it."""
    server, ada = shop
    commit = ada.commit("first", **{"index.html": "one"})
    pushed(ada.push("main"))
    status = server.status()
    assert status["app"] == "shop"
    assert (status["locked"], status["pending"]) == (None, False)
    first, second, third = status["chains"]["dev"]
    assert first["link"] == "shop-dev-1"
    assert first["position"] == 1
    assert first["release"] == head(server, "shop-staging")
    assert first["commit"] == commit
    assert first["ref"] == "refs/heads/main"
    assert Path(first["path"]) == server.link("shop-staging")
    assert (second["release"], third["release"]) == (None, None)
    assert len(status["chains"]["prod"]) == 3
