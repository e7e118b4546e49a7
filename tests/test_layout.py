"""Where everything lies and what links are called."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import UsageError
from gitdeploy.layout import Layout, Public, check_app_name, colliding_app
from gitdeploy.model import CHAINS, Release

ROOT = Path("/srv/gitdeploy")
LAYOUT = Layout(ROOT, "shop")
PUBLIC = Public(ROOT / "www", "shop", 3)


def release(**known: object) -> Release:
    name = "7-20261121T191102Z-ab12cd3"
    moment = "2026-11-21T19:11:02Z"
    return Release(7, name, None, None, "content", "ready", moment, **known)


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


# --- places ---------------------------------------------------------------------


def test_everything_of_an_app_has_its_place():
    """DESIGN, section 2."""
    places = {
        name: str(getattr(LAYOUT, name).relative_to(ROOT))
        for name in Layout.__dict__
        if isinstance(Layout.__dict__[name], property)
    }
    assert places == {
        "repository": "shop.git",
        "home": "shop",
        "releases": "shop/releases",
        "alone": "shop/releases/.inputs",
        "pushed": "shop/pushed",
        "shared": "shop/shared",
        "logs": "shop/logs",
        "modules": "shop/modules",
        "manifests": "shop/manifests",
        "scratch": "shop/releases/.verify",
        "cache": "shop/cache",
        "empty": "shop/empty",
        "ledger": "shop/ledger.db",
        "lock": "shop/lock",
        "maintenance": "shop/maintenance",
        "notifying": "shop/notifying",
        "queue": "shop/queue",
        "reserve": "shop/reserve",
        "server_toml": "shop/server.toml",
        "run": "shop/run",
        "tidying": "shop/tidying",
        "tmp": "shop/tmp",
        "outputs": "shop/outputs",
    }


def test_a_release_lies_by_its_name_unless_it_is_a_directory_of_somebody_else():
    assert LAYOUT.release(release()) == LAYOUT.releases / "7-20261121T191102Z-ab12cd3"
    assert LAYOUT.release(release(path="/srv/site")) == Path("/srv/site")


def test_a_log_is_called_as_its_release():
    assert LAYOUT.log("7-x-ab12cd3") == LAYOUT.logs / "7-x-ab12cd3.log"


def test_chains_share_unless_each_has_its_own():
    assert LAYOUT.shared_of("app", "dev") == LAYOUT.shared_of("app", "prod")
    assert str(LAYOUT.shared_of("app", "dev")) == str(LAYOUT.shared)
    for chain in CHAINS:
        apart = LAYOUT.shared_of("chain", chain)
        assert str(apart) == str(LAYOUT.home / f"shared-{chain}")


# --- links ----------------------------------------------------------------------


def test_links_are_named_by_chain_and_position():
    assert PUBLIC.names("dev") == ("shop-dev-1", "shop-dev-2", "shop-dev-3")
    assert PUBLIC.names("prod") == ("shop-prod-1", "shop-prod-2", "shop-prod-3")


def test_two_links_never_change_and_point_at_the_heads():
    assert PUBLIC.heads == {"shop": "shop-prod-1", "shop-staging": "shop-dev-1"}
    assert PUBLIC.head_name("prod") == "shop"
    assert PUBLIC.head_name("dev") == "shop-staging"


@pytest.mark.parametrize(
    ("target", "directory", "held"),
    [
        case(
            "a release beside the target",
            "/srv/gitdeploy/www",
            "/srv/gitdeploy/shop/releases/7-x",
            "../shop/releases/7-x",
        ),
        case(
            "a target somewhere else",
            "/var/www",
            "/srv/gitdeploy/shop/empty",
            "../../srv/gitdeploy/shop/empty",
        ),
        case(
            "a target that is the root",
            "/srv/gitdeploy",
            "/srv/gitdeploy/shop/empty",
            "shop/empty",
        ),
        case(
            "a directory that is not ours stays where it is",
            "/srv/gitdeploy/www",
            "/home/ada/site",
            "/home/ada/site",
        ),
        case(
            "a directory that only begins like the root is not ours",
            "/srv/gitdeploy/www",
            "/srv/gitdeploy2/site",
            "/srv/gitdeploy2/site",
        ),
    ],
)
def test_what_a_link_holds(target, directory, held):
    public = Public(Path(target), "shop", 3)
    assert public.pointing_at(Path(directory), ROOT) == held


def test_a_root_that_is_moved_keeps_its_links(tmp_path):
    """Links to what is ours are relative, so they resolve in any place."""
    before, after = tmp_path / "before", tmp_path / "deep" / "after"
    layout, public = Layout(before, "shop"), Public(before / "www", "shop", 3)
    layout.empty.mkdir(parents=True)
    public.target.mkdir()
    link = public.target / "shop-dev-1"
    link.symlink_to(public.pointing_at(layout.empty, before))
    after.parent.mkdir()
    before.rename(after)
    assert (after / "www/shop-dev-1").resolve(strict=True) == after / "shop/empty"


# --- names of apps --------------------------------------------------------------


@pytest.mark.parametrize(
    "app", ["a", "0", "shop", "shop.example.org", "a-b_c.d", "a" * 100, "git", "a.gitx"]
)
def test_a_name_that_can_be_an_app_s(app):
    check_app_name(app)


@pytest.mark.parametrize(
    "app",
    [
        case("empty", ""),
        case("a capital letter", "Shop"),
        case("a leading dot", ".shop"),
        case("a leading dash", "-shop"),
        case("a leading underscore", "_shop"),
        case("a slash", "shop/x"),
        case("the directory above", ".."),
        case("a space", "my shop"),
        case("a line's end", "shop\n"),
        case("a letter that is not a-z", "caf\xe9"),
        case("a digit that is not 0-9", "shop\u0661"),
        case("a NUL", "shop\0"),
        case("101 characters", "a" * 101),
    ],
)
def test_a_name_that_cannot_be_an_app_s(app):
    with pytest.raises(UsageError, match="should be made of a-z, 0-9") as caught:
        check_app_name(app)
    assert repr(app) in caught.value.message


def test_a_name_that_ends_like_a_repository_is_refused_with_the_name_to_use():
    with pytest.raises(UsageError, match=r"must not end in \.git") as caught:
        check_app_name("shop.git")
    assert caught.value.hint == "gitdeploy setup shop"


# --- collisions -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "a-staging"),
        ("a", "a-prod-1"),
        ("a", "a-dev-12"),
        ("a", "a-preview-topic"),
        ("a-b", "a-b-staging"),
    ],
)
def test_names_that_collide_do_so_whichever_comes_first(one, other):
    assert colliding_app(one, ["z", other]) == other
    assert colliding_app(other, ["z", one]) == one


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("a", "ab"),
        ("a", "a-b"),
        ("a", "a-prod"),
        ("a", "a-prod-x"),
        ("a", "a-prod-1-x"),
        ("a", "a-staging-2"),
        ("a", "a.staging"),
        ("a", "b-staging"),
        ("a-staging", "b-staging"),
    ],
)
def test_names_that_do_not_collide(one, other):
    assert colliding_app(one, [other]) is None
    assert colliding_app(other, [one]) is None


def test_an_app_does_not_collide_with_itself():
    """Setting an app up again is how it is repaired."""
    assert colliding_app("a", ["a", "b"]) is None
    assert colliding_app("a", []) is None


def test_previews_of_one_app_do_not_meet_the_links_of_another():
    """`a` owns `a-preview-…`, and `a-preview-staging` is a link of app `a-preview`."""
    assert colliding_app("a", ["a-preview"]) == "a-preview"


parts = st.sampled_from(["a", "b", "staging", "prod", "dev", "1", "12"])
names = st.lists(parts, min_size=1, max_size=4).map("-".join)


@given(names, names)
def test_names_collide_exactly_if_a_link_would_have_two_owners(one, other):
    if one != other:
        shared = links_of(one) & links_of(other)
        assert (colliding_app(one, [other]) is not None) == bool(shared)


def links_of(app: str) -> set[str]:
    public = Public(ROOT / "www", app, 15)
    return {*public.names("dev"), *public.names("prod"), *public.heads}


@given(st.from_regex(re.compile(r"[a-z0-9][a-z0-9._-]{0,20}"), fullmatch=True))
def test_no_app_s_repository_is_another_app_s_home(app):
    """ROOT holds `shop` and `shop.git` side by side."""
    if not app.endswith(".git"):
        check_app_name(app)
        with pytest.raises(UsageError):
            check_app_name(Layout(ROOT, app).repository.name)
