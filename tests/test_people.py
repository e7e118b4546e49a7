"""Who may do what over ssh: a real sshd, real keys, people by actions by refs."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import process
from support.git import Work
from support.server import Server
from support.sshd import HOST, Sshd, running_sshd

PEOPLE = ("ada", "ben", "cy", "dan", "root", "eve", "feature", "max")

ACCESS = """
# who works here
[groups]
stagers = ["ada", "ben"]

[[grant]]
to = ["@stagers"]
may = ["stage"]
apps = ["shop"]

[[grant]]
to = ["ben"]
may = ["release", "rollback"]
apps = ["shop"]
refs = ["v*"]

[[grant]]
to = ["cy"]
may = ["read"]
apps = ["shop"]

[[grant]]
to = ["dan"]
may = ["rollback", "env"]
apps = ["shop"]

[[grant]]
to = ["feature"]
may = ["stage"]
refs = ["master"]

[[grant]]
to = ["root"]
may = ["admin"]

# the same once more, for the apps whose tags are tried
[[grant]]
to = ["@stagers"]
may = ["stage"]
apps = ["gated", "open", "verbs"]

[[grant]]
to = ["ben"]
may = ["release", "rollback"]
apps = ["gated", "open", "verbs"]
refs = ["v*"]

[[grant]]
to = ["cy"]
may = ["read"]
apps = ["gated", "open", "verbs"]

[[grant]]
to = ["dan"]
may = ["rollback", "env"]
apps = ["gated", "open", "verbs"]

[[grant]]
to = ["max"]
may = ["stage", "release", "rollback"]
apps = ["gated", "verbs"]
refs = ["main"]
"""


@dataclass(frozen=True)
class Place:
    """A server with an app that people reach over ssh by their own keys."""

    server: Server
    sshd: Sshd
    directory: Path

    def ssh(self, person: str) -> list[str]:
        """Return the ssh client with a person's key."""
        key = self.directory / person
        return [
            f'-oIdentityFile="{key}"' if word.startswith("-oIdentityFile") else word
            for word in self.sshd.ssh_argv
        ]

    def run(self, person: str, command: str, *more: str) -> subprocess.CompletedProcess:
        """Let a person run a command over ssh."""
        host = self.sshd.url("").removesuffix("/")
        return process.run(*self.ssh(person), *more, host, command, check=False)

    def clone(self, person: str, path: Path, app: str = "shop") -> Work:
        """Return a person's repository, with one commit more than all others."""
        work = Work.create(path)
        command = " ".join(f"'{word}'" for word in self.ssh(person))
        work.connect(self.sshd.url(f"/{app}"), ssh_command=command)
        return work


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("people")
    server = Server(directory / "server")
    server.setup("shop")
    server.setup("blog")
    server.gitdeploy("env", "shop", "set", "GREETING=canary-4711")
    (server.root / "access.toml").write_text(ACCESS)
    with running_sshd(directory / "sshd") as sshd:
        place = Place(server, sshd, directory)
        file = directory / "sshd" / "authorized_keys"
        for person in PEOPLE:
            words = ["-q", "-t", "ed25519", "-N", "", "-C", f"{person}@home"]
            process.run("ssh-keygen", *words, "-f", directory / person)
            let_in(place, person, directory / f"{person}.pub")
        assert file.stat().st_mode & 0o777 == 0o600
        first = Work.create(directory / "first")
        first.connect(server.url("shop"))
        first.commit("one", **{"index.html": "one"})
        assert first.push("main").code == 0
        first.commit("two", **{"index.html": "two"})
        assert first.push("main").code == 0
        yield place


def let_in(place: Place, person: str, file: Path, *more: str) -> str:
    keys = place.directory / "sshd" / "authorized_keys"
    words = ["key", "add", person, str(file), f"--authorized-keys={keys}", *more]
    return place.server.gitdeploy(*words).stdout


def code_and_words(place: Place, person: str, command: str) -> tuple[int, str]:
    done = place.run(person, command)
    return done.returncode, done.stdout + done.stderr


# person, command over ssh, exit status, words that must be said
VERBS = [
    ("ada", "status shop", 0, "shop-dev-1"),
    ("ada", "history shop --json", 0, '"deployments"'),
    ("ada", "releases shop", 0, "ready"),
    ("ada", "logs shop", 0, ""),
    ("ada", "plan shop main", 0, "would change nothing"),
    ("ada", "status blog", 1, "no app 'blog' that you may see"),
    ("ada", "status other", 1, "no app 'other' that you may see"),
    ("ada", "release shop", 1, "may not run release on shop: that takes release"),
    ("ada", "rollback shop dev", 1, "that takes rollback, granted is stage"),
    ("ada", "redeploy shop", 1, "that takes release"),
    ("ada", "redeploy shop dev", 0, ""),
    ("ada", "lock shop", 1, "that takes admin"),
    ("ada", "env shop list", 1, "that takes env"),
    ("ada", "cancel shop", 0, ""),
    ("dan", "cancel shop", 0, ""),
    ("ben", "status shop", 0, "shop-dev-1"),
    ("ben", "rollforward shop prod", 5, "nothing"),
    ("ben", "lock shop", 1, "that takes admin"),
    ("ben", "env shop set A=b", 1, "that takes env"),
    ("cy", "status shop", 0, "shop-dev-1"),
    ("cy", "history shop", 0, ""),
    ("cy", "plan shop main", 0, ""),
    ("cy", "cancel shop", 1, "that takes stage or release"),
    ("cy", "release shop", 1, "granted is read"),
    ("cy", "rollback shop", 1, "granted is read"),
    ("cy", "unlock shop", 1, "granted is read"),
    ("cy", "status blog", 1, "no app 'blog' that you may see"),
    ("dan", "env shop set OTHER=canary-4711", 0, ""),
    ("dan", "env shop list", 0, "GREETING"),
    ("dan", "env shop list --show", 1, "cannot be said over ssh"),
    ("dan", "status shop", 0, ""),
    ("dan", "lock shop --until 2h", 1, "that takes admin"),
    ("dan", "release shop", 1, "that takes release"),
    ("feature", "status shop", 0, ""),
    ("feature", "status blog", 0, ""),
    ("feature", "release shop", 1, "that takes release"),
    ("root", "status shop", 0, ""),
    ("root", "status blog", 0, ""),
    ("root", "unlock shop", 0, ""),
    ("root", "env shop list", 0, "GREETING"),
    ("root", "setup evil", 1, "'setup' cannot be run here"),
    ("eve", "status shop", 1, "no app 'shop' that you may see"),
    ("eve", "release shop", 1, "no app 'shop' that you may see"),
    ("eve", "status nothing", 1, "no app 'nothing' that you may see"),
    ("eve", "", 1, "there is no shell here"),
    ("ada", "id", 1, "'id' cannot be run here"),
    ("ada", "git-receive-pack '../blog.git'", 1, "a path is not taken"),
    ("ada", "git-receive-pack 'shop' --help", 1, "and nothing else"),
    ("ada", "git-receive-pack 'blog'", 1, "no app 'blog' that you may see"),
    ("ada", "git-upload-archive 'shop'", 1, "cannot be run here"),
    ("cy", "git-receive-pack 'shop'", 1, "may not push to shop"),
    ("ada", "status shop\nid", 1, "control characters"),
]


@pytest.mark.parametrize(("person", "command", "code", "said"), VERBS)
def test_a_verb_over_ssh_is_let_do_what_was_granted(place, person, command, code, said):
    got, words = code_and_words(place, person, command)
    assert (got, said in words) == (code, True), (got, words)
    assert "Traceback" not in words
    assert "canary-4711" not in words


# person, what is pushed, whether git says yes, the reason in git's status line
PUSHES = [
    ("eve", "main", False, None),
    ("cy", "main", False, None),
    ("dan", "main", False, "not allowed: dan lacks stage (has: env, rollback)"),
    ("feature", "main", False, "not allowed: feature lacks stage (only for master)"),
    ("ada", "v1", False, "not allowed: ada lacks release (has: stage)"),
    ("ada", "other", False, "other deploys nothing here"),
    ("ada", "main", True, ""),
    ("ben", "beta", False, "not allowed: ben lacks release (only for v*)"),
    ("ben", "v1", True, ""),
    ("ben", "main", True, ""),
    ("root", "v2", True, ""),
    ("root", "main", True, ""),
]


def test_a_push_over_ssh_is_let_do_what_was_granted(place, tmp_path):
    """One after the other: each push is of a new commit on what is there."""
    for number, (person, ref, accepted, reason) in enumerate(PUSHES):
        work = place.clone(person, tmp_path / str(number))
        work.git("fetch", "-q", place.server.url("shop"), "main")
        work.git("reset", "-q", "--hard", "FETCH_HEAD")
        work.commit("more", **{"index.html": f"{number} by {person}"})
        is_tag = ref[0] in "vb"
        if is_tag:
            work.tag(ref)
        elif ref != "main":
            work.git("branch", ref)
        refs = place.server.refs()
        push = work.push(ref)
        assert (push.code == 0) is accepted, (person, ref, push.output)
        if not accepted:
            assert place.server.refs() == refs
        if reason is None:
            assert "may not push" in push.output or "may see" in push.output
        elif reason.startswith("not allowed"):  # git keeps nothing of it
            assert push.status(ref).reason == "pre-receive hook declined"
            assert f"  {ref}: {reason}" in push.remote_lines, (person, ref)
        elif reason:
            assert push.status(ref).reason == reason, (person, ref)
        else:
            event = place.server.history()[0]
            assert event["by"] == person
            assert event["key"].startswith("SHA256:")


STORES = '[refs]\nstage = []\nrelease = []\nother = "store"\n'
NO_RELEASE = "lacks release"
ONLY_V = "ben lacks release (only for v*)"
NOT_MOVED = "a release tag is not moved"
STAGED_FROM = "main is staged from; a stage branch is not deleted"
STAGED_FROM += "|refusing to delete the current branch"  # git itself, without the gate
TAG, HEAD = "refs/tags/", "refs/heads/"

# person, what is pushed, deploy.toml of the commit, whether it is taken, what is said
OVER_REFS = [
    # what somebody may not do with a tag, deploy.toml does not let them
    ("ada", [f"HEAD:{TAG}v3"], "", False, NO_RELEASE),
    ("ada", [f"HEAD:{TAG}v3"], STORES, False, NO_RELEASE),
    ("ada", [f"+HEAD:{TAG}v2"], "", False, NO_RELEASE),
    ("ada", [f"+HEAD:{TAG}v2"], STORES, False, NO_RELEASE),
    ("ada", [f":{TAG}v1"], "", False, NO_RELEASE),
    ("ada", [f":{TAG}v2"], "", False, NO_RELEASE),
    ("ada", [f"HEAD:{HEAD}main", f"HEAD:{TAG}v3"], "", False, NO_RELEASE),
    ("dan", [f":{TAG}v1"], "", False, NO_RELEASE),
    ("dan", [f"HEAD:{TAG}v3"], STORES, False, NO_RELEASE),
    ("ben", [f"+HEAD:{TAG}b1"], STORES, False, ONLY_V),
    ("ben", [f":{TAG}b1"], "", False, ONLY_V),
    ("ben", [f"HEAD:{TAG}b2"], STORES, False, ONLY_V),
    ("cy", [f":{TAG}v1"], "", False, "may not push"),
    ("eve", [f":{TAG}v1"], "", False, "that you may see"),
    # what nobody does, whatever right they have
    ("ben", [f"+HEAD:{TAG}v2"], "", False, NOT_MOVED),
    ("ben", [f"+HEAD:{TAG}v2"], STORES, False, NOT_MOVED),
    ("root", [f"+HEAD:{TAG}v2"], STORES, False, NOT_MOVED),
    ("root", [f":{HEAD}main"], "", False, STAGED_FROM),
    ("ada", [f":{HEAD}main"], "", False, STAGED_FROM),
    # what is stored takes the right to stage, and a tag the one to release
    ("dan", [f"HEAD:{HEAD}notes"], STORES, False, "dan lacks stage"),
    ("feature", [f"HEAD:{HEAD}notes"], STORES, False, "(only for master)"),
    ("ada", [f"HEAD:{HEAD}notes"], STORES, True, "stored; not deployed"),
    ("ada", [f":{HEAD}notes"], STORES, True, "stored; not deployed"),
    ("ben", [f"HEAD:{TAG}vx"], STORES, True, "stored; not deployed"),
    ("ada", [f"HEAD:{HEAD}main"], STORES, True, "stored; not deployed"),
    ("ada", [f":{HEAD}main"], "", False, STAGED_FROM),
    # what somebody may
    ("ben", [f":{TAG}v1"], "", True, "tag deleted"),
    ("dan", [f":{TAG}v2"], "", True, "again, nothing rebuilt"),
]


@pytest.mark.parametrize(("app", "gate"), [("gated", "--gate"), ("open", "--no-gate")])
def test_what_a_push_does_to_refs_takes_the_rights_of_what_the_server_knows(
    place, tmp_path, app, gate
):
    """Over a row of pushes; where a right is lacking, git has taken nothing at all."""
    work = with_releases(place, tmp_path, app, gate)
    for number, (person, words, toml, taken, said) in enumerate(OVER_REFS):
        row = (number, person, words, toml)
        work.git("reset", "-q", "--hard", "two")
        work.commit("more", **{"page": str(number), "deploy.toml": toml})
        command = " ".join(f"'{word}'" for word in place.ssh(person))
        work.git("config", "core.sshCommand", command)
        forced = [word if word[0] in ":+" else f"+{word}" for word in words]
        before = place.server.refs(app)
        push = work.push(*forced)
        told = " ".join(push.output.replace("remote:", "").split())
        assert any(words in told for words in said.split("|")), (row, push.output)
        after = place.server.refs(app)
        assert (after != before) is taken, (row, push.output)
        if taken:
            assert push.code == 0, row
        elif gate == "--gate" or "lacks" in said:
            assert push.code != 0, row
        if "lacks" in said:
            assert "nothing of this push was taken" in told, row
            kept = place.server.git("cat-file", "-e", work.head, app=app, check=False)
            assert kept.returncode != 0, row


def with_releases(place: Place, tmp_path: Path, app: str, gate: str) -> Work:
    """Return a clone connected to an app with main staged, and three releases."""
    place.server.setup(app, gate)
    first = Work.create(tmp_path / app)
    first.connect(place.server.url(app))
    for commit, tag in (("one", "b1"), ("mid", "v1"), ("two", "v2")):
        first.commit(commit, page=commit)
        assert first.push("main").code == 0
        first.tag(tag)
        assert first.push(tag).code == 0
    first.git("branch", "two")
    first.connect(place.sshd.url(f"/{app}"))
    return first


# person, command over ssh, exit status, words that must be said: of what came from refs
OF_REFS = [
    ("ben", "release verbs", 1, "ben may not release what came from main"),
    ("max", "release verbs", 0, "release 4"),
    ("ben", "redeploy verbs", 1, "what came from main: ben lacks release"),
    ("ben", "rollback verbs", 1, "ben may not rollback what came from main"),
    ("max", "redeploy verbs", 0, "deployed"),
    ("max", "rollback verbs --steps 2", 1, "what came from v2"),
    ("max", "rollback verbs", 0, "rolled back"),
    ("ben", "rollforward verbs", 1, "what came from main"),
    ("max", "rollforward verbs", 0, "rolled forward"),
    ("max", "rollback verbs dev", 0, "rolled back"),
    ("ben", "rollforward verbs dev", 1, "what came from main"),
    (
        "feature",
        "redeploy verbs dev",
        1,
        "feature may not redeploy what came from main",
    ),
    ("max", "redeploy verbs dev", 0, "deployed"),
]


def test_a_right_for_some_refs_holds_the_verbs_on_what_came_from_others(
    place, tmp_path
):
    """Where it has no say over a verb at all, the table of verbs is enough."""
    if not (place.server.root / "verbs").exists():
        with_releases(place, tmp_path, "verbs", "--gate")
    work = Work.clone(place.server.url("verbs"), tmp_path / "more")
    work.commit("four", **{"page": "four", "deploy.toml": ""})
    assert work.push("HEAD:refs/heads/main", "--force").code == 0
    for row in OF_REFS:
        person, command, code, said = row
        got, words = code_and_words(place, person, command)
        assert (got, said in words) == (code, True), (row, got, words)


def test_a_lock_holds_people_but_for_those_who_may_override_it(place, tmp_path):
    said = code_and_words(
        place, "root", "lock shop --reason fair --until 2h --chain dev"
    )
    assert said[0] == 0
    try:
        lock = place.server.status()["locked"]
        assert (lock["by"], lock["chain"], lock["reason"]) == ("root", "dev", "fair")
        code, words = code_and_words(place, "dan", "rollback shop dev")
        assert (code, "dev is locked by root since" in words) == (1, True)
        for person, options, accepted in (
            ("ada", [], False),
            ("ada", ["override"], False),
            ("root", [], False),
            ("root", ["override"], True),
        ):
            work = place.clone(person, tmp_path / f"{person}-{options}")
            work.git("fetch", "-q", place.server.url("shop"), "main")
            work.git("reset", "-q", "--hard", "FETCH_HEAD")
            work.commit("locked", **{"index.html": f"locked {person}"})
            push = work.push("main", options=options)
            assert (push.code == 0) is accepted, push.output
            if not accepted:
                why = "lacks override" if options else "locked by root since"
                assert why in " ".join(push.remote_lines)
        assert "locked by root" in place.server.history()[0]["overrode"]
    finally:
        assert code_and_words(place, "root", "unlock shop")[0] == 0


def test_a_push_that_sends_too_much_is_refused_with_the_limit(place, tmp_path):
    """At once: git stops receiving, and keeps nothing of it."""
    toml = place.server.root / "shop/server.toml"
    before = toml.read_text()
    objects = place.server.git("count-objects", "-v").stdout
    try:
        toml.write_text(f'{before}[limits]\npack_bytes = "1MiB"\n')
        work = place.clone("root", tmp_path / "large")
        work.write("noise", os.urandom(3 * 2**20).hex())
        work.commit("large")
        refs = place.server.refs()
        push = work.push("main", "--force")
        assert push.code == 1
        assert "pack exceeds maximum allowed size (1024.00 KiB)" in push.output
        assert place.server.refs() == refs
        assert place.server.git("count-objects", "-v").stdout == objects
    finally:
        toml.write_text(before)


def test_reading_takes_the_right_to_read(place, tmp_path):
    for person, code in (("cy", 0), ("dan", 0), ("eve", 128)):
        work = place.clone(person, tmp_path / person)
        assert work.git("fetch", "-q", "server", check=False).returncode == code


def test_nothing_but_commands_is_let_through(place, tmp_path):
    """No file transfer, no terminal, no forwarding of ports, no environment."""
    host = place.sshd.url("").removesuffix("/").removeprefix("ssh://")
    user, _, port = host.partition("@")[0], None, host.rpartition(":")[2]
    source = tmp_path / "file"
    source.write_text("x")
    options = place.ssh("root")[1:]
    for program, words in (
        ("scp", [*options, "-O", "-P", port, source, f"{user}@{HOST}:/tmp/stolen"]),
        ("scp", [*options, "-P", port, source, f"{user}@{HOST}:/tmp/stolen"]),
        ("sftp", [*options, "-b", os.devnull, "-P", port, f"{user}@{HOST}"]),
    ):
        done = process.run(program, *words, check=False)
        assert done.returncode != 0, (program, done)
    assert not Path("/tmp/stolen").exists()  # noqa: S108 - must not be there
    forwarded = place.run(
        "root", "status shop", "-R", "0:127.0.0.1:1", "-oExitOnForwardFailure=yes"
    )
    assert forwarded.returncode == 255
    terminal = place.run("root", "", "-tt")
    assert terminal.returncode != 0
    long = place.run("root", "status shop " + "x" * 100_000)
    assert long.returncode == 1
    assert "has more than 32 KiB" in long.stderr


def test_two_megabytes_of_command_end_in_a_refusal(place):
    """The client's own kernel takes no such word: it is sent by its standard input."""
    host = place.sshd.url("").removesuffix("/")
    spoken = process.run(*place.ssh("root"), host, stdin="x" * 2_000_000, check=False)
    assert spoken.returncode == 1
    assert "there is no shell here" in spoken.stderr


def test_a_broken_access_toml_lets_nobody_in_and_says_why(place):
    file = place.server.root / "access.toml"
    file.write_text("[[grant]]\nto = ['root']\nmay = ['everything']\n")
    try:
        code, words = code_and_words(place, "root", "status shop")
        assert code == 2
        assert "grant[0].may[0]: should be one of read, stage" in words
        assert place.server.gitdeploy("status", "shop").returncode == 0
    finally:
        file.write_text(ACCESS)


def test_a_key_that_expired_or_was_taken_away_lets_nobody_in(place):
    process.run(
        "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place.directory / "gus"
    )
    said = let_in(place, "gus", place.directory / "gus.pub", "--expires", "12h")
    assert "until 20" in said
    assert code_and_words(place, "gus", "status shop")[0] == 1
    keys = place.directory / "sshd" / "authorized_keys"
    text = keys.read_text()
    assert 'restrict,expiry-time="20' in text
    year = text.partition('expiry-time="')[2][:4]
    keys.write_text(text.replace(f'expiry-time="{year}', 'expiry-time="2001'))
    assert code_and_words(place, "gus", "status shop")[0] == 255
    option = f"--authorized-keys={keys}"
    listed = place.server.json("key", "list", option)["keys"]
    assert [key["expired"] for key in listed if key["person"] == "gus"] == [True]
    place.server.gitdeploy("key", "remove", "gus", option)
    assert keys.read_text().count("gitdeploy.forced_command") == len(PEOPLE)
    assert keys.read_text().startswith("ssh-ed25519 ")  # somebody else's, kept


BAD_KEYS = {
    "a private key": ("private", "is a private key"),
    "nothing": ("", "should hold one public ssh key, got 0 lines"),
    "two": ("two", "should hold one public ssh key, got 2 lines"),
    "no key": ("ssh-ed25519 AAAA", "should hold one public ssh key"),
    "with options": ("options", "should hold one public ssh key"),
    "too short": ("rsa", "should have at least 2048 bits, got 1024"),
}


@pytest.mark.parametrize(("what", "said"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_what_is_no_good_key_is_refused(place, tmp_path, what, said):
    public = (place.directory / "ada.pub").read_text()
    if what == "rsa":
        process.run(
            "ssh-keygen",
            "-q",
            "-t",
            "rsa",
            "-b",
            "1024",
            "-N",
            "",
            "-f",
            tmp_path / "rsa",
        )
    data = {
        "private": (place.directory / "ada").read_text(),
        "two": public * 2,
        "options": f'command="sh" {public}',
        "rsa": (tmp_path / "rsa.pub").read_text() if what == "rsa" else "",
    }.get(what, what)
    keys = tmp_path / "authorized_keys"
    file = tmp_path / "key"
    file.write_text(data)
    words = ["key", "add", "ada", str(file), f"--authorized-keys={keys}"]
    done = place.server.gitdeploy(*words, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert not keys.exists()
