"""What a pusher signs as a whole (git push --signed): verified, recorded, or not."""

import os
import sqlite3
import sys
from contextlib import closing

import pytest
from support import process
from support.git import Push, Work
from support.server import Server
from support.signing import PEOPLE, Keys, Place, pgp_keys

from gitdeploy.deploy.app import App
from gitdeploy.deploy.certificate import Sent, record
from gitdeploy.deploy.report import Report
from gitdeploy.door import surroundings
from gitdeploy.signatures import Signed
from gitdeploy.system.client import Client


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "ssh", *PEOPLE)


@pytest.fixture
def place(server: Server, work: Work, keys: Keys) -> Place:
    place = Place.made(server, work, keys)
    place.wants("")
    return place


def certified(place: Place, person: str, *refspecs: str) -> Push:
    place.keys.signing(place.work, person)
    return place.work.push("--signed=yes", *refspecs)


def told(push: Push) -> str:
    """Return what is said of the certificate; it stands last."""
    said = " ".join(" ".join(push.remote_lines).split())
    _, word, text = said.partition(" certificate ")
    return text if word else ""


def recorded(place: Place) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(place.server.root / "shop" / "ledger.db")) as file:
        return file.execute("SELECT object, signer, text FROM certificate").fetchall()


@pytest.mark.parametrize("gate", ["--gate", "--no-gate"])
def test_what_a_pusher_signs_as_a_whole_is_recorded(place, gate):
    if gate == "--no-gate":
        place.server.setup("shop", gate)
    place.work.commit("two", **{"index.html": "two"})
    place.work.tag("v1")
    push = certified(place, "ada", "main", "v1")
    assert push.code == 0, push.output
    assert told(push) == "by ada, recorded"
    events = place.server.history()
    certificates = [event["certificate"] for event in events]
    signer = f"ada {place.keys.fingerprint('ada')}"
    assert [one and one["signer"] for one in certificates] == [signer, signer, None]
    ((object_, _, text),) = recorded(place)
    assert certificates[0] == {"object": object_, "signer": signer}
    assert f"{place.work.head} refs/heads/main" in text
    assert text == place.server.git("cat-file", "blob", object_).stdout


@pytest.mark.parametrize("person", ["eve", "old"])
def test_a_certificate_that_does_not_count_hinders_nothing(place, person):
    """Of a stranger, or of a key that has expired."""
    place.work.commit("two", **{"index.html": "two"})
    push = certified(place, person, "main")
    assert push.code == 0, push.output
    key = place.keys.fingerprint(person)
    assert told(push) == f"not recorded: its key {key} is not known here"
    assert recorded(place) == []
    assert [event["certificate"] for event in place.server.history()] == [None] * 2


def test_a_certificate_that_was_backdated_is_asked_for_once_more(place, tmp_path):
    """Its date is the pusher's own word; what counts is what is valid now."""
    text = tmp_path / "certificate"
    text.write_text("certificate version 0.1\npusher old 1600000000 +0000\n\n")
    key = ("-f", place.keys.directory / "old", "-n", "git")
    process.run("ssh-keygen", "-q", "-Y", "sign", *key, text)
    content = text.read_bytes() + text.with_suffix(".sig").read_bytes()
    with App.open(place.server.root, "shop", surroundings(os.environ), "ada") as app:
        signed = Signed("old", place.keys.fingerprint("old"))
        said = app.signatures.expired(signed, content)
        assert said == f"is signed with {signed.key}, which has expired"
        place.allowed.write_text(place.keys.line("old"))
        assert app.signatures.expired(signed, content) == ""
        changed = content.replace(b"pusher", b"passer")
        assert "does not fit" in app.signatures.expired(signed, changed)


def test_without_a_certificate_nothing_is_said_of_it(place):
    place.work.commit("two", **{"index.html": "two"})
    push = place.work.push("main")
    assert told(push) == ""
    assert place.server.history()[0]["certificate"] is None


def test_over_ssh_a_certificate_by_pgp_is_verified_by_the_keys_of_the_root(
    place, tmp_path
):
    """And not by those of the server's user; it is recorded with who pushed it."""
    words = f"--root={place.server.root} --key={place.keys.fingerprint('ben')} ben"
    ssh = tmp_path / "ssh"
    ssh.write_text(
        "#!/bin/sh\n"
        "for last; do :; done\n"
        'export SSH_ORIGINAL_COMMAND="$last"\n'
        f"exec {sys.executable} -I -m gitdeploy.forced_command {words}\n"
    )
    ssh.chmod(0o755)
    (place.server.root / "access.toml").write_text(
        '[[grant]]\nto = ["ben"]\nmay = ["stage"]\n'
    )
    place.work.connect("ssh://deploy@example.org/shop", ssh_command=str(ssh))
    place.work.git("config", "ssh.variant", "simple")
    with pgp_keys(good="never") as pgp:
        pgp.export(place.keyring, "good")
        pgp.signing(place.work, "good")
        place.work.commit("two", **{"index.html": "two"})
        push = place.work.push("--signed=yes", "main")
        assert push.code == 0, push.output
        assert told(push) == "by good <good@example.org>, recorded"
        event = place.server.history()[0]
        pgp.signing(place.work, "good", digest="SHA1")
        place.work.commit("three", **{"index.html": "three"})
        weak = told(place.work.push("--signed=yes", "main"))
    assert weak.startswith("not recorded: it is signed with the PGP key ")
    assert "by SHA-1, which can be forged" in weak
    assert event["by"] == "ben"
    assert event["certificate"]["signer"].startswith("good <good@example.org> ")


def test_only_what_was_accepted_has_the_certificate(place):
    place.wants('prod = "tags"')
    place.work.commit("two", **{"index.html": "two"})
    place.work.tag("v1")
    push = certified(place, "ada", "main", "v1")
    assert push.status("v1").flag == "!"
    certificates = {e["ref"]: e["certificate"] for e in place.server.history()[:2]}
    assert certificates["refs/tags/v1"] is None
    assert certificates["refs/heads/main"]["signer"].startswith("ada SHA256:")


def test_the_secret_of_the_nonces_is_kept_and_never_shown(place):
    secret = place.server.git("config", "receive.certNonceSeed").stdout.strip()
    assert len(secret) == 64
    place.server.setup("shop")
    assert place.server.git("config", "receive.certNonceSeed").stdout.strip() == secret
    place.server.git("config", "--unset", "receive.certNonceSeed")
    said = place.server.gitdeploy("doctor", "shop", check=False).stdout
    assert "changed: receive.certNonceSeed" in said
    done = place.server.gitdeploy("doctor", "shop", "--fix", check=False)
    shown = place.server.gitdeploy("status", "shop", "--json").stdout
    secret = place.server.git("config", "receive.certNonceSeed").stdout.strip()
    assert secret
    assert secret not in done.stdout + done.stderr + shown


# what git says of a certificate, what is made of it
SAID = {
    "unsigned": ({"status": "N"}, "its signature does not hold"),
    "bad": ({"status": "B"}, "its signature does not hold"),
    "not kept": ({"object": "0" * 40}, "its signature does not hold"),
    "of nobody": ({"signer": ""}, "its key SHA256:x is not known here"),
    "replayed": (
        {"nonce_status": "BAD"},
        "it was not made for this push (nonce BAD)",
    ),
    "late": ({"nonce_status": "SLOP"}, "it was not made for this push (nonce SLOP)"),
    "without a nonce": (
        {"nonce_status": "MISSING"},
        "it was not made for this push (nonce MISSING)",
    ),
}


@pytest.mark.parametrize(("other", "said"), SAID.values(), ids=SAID)
def test_git_alone_says_whether_a_certificate_holds(place, capfd, other, said):
    good = {"status": "G", "signer": "ada", "key": "SHA256:x", "nonce_status": "OK"}
    sent = Sent(**{"object": "1" * 40, **good, **other})
    with App.open(place.server.root, "shop", surroundings(os.environ), "ada") as app:
        record(app, [], sent, Report(Client(2)))
    told = " ".join(capfd.readouterr().err.split())
    assert told == f"certificate not recorded: {said}"
    assert recorded(place) == []
