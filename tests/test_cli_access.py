"""`gitdeploy access`: rights given, taken, listed and explained."""

import shutil

import pytest


def test_what_is_granted_is_listed_explained_and_taken_again(server):
    server.setup("shop")
    server.gitdeploy("access", "grant", "ada", "stage", "read", "--app", "shop")
    server.gitdeploy("access", "grant", "ada", "release", "--app", "shop")
    listed = server.json("access", "list")
    (since,) = [grant.pop("since") for grant in listed["grants"]]
    assert since.startswith("20")
    assert listed["grants"] == [
        {
            "to": ["ada"],
            "may": ["stage", "read", "release"],
            "apps": ["shop"],
            "refs": ["*"],
        }
    ]
    yes = server.json("access", "check", "ada", "shop", "release")
    assert yes == {
        "person": "ada",
        "app": "shop",
        "asked": "release",
        "allowed": True,
        "why": "by access.toml, grant 1",
    }
    server.gitdeploy("access", "revoke", "ada", "release", "--app", "shop")
    no = server.gitdeploy("access", "check", "ada", "shop", "release", check=False)
    assert (no.returncode, no.stdout) == (
        1,
        "refused: ada lacks release (has: read, stage)\n",
    )
    server.gitdeploy("access", "revoke", "ada", "--app", "shop")
    assert server.json("access", "list")["grants"] == []


def test_an_app_that_is_made_anew_inherits_nothing_that_named_it(server):
    """By the same second as well; what is granted for a pattern is for any app."""
    server.setup("shop")
    server.gitdeploy("access", "grant", "ada", "stage", "--app", "shop")
    server.gitdeploy("access", "grant", "ben", "stage", "--app", "sh*")
    for path in ("shop", "shop.git"):
        shutil.rmtree(server.root / path)
    for link in server.target.iterdir():
        link.unlink()
    said = server.setup("shop").stdout
    assert "ada had rights to an earlier shop, and have none to this" in said
    assert _may(server, "ada") == 1
    assert _may(server, "ben") == 0
    server.gitdeploy("access", "grant", "ada", "stage", "--app", "shop")
    assert _may(server, "ada") == 0
    assert server.setup("shop").stdout.count("ada") == 0
    grants = server.json("access", "list")["grants"]
    assert [grant["to"] for grant in grants] == [["ben"], ["ada"]]


def test_a_new_app_begins_after_every_grant_that_names_it(server):
    """Also where the clock was set back since."""
    server.setup("wiki")
    grant = '[[grant]]\nto = ["ada"]\nmay = ["stage"]\napps = ["shop"]\n'
    toml = f'{grant}since = "2099-01-01T00:00:00Z"\n'
    (server.root / "access.toml").write_text(toml)
    server.setup("shop")
    assert _may(server, "ada") == 1


def test_a_grant_that_people_wrote_for_a_new_app_is_told_at_setup(server):
    """It says nothing of when: it may have been written for this very app."""
    server.root.mkdir(exist_ok=True)
    file = server.root / "access.toml"
    file.write_text("[[grant]]\nto = ['ada']\nmay = ['stage']\napps = ['shop']\n")
    assert (
        "ada have rights to shop; it does not say since" in server.setup("shop").stdout
    )
    assert _may(server, "ada") == 0


def _may(server, person):
    words = ("access", "check", person, "shop", "stage")
    return server.gitdeploy(*words, check=False).returncode


def test_a_ref_is_explained_by_what_it_deploys(server):
    server.setup("shop")
    server.gitdeploy("access", "grant", "ada", "stage", "--app", "shop")
    for asked, code, said in (
        ("refs/heads/main", 0, "allowed: by access.toml, grant 1"),
        ("refs/tags/v1", 1, "refused: ada lacks release (has: stage)"),
        ("refs/heads/else", 1, "refused: refs/heads/else deploys nothing here"),
        ("main", 2, "should be a ref, refs/heads/NAME or refs/tags/NAME"),
    ):
        done = server.gitdeploy("access", "check", "ada", "shop", asked, check=False)
        assert done.returncode == code
        assert said in done.stdout + done.stderr


def test_what_people_wrote_in_the_file_stays(server):
    server.setup("shop")
    file = server.root / "access.toml"
    file.write_text(
        "# the team\n[groups]\nteam = ['ada', 'ben']  # both\n\n"
        "[[grant]]\nto = ['@team', 'cy']  # since May\nmay = ['stage', 'read']\n"
    )
    server.gitdeploy("access", "grant", "cy", "release")
    server.gitdeploy("access", "revoke", "cy", "stage")
    assert "# the team" in file.read_text()
    assert "# both" in file.read_text()
    grants = server.json("access", "list")["grants"]
    mays = {name: set() for name in ("@team", "cy")}
    for grant in grants:
        for name in grant["to"]:
            mays[name] |= {*grant["may"]}
    assert mays == {"@team": {"stage", "read"}, "cy": {"read", "release"}}


def test_server_toml_grants_rights_to_its_app_alone(server):
    server.setup("shop")
    server.setup("blog")
    own = server.root / "shop" / "server.toml"
    own.write_text("[[access.grant]]\nto = ['ada']\nmay = ['stage']\n")
    check = ("access", "check", "ada")
    assert server.json(*check, "shop", "stage")["why"] == "by server.toml, grant 1"
    done = server.gitdeploy(*check, "blog", "stage", check=False)
    assert done.stdout == "refused: ada has no right to this app\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grant", "a b", "read"), "should be a name of at most 40 letters"),
        (("grant", "@nobody", "read"), "should be a group of [groups] (none)"),
        (("grant", "ada", "read", "--app", "other"), "has no app other"),
        (("grant", "ada", "everything"), "everything"),
        (("revoke", "ada", "read"), "grants ada nothing of that"),
        (("check", "ada", "other", "read"), "has no app other"),
    ],
)
def test_what_cannot_be_granted_is_told_and_changes_nothing(server, words, said):
    server.setup("shop")
    done = server.gitdeploy("access", *words, check=False)
    assert done.returncode in (1, 2, 5)
    assert said in done.stderr
    assert not (server.root / "access.toml").exists()


def test_a_broken_file_is_left_for_its_author(server):
    server.setup("shop")
    file = server.root / "access.toml"
    file.write_text("[[grant]]\nto = 1\n")
    done = server.gitdeploy("access", "grant", "ada", "read", check=False)
    assert done.returncode == 2
    assert "grant[0].to" in done.stderr
    assert file.read_text() == "[[grant]]\nto = 1\n"
