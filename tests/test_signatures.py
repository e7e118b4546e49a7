"""What is signed, by whom, and what of it counts: real keys, ssh-keygen and gpg."""

import json
import sys
from collections.abc import Callable, Iterator

import pytest
from support import process
from support.git import Work
from support.server import Server
from support.signing import PEOPLE, Keys, Pgp, Place, pgp_keys

ACCESS = '[[grant]]\nto = ["ada"]\nmay = ["stage", "release"]\n'

STORES = '[refs]\nother = "store"\n'


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "ssh", *PEOPLE)


@pytest.fixture
def place(server: Server, work: Work, keys: Keys) -> Place:
    return Place.made(server, work, keys)


# --- tags -------------------------------------------------------------------------


def signed(person: str, **more: str) -> Callable[[Place, str], None]:
    return lambda place, name: place.tag(name, person, **more)


def annotated(place: Place, name: str) -> None:
    place.work.tag(name, annotated=True)


def lightweight(place: Place, name: str) -> None:
    place.work.tag(name)


def changed(place: Place, name: str) -> None:
    """Put another message into a signed tag."""
    forged(place, name, lambda text: text.replace(f"\n\n{name}\n", "\n\nother\n"))


def by_x509(place: Place, name: str) -> None:
    forged(place, name, lambda text: text.replace("SSH SIGNATURE", "SIGNED MESSAGE"))


def with_text_behind(place: Place, name: str) -> None:
    """Let it say more than was signed: git shows that, and ssh-keygen reads over it."""
    forged(place, name, lambda text: f"{text}Approved-By: ben\n")


def signed_twice(place: Place, name: str) -> None:
    """Let what is signed end in a signature itself."""
    begin = "-----BEGIN SSH SIGNATURE-----"
    forged(place, name, lambda text: text + begin + text.partition(begin)[2])


def of_a_tag(place: Place, name: str) -> None:
    place.tag("inner", "ada")
    place.tag(name, "ada", "inner")


def around_a_signed_one(place: Place, name: str) -> None:
    place.tag("within", "ada")
    place.work.tag(name, annotated=True, oid="within")


def of_another_name(place: Place, name: str) -> None:
    place.tag("v0.1", "ada")
    place.work.git("update-ref", f"refs/tags/{name}", "refs/tags/v0.1")


def of_a_name_that_acts(place: Place, name: str) -> None:
    forged(place, name, lambda text: text.replace(f"tag {name}", "tag v\x1b[31m", 1))


def forged(place: Place, name: str, change: Callable[[str], str]) -> None:
    work = place.work
    place.tag(name, "ada")
    text = change(work.git("cat-file", "tag", name).stdout)
    words = ("hash-object", "-t", "tag", "-w", "--stdin", "--literally")
    work.git(
        "update-ref", f"refs/tags/{name}", work.git(*words, stdin=text).stdout[:40]
    )


LATER, LONG_AGO = "2099-06-01T00:00:00 +0000", "2020-09-13T00:00:00 +0000"

# what is pushed as v1, what the server says; nothing: it takes it
TAGS = {
    "of ada": (signed("ada"), ""),
    "of a tag": (of_a_tag, ""),
    "of a stranger": (
        signed("eve"),
        "v1 is signed with {eve}, which allowed_signers does not have",
    ),
    "annotated": (annotated, "v1 is not signed"),
    "lightweight": (lightweight, "v1 is no signed tag, and prod takes only these"),
    "around a signed one": (around_a_signed_one, "v1 is not signed"),
    "of another name": (
        of_another_name,
        "the signed tag inside is 'v0.1', pushed as v1",
    ),
    "changed": (changed, "v1 has a signature that does not fit what it signs"),
    "of a name that acts": (
        of_a_name_that_acts,
        "v1 has a signature that does not fit what it signs",
    ),
    "with text behind the signature": (
        with_text_behind,
        "v1 has text behind its signature, which nobody signed",
    ),
    "with two signatures": (
        signed_twice,
        "v1 has a signature that does not fit what it signs",
    ),
    "by X.509": (by_x509, "v1 is signed by X.509, which is not verified here"),
    "of a key that expired": (
        signed("old"),
        "v1 is signed with {old}, which has expired",
    ),
    "of a key that expired, backdated": (
        signed("old", date=LONG_AGO),
        "v1 is signed with {old}, which has expired",
    ),
    "of a key that is not valid yet": (
        signed("early"),
        "v1 is signed with {early}, which is not valid yet",
    ),
    "of a key that is not valid yet, dated on": (
        signed("early", date=LATER),
        "v1 is signed with {early}, which is not valid yet",
    ),
    "of a key for files": (
        signed("filer"),
        "v1 is signed with a key, which is not for git",
    ),
}


@pytest.mark.parametrize(("tag", "said"), TAGS.values(), ids=TAGS)
def test_a_release_tag_is_signed_by_somebody_who_may(place, tag, said):
    tag(place, "v1")
    prints = {person: place.keys.fingerprint(person) for person in PEOPLE}
    expected = said.format(**prints)
    assert place.reason("v1") == expected
    event = place.server.history()[0]
    live = place.server.link("shop-prod-1")
    if said:
        assert (event["verdict"], event["signer"]) == ("refused", None)
        assert live == place.server.root / "shop" / "empty"
    else:
        assert event["signer"] == f"ada {prints['ada']}"
        assert live == place.server.link("shop-dev-1")
        assert f"signed by ada {prints['ada']}" in history(place.server)


def history(server: Server) -> str:
    return server.gitdeploy("history", "shop").stdout


def test_a_refusal_says_how_to_sign(place):
    annotated(place, "v1")
    push = place.work.push("v1")
    assert "  hint          git tag -f -s v1 'v1^{commit}'" in push.remote_lines
    place.keys.signing(place.work, "ada")
    place.work.git("tag", "-f", "-s", "-m", "v1", "v1", "v1^{commit}")
    assert place.reason("v1") == ""


def test_an_older_signed_tag_cannot_be_replayed_under_a_new_name(place):
    """Neither beside itself nor after it was deleted."""
    place.tag("v1", "ada")
    assert place.reason("v1") == ""
    place.work.commit("two", **{"index.html": "two"})
    place.tag("v2", "ada")
    assert place.reason("v2") == ""
    said = "the signed tag inside is 'v1', pushed as v9"
    assert place.reason("v1:refs/tags/v9", ref="v9") == said
    assert place.work.push(":v1").code == 0
    assert place.reason("v1:refs/tags/v9", ref="v9") == said


def test_a_signed_tag_stands_for_the_very_commit_that_was_signed(place):
    """Not for one that somebody pushed to replace it (git-replace(1))."""
    work = place.work
    work.commit("good", **{"index.html": "good", "deploy.toml": STORES})
    good = work.head
    place.tag("v1", "ada")
    work.commit("evil", **{"index.html": "evil"})
    assert work.push(f"main:refs/replace/{good}").code == 0
    assert place.reason("v1") == ""
    live = place.server.link("shop-prod-1")
    assert live
    assert (live / "index.html").read_text() == "good"


def test_whose_signature_counts_is_said_for_each_app(place):
    place.wants('prod = "tags"\nsigners = ["be*"]')
    place.tag("v1", "ada")
    assert place.reason("v1") == "v1 is signed by ada, who may not sign for shop"
    place.tag("v2", "ben")
    assert place.reason("v2") == ""
    place.wants('prod = "tags"\nsigners = ["SHA256:*"]')
    place.work.commit("two", **{"index.html": "two"})
    place.tag("v3", "ada")
    assert place.reason("v3") == ""


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "{path} is missing"),
        (lambda path: path.write_text("ada ssh-what\n"), "{path}:1: "),
        (lambda path: path.write_text(""), "which allowed_signers does not have"),
        (
            lambda path: (path.unlink(), path.mkdir()),
            "cannot be verified: {path}: Is a directory",
        ),
    ],
    ids=["missing", "broken", "empty", "a directory"],
)
def test_without_a_file_that_can_be_read_nobody_signs(place, spoil, said):
    spoil(place.allowed)
    place.tag("v1", "ada")
    push = place.work.push("v1")
    reason = push.status("v1").reason
    assert said.format(path=place.allowed) in reason
    broken = "does not" not in said
    assert reason.startswith("v1 cannot be verified: ") is broken
    assert ("(gitdeploy doctor)" in push.output) is broken


def test_of_an_atomic_push_nothing_goes_live_where_one_tag_is_not_signed(place):
    live = place.server.links()
    place.work.commit("two", **{"index.html": "two"})
    place.work.tag("v1", annotated=True)
    push = place.work.push("--atomic", "main", "v1")
    assert push.status("v1").reason == "v1 is not signed"
    assert "another ref of this atomic push" in push.status("main").reason
    assert place.server.links() == live
    assert place.work.push("main", "v1").status("main").flag == " "


def test_without_the_gate_what_is_not_signed_is_put_back(place):
    place.server.setup("shop", "--no-gate")
    place.work.tag("v1", annotated=True)
    push = place.work.push("v1")
    assert any("v1 is not signed" in line for line in push.remote_lines)
    assert "refs/tags/v1" not in place.server.refs()
    place.tag("v2", "ada")
    assert place.work.push("v2").code == 0
    assert place.server.history()[0]["signer"].startswith("ada SHA256:")


def test_a_ref_that_moved_unseen_is_not_deployed_where_it_is_not_signed(place):
    place.server.git("update-ref", "refs/tags/v1", place.work.head)
    done = place.server.gitdeploy("repair", "shop")
    assert "v1 had moved unseen: refused" in done.stdout + done.stderr
    event = next(e for e in place.server.history() if e["verdict"] == "refused")
    assert event["reason"].startswith("v1 is no signed tag")
    assert place.server.link("shop-prod-1") == place.server.root / "shop" / "empty"


def test_a_deletion_needs_no_signature(place):
    for name in ("v1", "v2"):
        place.work.commit(name, **{"index.html": name})
        place.tag(name, "ada")
        assert place.reason(name) == ""
    assert place.work.push(":v2").code == 0
    assert place.server.history()[0]["verdict"] == "rolled back"


# --- commits ------------------------------------------------------------------------


def test_a_stage_branch_takes_commits_that_are_signed(place):
    place.wants('dev = "commits"')
    place.work.commit("two", **{"index.html": "two"})
    said = f"commit {place.work.head[:7]} is not signed"
    assert place.reason("main") == said
    for person, allowed in (("eve", False), ("old", False), ("ada", True)):
        place.keys.signing(place.work, person)
        date = {"GIT_COMMITTER_DATE": LONG_AGO}
        place.work.git("commit", "-q", "--amend", "--no-edit", "-S", env=date)
        reason = place.reason("main")
        assert (reason == "") is allowed, reason
        assert allowed or place.keys.fingerprint(person) in reason
    assert place.server.history()[0]["signer"].startswith("ada ")


def test_prod_takes_any_tag_of_a_commit_that_is_signed(place):
    place.wants('prod = "commits"')
    place.work.tag("v1")
    assert place.reason("v1") == f"commit {place.work.head[:7]} is not signed"
    place.keys.signing(place.work, "ada")
    place.work.git("commit", "-q", "--allow-empty", "-S", "-m", "two")
    place.work.tag("v2")
    assert place.reason("v2") == ""


# --- verbs --------------------------------------------------------------------------


def over_ssh(place: Place, command: str) -> tuple[int, str]:
    """Run what sshd runs for ada."""
    (place.server.root / "access.toml").write_text(ACCESS)
    words = ("-I", "-m", "gitdeploy.forced_command", f"--root={place.server.root}")
    key = f"--key={place.keys.fingerprint('ada')}"
    env = {"SSH_ORIGINAL_COMMAND": command}
    done = process.run(sys.executable, *words, key, "ada", env=env, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_is_staged_is_not_released_over_ssh_where_a_tag_has_to_be_signed(place):
    code, said = over_ssh(place, "release shop")
    assert code == 1
    assert "prod takes signed tags only, and what is staged has none" in said
    assert "hint: git tag -s NAME && git push server NAME" in said
    assert over_ssh(place, "redeploy shop dev")[0] == 0
    assert place.server.gitdeploy("release", "shop").returncode == 0  # the server's own
    code, said = over_ssh(place, "redeploy shop")
    assert (code, "is no signed tag" in said) == (1, True)
    place.work.commit("two", **{"index.html": "two"})
    place.tag("v1", "ada")
    assert place.reason("v1") == ""
    assert over_ssh(place, "redeploy shop")[0] == 0


def test_what_is_staged_is_released_over_ssh_where_its_commit_is_signed(place):
    place.wants('prod = "commits"')
    code, said = over_ssh(place, "release shop")
    assert (code, f"commit {place.work.head[:7]} is not signed" in said) == (1, True)
    place.keys.signing(place.work, "ada")
    place.work.commit("two", **{"index.html": "two"})
    place.work.git("commit", "-q", "--amend", "--no-edit", "-S")
    assert place.work.push("main").code == 0
    assert over_ssh(place, "release shop")[0] == 0
    assert over_ssh(place, "redeploy shop")[0] == 0


# --- PGP ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pgp() -> Iterator[Pgp]:
    with pgp_keys(good="never", unknown="never", expired="1y", revoked="never") as made:
        yield made


def test_a_tag_may_be_signed_by_pgp(place, pgp):
    allowed = place.allowed.read_text()
    place.allowed.unlink()
    pgp.export(place.keyring, "good", "expired", "revoked")
    pgp.revoke(place.keyring, "revoked")
    key = {name: fingerprint[-16:] for name, fingerprint in pgp.fingerprints.items()}
    for name, said in {
        "unknown": f"which is not in {place.keyring}",
        "expired": "which has expired",
        "revoked": "which was revoked",
        "good": "",
    }.items():
        at = "20200301T000000" if name == "expired" else ""
        pgp.signing(place.work, name, at=at)
        place.work.git("tag", "-s", "-m", name, name)
        means = f"{name} is signed with the PGP key {key[name]}, {said}" if said else ""
        assert place.reason(name) == means
    signer = place.server.history()[0]["signer"]
    assert signer == f"good@example.org {pgp.fingerprints['good']}"
    place.allowed.write_text(allowed)
    place.keyring.rename(place.keyring.with_name("gone"))
    place.work.git("tag", "-s", "-m", "v2", "v2")
    said = f"v2 is signed by PGP, and there is no {place.keyring}"
    assert place.reason("v2") == said


WEAK = {"SHA1": "SHA-1", "MD5": "MD5", "RIPEMD160": "RIPEMD-160"}


@pytest.mark.parametrize(("digest", "named"), WEAK.items(), ids=WEAK)
def test_a_digest_that_can_be_forged_signs_nothing(place, pgp, digest, named):
    """Whoever finds two tags of one digest has one signed and pushes the other."""
    pgp.export(place.keyring, "good")
    pgp.signing(place.work, "good", digest=digest)
    place.work.git("tag", "-s", "-m", "v1", "v1")
    key = pgp.fingerprints["good"]
    reason = place.reason("v1")
    assert reason.startswith("v1 is signed with the PGP key ")
    assert reason.endswith(f" by {named}, which can be forged")
    assert key[-16:] in reason
    pgp.signing(place.work, "good", digest="SHA512")
    place.work.git("tag", "-s", "-m", "v2", "v2")
    assert place.reason("v2") == ""


def test_a_commit_has_no_text_behind_its_signature(place):
    """Neither in the header of the signature, which nobody sees."""
    place.wants('dev = "commits"')
    place.keys.signing(place.work, "ada")
    place.work.commit("two", **{"index.html": "two"})
    place.work.git("commit", "--amend", "-S", "--no-edit", "--quiet")
    text = place.work.git("cat-file", "commit", "HEAD").stdout
    end = " -----END SSH SIGNATURE-----\n"
    assert end in text
    for more, said in (
        (" Approved-By: ben\n", "has text behind its signature, which nobody signed"),
        (" \n", ""),  # as a large host of repositories writes it
    ):
        changed = text.replace(end, end + more)
        words = ("hash-object", "-t", "commit", "-w", "--stdin")
        id_ = place.work.git(*words, stdin=changed).stdout.strip()
        place.work.git("update-ref", "refs/heads/odd", id_)
        means = f"commit {id_[:7]} {said}" if said else ""
        assert place.reason("odd:main", ref="main") == means


def test_who_signs_by_pgp_is_known_by_address_and_fingerprint(place, pgp):
    pgp.export(place.keyring, "good")
    pgp.signing(place.work, "good")
    for name, pattern, counts in (
        ("v1", "ada", False),
        ("v2", "*@example.org", True),
        ("v3", pgp.fingerprints["good"], True),
    ):
        place.wants(f'prod = "tags"\nsigners = ["{pattern}"]')
        place.work.commit(name, **{"index.html": name})
        place.work.git("tag", "-s", "-m", name, name)
        assert (place.reason(name) == "") is counts


# --- doctor -------------------------------------------------------------------------


def test_the_doctor_says_when_nobody_or_anybody_can_sign(place):
    def found() -> list[str]:
        done = place.server.gitdeploy("doctor", "shop", "--json", check=False)
        names = [one["name"] for one in json.loads(done.stdout)["findings"]]
        return [name for name in names if "sign" in name]

    assert found() == []
    place.allowed.chmod(0o666)
    assert found() == ["signers-writable"]
    place.allowed.unlink()
    assert found() == ["nobody-signs"]
    place.keyring.mkdir(mode=0o700)
    assert found() == []
    place.keyring.rmdir()
    place.wants("")
    assert found() == []
