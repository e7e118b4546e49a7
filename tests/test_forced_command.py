"""What the forced command takes over ssh, and what it lets nobody do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitdeploy.ssh_command import MOST_BYTES, VERBS, GitAsked, No, VerbAsked, read

APPS = ("shop", "blog-de")

GIT = {
    "git-receive-pack 'shop'": GitAsked("receive-pack", "shop"),
    "git-receive-pack 'shop.git'": GitAsked("receive-pack", "shop"),
    "git-receive-pack '/shop.git'": GitAsked("receive-pack", "shop"),
    "git-upload-pack 'blog-de'": GitAsked("upload-pack", "blog-de"),
}


@pytest.mark.parametrize(("command", "asked"), GIT.items(), ids=GIT)
def test_git_is_asked_for_an_app_by_its_name(command, asked):
    assert read(command, APPS) == asked


TAKEN = {
    "status shop": ("status", "shop", ("read",)),
    "status shop --json": ("status", "shop", ("read",)),
    "history --limit 3 shop": ("history", "shop", ("read",)),
    "history --limit=3 shop": ("history", "shop", ("read",)),
    "logs -f shop": ("logs", "shop", ("read",)),
    "logs shop 7": ("logs", "shop", ("read",)),
    "plan shop main": ("plan", "shop", ("read",)),
    "release shop": ("release", "shop", ("release",)),
    "rollback shop dev --steps 2": ("rollback", "shop", ("rollback",)),
    "redeploy shop": ("redeploy", "shop", ("release",)),
    "redeploy shop prod": ("redeploy", "shop", ("release",)),
    "redeploy shop dev": ("redeploy", "shop", ("stage",)),
    "lock shop --reason 'a long one'": ("lock", "shop", ("admin",)),
    "cancel shop --all": ("cancel", "shop", ("stage", "release", "rollback")),
    "env shop set 'KEY=two words'": ("env", "shop", ("env",)),
}


@pytest.mark.parametrize(("command", "expected"), TAKEN.items(), ids=TAKEN)
def test_a_verb_is_taken_with_the_rights_it_needs(command, expected):
    asked = read(command, APPS)
    assert isinstance(asked, VerbAsked), asked
    assert (asked.verb, asked.app, asked.needs) == expected


REFUSED = {
    "": "there is no shell here",
    "   ": "there is no shell here",
    "sh": "'sh' cannot be run here",
    "bash -i": "cannot be run here",
    "scp -t /etc": "'scp' cannot be run here",
    "/usr/lib/openssh/sftp-server": "cannot be run here",
    "git-shell": "cannot be run here",
    "git-upload-archive 'shop'": "cannot be run here",
    "git receive-pack shop": "'git' cannot be run here",
    "gitdeploy status shop": "'gitdeploy' cannot be run here",
    "git-receive-pack": "takes the name of an app and nothing else",
    "git-receive-pack shop blog-de": "takes the name of an app and nothing else",
    "git-receive-pack --help": "is no app's name",
    "git-receive-pack '-shop'": "is no app's name",
    "git-receive-pack '/home/x/gitdeploy/shop.git'": "a path is not taken",
    "git-receive-pack '../other.git'": "a path is not taken",
    "git-receive-pack 'shop/../blog-de'": "a path is not taken",
    "git-receive-pack '~/shop'": "a path is not taken",
    "git-receive-pack 'Shop'": "is no app's name",
    "git-receive-pack 'other'": "no app 'other' that you may see",
    "git-receive-pack 'shop'; id": "takes the name of an app and nothing else",
    "git-receive-pack '$(id)'": "a path is not taken",
    "git-receive-pack 'shop": "a quote that does not end",
    "git-receive-pack 'shop'\nid": "control characters",
    "git-receive-pack 'shop\x1b[2J'": "control characters",
    "status": "which app is missing",
    "status ../shop": "no app '../shop' that you may see",
    "status shop blog-de": "'blog-de' is a word too many",
    "status shop --root=/elsewhere": "'--root=/elsewhere' cannot be said over ssh",
    "status shop --root /elsewhere": "'--root' cannot be said over ssh",
    "status --help": "'--help' cannot be said over ssh",
    "status -- shop": "'--' cannot be said over ssh",
    "history shop --limit": "--limit wants a value",
    "rollback shop elsewhere": "should be dev or prod, got 'elsewhere'",
    "env shop": "should be set, unset, list behind the app",
    "env shop edit": "should be set, unset, list behind the app",
    "env shop list --show": "'--show' cannot be said over ssh",
    "setup other": "'setup' cannot be run here",
    "doctor shop": "'doctor' cannot be run here",
    "key list": "'key' cannot be run here",
    "x" * (MOST_BYTES + 1): "has more than 32 KiB",
    "status shop " + "x" * 2_000_000: "has more than 32 KiB",
}


@pytest.mark.parametrize(
    ("command", "why"), REFUSED.items(), ids=[repr(one[:40]) for one in REFUSED]
)
def test_everything_else_is_refused_with_one_sentence(command, why):
    asked = read(command, APPS)
    assert isinstance(asked, No), asked
    assert why in asked.reason
    assert asked.reason.isprintable()


WORDS = st.lists(
    st.sampled_from(
        [
            *VERBS,
            "git-receive-pack",
            "git-upload-pack",
            *APPS,
            "--json",
            "--root=/",
            "-f",
            "'",
            '"',
            "\\",
            "--",
            "..",
            "/",
            ";",
            "$(id)",
            "\n",
            "\x00",
            "é",
            "�",
        ]
    )
    | st.text(max_size=8),
    max_size=8,
)


@settings(max_examples=500, deadline=None)
@given(WORDS, st.sampled_from(["", " ", "'"]))
def test_whatever_comes_only_known_apps_and_verbs_are_named(words, between):
    asked = read(f"{between} ".join(words), APPS)
    if isinstance(asked, No):
        assert asked.reason.isprintable()
        return
    assert asked.app in APPS
    if isinstance(asked, VerbAsked):
        assert asked.verb in VERBS
        assert not any(word.startswith(("--root", "--help")) for word in asked.words)
    else:
        assert asked.program in ("receive-pack", "upload-pack")
