"""Submodules: only where they are asked for, only from where the server allows."""

import os

import pytest
from support.git import Work

from gitdeploy import submodules
from gitdeploy.door import surroundings
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system.git import Git, make_repository

MISSING = "12" * 20


class Library:
    """A repository that is mounted in others."""

    def __init__(self, work):
        self.work = work
        self.commit = work.commit("library", **{"code.py": "1", "sub/more": "2"})

    @property
    def url(self):
        return f"file://{self.work.path}"


@pytest.fixture
def library(tmp_path):
    return Library(Work.create(tmp_path / "the library"))


@pytest.fixture
def allowed(server, work):  # noqa: ARG001 - `work` sets the app up
    """The server fetches over file URLs too."""
    allow(server)


def allow(server, *protocols):
    listed = ", ".join(f'"{name}"' for name in protocols or ("https", "ssh", "file"))
    text = f"[submodules]\nprotocols = [{listed}]\n"
    (server.root / "shop/server.toml").write_text(text)


def mount(work, url, commit, *, path="lib", toml="[checkout]\nsubmodules = true\n"):
    """Commit a submodule without fetching it."""
    work.write("deploy.toml", toml)
    work.write(".gitmodules", f'[submodule "x"]\n\tpath = {path}\n\turl = {url}\n')
    work.write("page", "1")
    work.git("add", "--all")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    work.git("commit", "--quiet", "-m", "mount")


def refusal(work):
    """Push, and return the reason and the hint of the refusal."""
    pushed = work.push("main")
    assert pushed.code == 1
    reason = pushed.status("main").reason
    hints = [line for line in pushed.remote_lines if line.startswith("  hint")]
    return reason, "".join(hints)


# --- asked for or not -------------------------------------------------------


@pytest.mark.usefixtures("allowed")
def test_a_submodule_is_refused_with_the_edit_unless_it_is_asked_for(
    server, work, library
):
    mount(work, library.url, library.commit, toml="")
    reason, hint = refusal(work)
    assert reason == "'lib' is a submodule"
    assert "[checkout] submodules = true" in hint
    assert server.link("shop-staging") == server.root / "shop/empty"


def test_without_submodules_the_switch_changes_nothing(server, work):
    work.write("deploy.toml", "[checkout]\nsubmodules = true\n")
    work.commit(page="1")
    assert work.push("main").code == 0
    assert (server.link("shop-staging") / "page").read_text() == "1"


@pytest.mark.usefixtures("allowed")
def test_the_files_of_an_allowed_submodule_are_there(server, work, library):
    mount(work, library.url, library.commit)
    assert work.push("main").code == 0
    live = server.link("shop-staging")
    assert (live / "page").read_text() == "1"
    assert (live / "lib/code.py").read_text() == "1"
    assert (live / "lib/sub/more").read_text() == "2"
    assert not (live / "lib/.git").exists()


@pytest.mark.usefixtures("allowed")
def test_the_commit_counts_and_not_the_branch(server, work, library):
    library.work.commit("later", **{"code.py": "later"})
    mount(work, library.url, library.commit)
    assert work.push("main").code == 0
    assert (server.link("shop-staging") / "lib/code.py").read_text() == "1"


@pytest.mark.usefixtures("allowed")
def test_a_later_commit_is_fetched_when_it_is_needed(server, work, library):
    mount(work, library.url, library.commit)
    assert work.push("main").code == 0
    mount(work, library.url, library.work.commit("later", **{"code.py": "later"}))
    assert work.push("main").code == 0
    assert (server.link("shop-staging") / "lib/code.py").read_text() == "later"


@pytest.mark.usefixtures("allowed")
def test_what_was_fetched_once_is_not_fetched_again(server, work, library):
    mount(work, library.url, library.commit)
    assert work.push("main").code == 0
    library.work.path.rename(library.work.path.with_name("gone"))
    work.commit(page="2")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{library.commit},lib")
    work.git("commit", "--quiet", "--amend", "-m", "2")
    assert work.push("main").code == 0
    assert (server.link("shop-staging") / "lib/code.py").read_text() == "1"


@pytest.mark.usefixtures("allowed")
def test_a_commit_that_is_only_tagged_is_found(server, work, library):
    library.work.git("checkout", "--quiet", "--detach")
    tagged = library.work.commit("aside", **{"code.py": "tagged"})
    library.work.tag("v1")
    mount(work, library.url, tagged)
    assert work.push("main").code == 0
    assert (server.link("shop-staging") / "lib/code.py").read_text() == "tagged"


@pytest.mark.usefixtures("allowed")
def test_a_submodule_in_the_deployed_folder_is_mounted_there(server, work, library):
    work.write("web/index", "x")
    toml = '[checkout]\nsubmodules = true\npath = "web"\n'
    mount(work, library.url, library.commit, path="web/deep/lib", toml=toml)
    assert work.push("main").code == 0
    live = server.link("shop-staging")
    assert (live / "deep/lib/code.py").read_text() == "1"
    assert (live / "index").read_text() == "x"


def test_a_submodule_outside_the_deployed_folder_does_not_matter(server, work):
    work.write("web/index", "x")
    mount(work, "../x", MISSING, toml='[checkout]\npath = "web"\n')
    assert work.push("main").code == 0
    assert (server.link("shop-staging") / "index").read_text() == "x"


# --- where from -------------------------------------------------------------


def test_a_file_url_is_refused_unless_the_server_allows_it(server, work, library):
    mount(work, library.url, library.commit)
    reason, hint = refusal(work)
    assert reason.endswith("is not one this server fetches (https, ssh)")
    assert "[submodules] protocols" in hint
    allow(server)
    assert work.push("main").code == 0


@pytest.mark.parametrize("url", ["../library", "./library"])
@pytest.mark.usefixtures("allowed")
def test_a_relative_url_is_refused(work, url):
    mount(work, url, MISSING)
    reason, hint = refusal(work)
    assert reason.startswith(f"the submodule URL '{url}' is relative")
    assert "whole URL" in hint


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% CANARY",
        "fd::3",
        "http://example.org/x",
        "git://example.org/x",
        "ftp://example.org/x",
        "sh://example.org/x",
        "library",
        "-oProxyCommand=touch% CANARY:x",
        "ssh://-oProxyCommand=touch CANARY/x",
        "--upload-pack=touch CANARY",
    ],
)
@pytest.mark.usefixtures("allowed")
def test_a_url_that_could_run_something_or_is_not_safe_is_refused(
    server, work, tmp_path, url
):
    canary = tmp_path / "canary"
    work.git("config", "transfer.fsckObjects", "false")
    server.git("config", "receive.fsckObjects", "false")  # we are the last line
    mount(work, url.replace("CANARY", str(canary)), MISSING)
    refusal(work)
    assert not canary.exists()


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "fd::17/x",
        "file::/srv/x",
        "SSH://example.org/x",
        "Https://example.org/x",
        "FILE:///srv/x",
        "ssh://-oProxyCommand=id/x",
        "ssh://-l@example.org/x",
        "ssh://example.org:22x/x",
        "git@-oProxyCommand=id:x",
        "-l@example.org:x",
        "example.org::x",
        "https://example.org\x1b[2J/x",
        "https://exa mple.org/x",
        "https:/example.org/x",
        "https://example.org",
        "file://elsewhere/x",
        "library",
        "",
        "https://example.org/" + "x" * 2048,
        "ssh://example.org/\nx",
        "https://\udc80/x",
    ],
)
def test_a_url_of_no_known_form_is_refused_in_one_line(url):
    """git is not asked what it would make of it."""
    with pytest.raises(ReleaseFailed) as refused:
        submodules._checked(url, ("https", "ssh", "file"))  # noqa: SLF001
    assert "should be https://HOST/PATH, ssh://USER@HOST/PATH or" in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 220


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("https://example.org/x.git", "https"),
        ("https://ada:secret@example.org:8443/a b/~x", "https"),
        ("https://[::1]/x", "https"),
        ("ssh://git@example.org:2222/x", "ssh"),
        ("ssh://example.org/~ada/x", "ssh"),
        ("git@example.org:shop/x.git", "ssh"),
        ("example.org:x", "ssh"),
        ("org-1@github.com:x/y", "ssh"),
        ("file:///srv/the library", "file"),
        ("/srv/the library", "file"),
    ],
)
def test_urls_as_people_write_them_are_known(url, protocol):
    assert submodules._checked(url, (protocol,)) == protocol  # noqa: SLF001
    with pytest.raises(ReleaseFailed, match="is not one this server fetches"):
        submodules._checked(url, ())  # noqa: SLF001


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file://{}", "transport 'file' not allowed"),
        ("--upload-pack=touch {}/canary;", "strange pathname '--upload-pack="),
    ],
)
def test_git_itself_takes_a_url_for_one_by_a_single_protocol(tmp_path, url, said):
    """Whatever we took it for: one URL may lead git on to another."""
    git = Git(tmp_path / "mirror", surroundings(os.environ))
    git.directory.mkdir()
    make_repository(git)
    place = Work.create(tmp_path / "place")
    place.commit("one", page="1")
    with pytest.raises(ReleaseFailed, match=said):
        submodules._fetch(  # noqa: SLF001
            git, url.format(place.path), "https", ssh_key=False
        )
    assert not (place.path / "canary").exists()


def test_a_server_may_allow_none(server, work, library):
    (server.root / "shop/server.toml").write_text("[submodules]\nprotocols = []\n")
    mount(work, library.url, library.commit)
    assert refusal(work)[0].endswith("is not one this server fetches (none)")


@pytest.mark.usefixtures("allowed")
def test_a_repository_that_is_not_there_is_told_by_its_url(work, tmp_path):
    mount(work, f"file://{tmp_path}/nowhere", MISSING)
    assert refusal(work)[0].startswith(f"submodule 'file://{tmp_path}/nowhere': ")


@pytest.mark.usefixtures("allowed")
def test_a_commit_that_nobody_pushed_is_refused(work, library):
    mount(work, library.url, MISSING)
    reason, hint = refusal(work)
    assert reason == f"'{library.url}' has no commit {MISSING[:10]}"
    assert "push the submodule's commit" in hint


@pytest.mark.usefixtures("allowed")
def test_a_submodule_that_gitmodules_does_not_know_is_refused(work, library):
    mount(work, library.url, library.commit)
    work.write(".gitmodules", "")
    work.git("add", ".gitmodules")
    work.git("commit", "--quiet", "--amend", "-m", "unknown")
    assert refusal(work)[0] == ".gitmodules does not say where 'lib' comes from"


# --- what is in it ----------------------------------------------------------


@pytest.mark.usefixtures("allowed")
def test_a_submodule_of_a_submodule_is_refused(work, library):
    inner = library.work
    inner.git("update-index", "--add", "--cacheinfo", f"160000,{MISSING},inner")
    inner.git("commit", "--quiet", "-m", "nested")
    mount(work, library.url, inner.head)
    assert "has submodules of its own" in refusal(work)[0]


@pytest.mark.usefixtures("allowed")
def test_a_link_that_leads_out_of_a_submodule_is_refused(work, library):
    (library.work.path / "out").symlink_to("../../../secret")
    mount(work, library.url, library.work.commit("link"))
    assert "leads out of the release" in refusal(work)[0]


@pytest.mark.usefixtures("allowed")
def test_hooks_and_filters_of_the_submodule_s_repository_do_not_run(
    work, library, tmp_path
):
    canary = tmp_path / "canary"
    trap = library.work.write(
        ".git/hooks/post-checkout", f"#!/bin/sh\ntouch '{canary}'\n", mode=0o755
    )
    library.work.git("config", "filter.trap.smudge", str(trap))
    library.work.git("config", "uploadpack.packObjectsHook", str(trap))
    commit = library.work.commit("attributes", **{".gitattributes": "* filter=trap\n"})
    mount(work, library.url, commit)
    assert work.push("main").code == 0
    assert not canary.exists()


# --- limits -----------------------------------------------------------------


@pytest.mark.usefixtures("allowed")
def test_limits_hold_for_a_release_with_its_submodules(server, work, library):
    with (server.root / "shop/server.toml").open("a") as file:
        file.write("[limits]\nentries = 4\n")  # three of ours, two of the library
    mount(work, library.url, library.commit)
    assert "the limit is 4" in refusal(work)[0]
