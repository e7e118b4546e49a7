"""Names and messages that mean harm: of refs, files, commits and who wrote them.

A pattern of deploy.toml takes all of these refs; none is ever run, and no terminal
gets a control character of theirs.
"""

import os
from pathlib import Path

import pytest
from support.git import Work
from support.hostile import FILE, TREE, UNFIT, Raw, Watched
from support.server import Server

RAN = "gitdeploy-ran"

TOML = f"""
[refs]
stage = ["*"]

[[build.steps]]
name = "show"
run = 'printf "ref:%s:\\n" "$GITDEPLOY_REF"; test ! -e {RAN}'
"""

REFS = {
    "an option": "-dash",
    "a long option": f"--exec=touch${{IFS}}{RAN}",
    "a substitution": f"$(touch${{IFS}}{RAN})",
    "back-ticks": f"`touch${{IFS}}{RAN}`",
    "a second command": f"a;touch${{IFS}}{RAN}",
    "a pipe": f"a|touch${{IFS}}{RAN}",
    "in the background": f"a&touch${{IFS}}{RAN}",
    "a quote": f"a'touch${{IFS}}{RAN}'",
    "two quotes": f'a"$(touch${{IFS}}{RAN})"',
    "tags of HTML": "<script>alert(1)</script>",
    "a percent sign": "%00%s%n%0a",
    "not of ASCII": "grüße/日本語",
    "braces": "{a,b}{{c}}",
    "240 bytes": "n" * 240,
    "many folders": "/".join(["d"] * 14),
}

UNSHOWN = {
    "right to left": "a\u202egnp.exe",
    "C1 controls": "a\u009b2J",
    "not UTF-8": "caf\udce9\udcff",
    "a surrogate in UTF-8": "\udced\udca0\udc80",
    "no width at all": "ma\u200bin",
}

LOOKS = (
    ("status", "shop"),
    ("history", "shop"),
    ("releases", "shop", "--all"),
    ("logs", "shop"),
    ("status", "shop", "--json"),
    ("history", "shop", "--json"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile-names")
    server, work = Server(directory / "server"), Work.create(directory / "work")
    server.setup("shop")
    work.connect(server.url())
    work.commit("honest", page="one", **{"deploy.toml": TOML})
    assert work.push("main").code == 0
    return server, work, Raw(work.path / ".git"), Watched(server)


def nothing_ran(directory: Path) -> bool:
    """Whether no name was run, anywhere."""
    return not any(RAN in names for _, _, names in os.walk(directory))


def page_of(raw: Raw, ref: str) -> str:
    """Write a tree that says which ref it is for, and builds."""
    page = ref.encode("utf-8", "surrogateescape")
    return raw.tree(
        (FILE, "deploy.toml", raw.blob(TOML)), (FILE, "page", raw.blob(page))
    )


@pytest.mark.parametrize("ref", REFS.values(), ids=REFS)
def test_a_hostile_branch_is_deployed_by_its_name_and_nothing_more(shop, ref):
    server, work, raw, _ = shop
    push = work.push(f"+{raw.commit(page_of(raw, ref))}:refs/heads/{ref}")
    assert push.code == 0, push.output
    assert not UNFIT.search(push.output)
    live = server.link("shop-dev-1")
    assert (live / "page").read_text() == ref
    assert server.history()[0]["verdict"] == "deployed"
    assert f"refs/heads/{ref}" in server.refs()
    log = (server.root / "shop/logs" / f"{live.name}.log").read_text()
    assert f"ref:refs/heads/{ref}:" in log
    assert nothing_ran(server.root.parent)


@pytest.mark.parametrize("name", ["heads", "tags"])
@pytest.mark.parametrize("ref", UNSHOWN.values(), ids=UNSHOWN)
def test_a_name_that_cannot_be_shown_is_refused(shop, ref, name):
    server, work, raw, watched = shop
    seen, links, refs = watched.seen(), server.links(), server.refs()
    push = work.push(f"+{raw.commit(page_of(raw, ref))}:refs/{name}/{ref}")
    assert push.code == 1
    (status,) = push.statuses.values()
    assert status.reason.endswith("cannot be shown; use another")
    assert not UNFIT.search(status.reason)
    told = "\n".join(line for line in push.remote_lines if line[0] == " ")
    assert not UNFIT.search(told)
    assert (watched.seen(), server.links(), server.refs()) == (seen, links, refs)


@pytest.mark.parametrize("ref", ["$(touch${IFS}a)", "-v1", "`id`", "n" * 240])
def test_a_hostile_tag_releases_what_is_staged(shop, ref):
    server, work, raw, _ = shop
    commit = raw.commit(page_of(raw, ref))
    assert work.push(f"+{commit}:refs/heads/main").code == 0
    push = work.push(f"+{commit}:refs/tags/{ref}")
    assert push.code == 0, push.output
    assert server.history()[0]["ref"] == f"refs/tags/{ref}"
    assert server.link("shop-prod-1") == server.link("shop-dev-1")
    assert nothing_ran(server.root.parent)


def test_a_name_that_is_too_long_for_a_lock_file_is_refused(shop):
    server, work, raw, watched = shop
    commit = raw.commit(raw.file("page", "too long"))
    seen, links, refs = watched.seen(), server.links(), server.refs()
    ref = "n" * 260
    push = work.push(f"+{commit}:refs/heads/{ref}")
    assert push.code == 1
    assert "Traceback" not in push.output
    assert push.status(ref).flag == "!"
    assert (server.links(), server.refs()) == (links, refs)
    assert watched.seen() == seen


# --- messages and files ---------------------------------------------------------

ESCAPES = b"\x1b]0;owned\x07\x1b[2J\x9b2J\xc2\x9b2J\rgone\x08\x7f\xe2\x80\xae\x00"

MESSAGES = {
    "a subject of escape sequences": b"evil " + ESCAPES.replace(b"\0", b"") + b"\n",
    "a subject that looks like an answer": b"x\rremote:   staged   release 99\n",
    "no subject": b"",
    "a subject of 60,000 letters": b"s" * 60_000,
    "a message of 200 KB": b"s" * 200_000,
    "a subject of markup": b"[red]x[/red] [link=http://evil]y[/link] \\[\n",
}


def test_hostile_messages_and_names_are_shown_so_that_no_terminal_obeys(shop):
    server, work, raw, _ = shop
    for message in MESSAGES.values():
        commit = raw.commit(page_of(raw, f"shown {message[:50]!r}"), message)
        push = work.push(f"+{commit}:refs/heads/main")
        assert push.code == 0, push.output
        assert not UNFIT.search(push.output)
        assert max(map(len, push.remote_lines)) <= 80
    for ref in ("-dash", "grüße/日本語", *UNSHOWN.values()):
        commit = raw.commit(page_of(raw, f"shown {ref}"))
        work.push(f"+{commit}:refs/heads/{ref}")
    shown = ""
    for words in LOOKS:
        done = server.gitdeploy(*words)
        assert not UNFIT.search(done.stdout + done.stderr), words
        shown += done.stdout
    assert "-dash" in shown
    assert "grüße/日本語" in shown
    assert r"caf\xe9\xff" in shown


FILES = {
    "escape sequences": ESCAPES.replace(b"\0", b""),
    "a newline": b"a\nremote:   staged\nb",
    "an option": b"-rf",
    "a blank at the end": b"a ",
    "255 bytes": b"n" * 255,
    "a path of git's": b":(exclude)*",
    "a quote and a star": b"\"'*?[]\\",
}


@pytest.mark.parametrize("name", FILES.values(), ids=FILES)
def test_a_hostile_file_is_deployed_byte_for_byte_and_shown_escaped(shop, name):
    server, work, raw, _ = shop
    commit = raw.commit(
        raw.tree(
            *sorted(
                [(FILE, name, raw.blob(b"1")), (TREE, b"d", raw.file(name, b"2"))],
                key=lambda entry: entry[1],
            )
        )
    )
    push = work.push(f"+{commit}:refs/heads/main")
    assert push.code == 0, push.output
    assert not UNFIT.search(push.output)
    live = os.fsencode(server.link("shop-dev-1"))
    assert set(os.listdir(live)) == {name, b"d"}
    assert os.listdir(os.path.join(live, b"d")) == [name]


def test_what_is_wrong_with_a_hostile_file_is_shown_escaped(shop):
    server, work, raw, _ = shop
    name = FILES["escape sequences"]
    push = work.push(f"+{raw.commit(raw.file(name, b'3'))}:refs/heads/main")
    assert push.code == 0, push.output
    place = Path(os.fsdecode(os.fsencode(server.link("shop-dev-1")) + b"/" + name))
    assert server.gitdeploy("verify", "shop").returncode == 0
    place.chmod(0o644)
    place.write_bytes(b"changed")
    for words in (("verify", "shop"), ("plan", "shop", "main"), ("doctor", "shop")):
        done = server.gitdeploy(*words, check=False)
        assert not UNFIT.search(done.stdout + done.stderr)
        assert "Traceback" not in done.stderr
    assert server.gitdeploy("verify", "shop", check=False).returncode == 4
