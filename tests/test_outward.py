"""Which links of a release lead out of it: each by itself, none followed."""

import os

import pytest

from gitdeploy.outward import Ground, leading_out

STAYS = {
    "beside": ("a", "b"),
    "up and down": ("d/e/a", "../../b"),
    "to its own top": ("d/a", ".."),
    "nowhere, inside": ("a", "missing/too"),
    "by the absolute path of the release": ("a", "RELEASE/d"),
    "up again behind a directory": ("a", "d/../b"),
    "a shared path, as we made it": ("storage", "../../shared/storage"),
    "through a shared path": ("public/s", "../storage/app/public"),
    "a shared path, absolute": ("d/a", "APP/shared/storage/x"),
    "a shared path, relative": ("d/a", "../../../shared/storage/x"),
    "the system": ("venv/bin/python", "/usr/bin/python3"),
    "the system, relative": ("a", "../" * 40 + "usr/bin/python3"),
    "what the server allows": ("a", "HOME/.pyenv/versions/3/bin/python"),
    "a link that leads on inside": ("d/l", "../chain"),
}
LEADS_OUT = {
    "another app's repository": ("public/b.git", "../../../../blog.git"),
    "one too many": ("a", ".."),
    "a secret of the app": ("a", "../../server.toml"),
    "all of what is shared": ("a", "../../shared"),
    "beside a shared path": ("a", "../../shared/storage-of-prod"),
    "another release": ("a", "../6-x/page"),
    "one whose name begins the same": ("a", "RELEASE-2/page"),
    "etc": ("a", "/etc/passwd"),
    "the whole disk": ("a", "/"),
    "from the system to elsewhere": ("a", "/usr/../etc/passwd"),
    "an app that lies where the system does": ("a", "APP/../blog"),
    "behind a link inside": ("a", "chain/../../blog.git"),
    "behind a shared path": ("a", "storage/../../server.toml"),
    "behind what is not there": ("a", "missing/../../server.toml"),
    "a shared path, bent": ("storage", "../../shared"),
    "beside what the server allows": ("a", "HOME/.pyenv2"),
    "a home": ("a", "HOME/.ssh/id_ed25519"),
    "far too many parts": ("a", "d/../" * 300 + "b"),
}


@pytest.fixture
def ground(tmp_path):
    home = tmp_path / "home"
    app = home / "root/shop"
    release = app / "releases/7-x"
    for folder in ("d/e", "public", "venv/bin"):
        (release / folder).mkdir(parents=True)
    (release / "b").touch()
    (release / "chain").symlink_to("d/e")
    return Ground(
        release,
        {b"storage": b"../../shared/storage"},
        (app / "shared/storage",),
        (*Ground(release).allowed, home / ".pyenv", tmp_path),
        (home, home / "root"),
    )


def plant(ground, link, target):
    app = ground.release.parent.parent
    places = {
        "RELEASE": ground.release,
        "APP": app,
        "HOME": app.parent.parent,
    }
    for word, place in places.items():
        target = target.replace(word, str(place))
    path = ground.release / link
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize("case", STAYS)
def test_a_link_that_stays_is_let_be(ground, case):
    plant(ground, *STAYS[case])
    assert list(leading_out(ground)) == []


@pytest.mark.parametrize("case", LEADS_OUT)
def test_a_link_that_leads_out_is_found(ground, case):
    plant(ground, *LEADS_OUT[case])
    (found,) = leading_out(ground)
    assert os.fsdecode(found.path) == LEADS_OUT[case][0]


def test_what_lies_where_the_system_does_is_not_the_systems(ground):
    """A root below /opt, say; only what is named itself is allowed there."""
    assert any(ground.release.is_relative_to(place) for place in ground.allowed)
    plant(ground, "a", "APP.git/config")
    assert len(list(leading_out(ground))) == 1


def test_many_links_and_odd_names_are_looked_at_and_somebody_is_asked(ground):
    asked = []
    for n in range(6000):
        (ground.release / f"d/{n}").symlink_to("e")
    (ground.release / "d" / os.fsdecode(b"\xff\n")).symlink_to("/etc")
    found = list(leading_out(ground, lambda: asked.append(1)))
    assert [one.path for one in found] == [b"d/\xff\n"]
    assert asked == [1]


def test_what_cannot_be_looked_into_is_no_release(ground):
    """A folder deeper than a path can be long: nobody knows what is in it."""
    fd = os.open(ground.release, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=fd)
        inner = os.open("x" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    with pytest.raises(OSError, match="too long"):
        list(leading_out(ground))
