"""Configuration that means harm: refused with its key, in time, and nothing changes.

What is merely wrong stands in `test_config_refusals`, paths in `test_config_paths`.
"""

import sys
import time

import pytest
from support import process
from support.git import Work
from support.hostile import FILE, LINK, MISSING, MODULE, TREE, UNFIT, Raw, Watched
from support.server import Server

from gitdeploy.config import parse, parse_server
from gitdeploy.config.access import parse_access
from gitdeploy.errors import ConfigError

MOST = 64 * 1024
LIMIT_S = 20.0
"""What reading one may take; most take a few milliseconds."""


def filled(unit, before=b"", after=b""):
    """Return as many of something as fit into the largest file there may be."""
    return before + unit * ((MOST - len(before) - len(after)) // len(unit)) + after


def numbered(line, count, before=b""):
    return before + b"".join(line % n for n in range(count))


KEYS = b"should be one of activate, build"

# what it is, and with what the message goes on behind the file's name
DEPLOY_TOML = {
    "100,000 steps": (b"[[build.steps]]\nrun='a'\n" * 100_000, "should be at most 64 "),
    "as many steps as fit": (
        filled(b"{run='a'},", b"build.steps=[", b"]"),
        "build.steps: should be at most 100 tables, got 6552",
    ),
    "as many empty steps as fit": (
        filled(b"{},", b"build.steps=[", b"]"),
        "build.steps[0].run: should be given",
    ),
    "a header of 30,000 parts": (
        b"[" + b".".join([b"a"] * 30_000) + b"]\n",
        "should be TOML without hundreds of nested values, got more",
    ),
    "dotted keys, each 400 deep": (
        numbered(b".".join([b"a"] * 400) + b".b%d = 1\n", 70),
        "a: should be one of activate, ",
    ),
    "a thousand headers within each other": (
        numbered(b"[" + b".".join([b"a"] * 100) + b".b%d]\n", 280),
        "a: should be one of activate, ",
    ),
    "8,000 unknown keys": (numbered(b"k%d=1\n", 7000), "k0: should be one of"),
    "a key of 60,000 letters": (
        b"[checkout]\n" + b"submodule" * 7000 + b" = 1",
        "checkout.'submodule",
    ),
    "text that never ends": (b'a = """' + b'""\\\n' * 15_000, "should be TOML, got an"),
    "blanks without end": (
        b"a = 1" + b" " * 60_000 + b"x",
        "should be TOML, got an error at line 1, column 60006: expected newline",
    ),
    "a number of 60,000 hexadecimal digits": (
        b"releases.keep = 0x" + b"f" * 60_000,
        "releases.keep: should be a whole number of at most 10000",
    ),
    "a number with an endless exponent": (
        b"releases.keep = 1e999999",
        "releases.keep: should be a whole number, got a number",
    ),
    "no number at all": (b"build.timeout = nan", "build.timeout: should be a duration"),
    "a pattern of 30,000 stars": (
        b"refs.stage = ['" + b"*a" * 30_000 + b"']",
        'refs.stage[0]: should be a pattern of names such as "v*", at most 255',
    ),
    "thousands of patterns": (
        numbered(b"'%d*',", 8000, b"refs.stage = [") + b"]",
        "refs.stage: should be a list of length 100 or less",
    ),
    "one path 10,000 times": (
        filled(b"'a/b',", b"shared.files = [", b"]"),
        "shared.files[1",
    ),
    "a key twice": (
        b"[releases]\nkeep = 1\nkeep = 2\n",
        "should be TOML, got an error at line 3, column 9: cannot overwrite a value",
    ),
    "a table twice": (
        b"[build]\n[build]\n",
        "should be TOML, got an error at line 2, column 7: cannot declare",
    ),
    "a NUL": (b"a\0 = 1", "should be TOML, got an error at line 1, column 2: expected"),
    "a byte order mark": (
        b"\xef\xbb\xbf[refs]\n",
        "should be TOML, got an error at line 1, column 1: invalid statement",
    ),
    "UTF-16": (
        "[refs]\n".encode("utf-16"),
        "should be UTF-8, got 0xff at byte offset 0",
    ),
    "a surrogate": (
        b"a = '\xed\xa0\x80'",
        "should be UTF-8, got 0xed at byte offset 5",
    ),
    "an escape sequence as a key": (
        b'"\x1b[2J" = 1',
        "should be TOML, got an error at",
    ),
    "an escaped escape sequence as a key": (
        b'"\\u001b]0;owned\\u0007" = 1',
        r"'\x1b]0;owned\x07': should be one of",
    ),
    "a key that turns the line around": (
        '"\u202egnp.exe" = 1'.encode(),
        r"'\u202egnp.exe': should be one of",
    ),
    "an escape sequence as a step's name": (
        b'[[build.steps]]\nrun = "a"\nname = "\\u001b[2J"',
        "build.steps[0].name: should be one line of printable characters",
    ),
}


def refusal(read, data):
    began = time.process_time()
    with pytest.raises(ConfigError) as caught:
        read(data, where="it")
    assert time.process_time() - began < LIMIT_S
    assert caught.value.message.isprintable()
    assert caught.value.hint.isprintable()
    assert len(caught.value.message) < 500
    return caught.value.message.removeprefix("it: ")


@pytest.mark.parametrize(("data", "problem"), DEPLOY_TOML.values(), ids=DEPLOY_TOML)
def test_a_hostile_deploy_toml_is_refused_in_time(data, problem):
    assert refusal(parse, data).startswith(problem)


@pytest.mark.parametrize("read", [parse_access, parse_server])
@pytest.mark.parametrize("name", DEPLOY_TOML)
def test_it_is_none_of_the_servers_files_either(read, name):
    refusal(read, DEPLOY_TOML[name][0])


ACCESS_TOML = {
    "a group of groups": (
        b'[groups]\na = ["@b"]\nb = ["@a"]',
        "groups.a[0]: should be a name of at most 40 letters",
    ),
    "a group with the name of another's grant": (
        b'[groups]\n"@a" = ["eve"]\n',
        "groups: should be a name of at most 40 letters, digits",
    ),
    "a person who is an option": (
        b'[[grant]]\nto = ["--root=/"]\nmay = ["read"]',
        "grant[0].to[0]: should be a name of at most 40 letters",
    ),
    "a person with a newline": (
        b'[[grant]]\nto = ["eve\\nroot"]\nmay = ["read"]',
        "grant[0].to[0]: should be a name of at most 40 letters",
    ),
    "everything, by a star": (
        b'[[grant]]\nto = ["eve"]\nmay = ["*"]',
        "grant[0].may[0]: should be one of read, stage",
    ),
    "an action as text": (
        b'[[grant]]\nto = ["eve"]\nmay = "admin"',
        "grant[0].may: should be a list, got text",
    ),
    "a grant that is no list": (
        b'[grant]\nto = ["eve"]\nmay = ["read"]',
        "grant: should be a list, got a table",
    ),
    "a grant to nobody named": (b'[[grant]]\nmay = ["read"]', "grant[0].to: should be"),
}


@pytest.mark.parametrize(("data", "problem"), ACCESS_TOML.values(), ids=ACCESS_TOML)
def test_a_hostile_access_toml_is_refused_with_its_key(data, problem):
    assert refusal(parse_access, data).startswith(problem)


def test_ten_thousand_grants_are_read_in_time():
    began = time.process_time()
    data = filled(b'[[grant]]\nto=["a"]\nmay=["read"]\n')
    assert len(parse_access(data, where="it").grant) > 1500
    assert time.process_time() - began < LIMIT_S


# --- pushed ---------------------------------------------------------------------


def as_file(data, name="deploy.toml"):
    return lambda raw: raw.tree(
        (FILE, name, raw.blob(data)), (FILE, "page", raw.blob("two"))
    )


PUSHED = {
    "70 KB": (as_file(b"#" * 70_000), "should be at most 64 KiB"),
    "100,000 steps": (
        as_file(DEPLOY_TOML["100,000 steps"][0]),
        "should be at most 64 KiB",
    ),
    "6,552 steps": (
        as_file(DEPLOY_TOML["as many steps as fit"][0]),
        "build.steps: should be at most 100 tables, got 6552",
    ),
    "thirty thousand parts": (
        as_file(DEPLOY_TOML["a header of 30,000 parts"][0]),
        "should be TOML without hundreds of nested values, got more",
    ),
    "not UTF-8": (as_file(b"# caf\xe9"), "should be UTF-8, got 0xe9 at byte offset 5"),
    "NUL": (as_file(b"a = 1\nb\0 = 2"), "should be TOML, got an error at line 2, "),
    "an escaped escape sequence": (
        as_file(DEPLOY_TOML["an escaped escape sequence as a key"][0]),
        r"'\x1b]0;owned\x07': should be one of",
    ),
    "a link": (
        lambda raw: raw.tree(
            (LINK, "deploy.toml", raw.blob("page")), (FILE, "page", raw.blob())
        ),
        "should be a file, got a link",
    ),
    "a link to a file of the server": (
        lambda raw: raw.link("deploy.toml", "/etc/passwd"),
        "should be a file, got a link",
    ),
    "a folder": (
        lambda raw: raw.tree((TREE, "deploy.toml", raw.file("a"))),
        "should be a file",
    ),
    "a submodule": (
        lambda raw: raw.tree(
            (MODULE, "deploy.toml", MISSING), (FILE, "page", raw.blob())
        ),
        "'deploy.toml' is a submodule",
    ),
    "a path out of the release": (
        as_file(b'[shared]\ndirs = ["../../blog"]\n'),
        "shared.dirs[0]: should be a path without a part '..'",
    ),
    "an absolute start folder": (
        as_file(b'[checkout]\npath = "/etc"\n'),
        "checkout.path: should be a relative path",
    ),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hostile-toml")
    server, work = Server(directory / "server"), Work.create(directory / "work")
    server.setup("shop")
    work.connect(server.url())
    work.commit("honest", page="one")
    assert work.push("main").code == 0
    return server, work, Watched(server)


@pytest.mark.parametrize(("tree", "problem"), PUSHED.values(), ids=PUSHED)
def test_a_hostile_deploy_toml_is_refused_and_nothing_changes(shop, tree, problem):
    server, work, watched = shop
    raw = Raw(work.path / ".git")
    commit = raw.commit(tree(raw))
    seen, links, refs = watched.seen(), server.links(), server.refs()
    push = work.push(f"+{commit}:refs/heads/main")
    assert push.code == 1
    assert problem in server.history()[0]["reason"]
    assert not UNFIT.search(push.output)
    assert "Traceback" not in push.output
    assert (watched.seen(), server.links(), server.refs()) == (seen, links, refs)


@pytest.mark.parametrize("content", [b"\xff", b"[limits", b'"\\u001b[2J" = 1', b"\0"])
def test_a_broken_server_toml_lets_nothing_be_deployed(shop, content):
    server, work, watched = shop
    place = server.root / "shop/server.toml"
    place.write_bytes(content)
    raw = Raw(work.path / ".git")
    commit = raw.commit(raw.file("page", "two"))
    seen, links, refs = watched.seen(), server.links(), server.refs()
    try:
        push = work.push(f"+{commit}:refs/heads/main")
        assert push.code == 1
        assert "server.toml" in push.output
        assert not UNFIT.search(push.output)
        assert "Traceback" not in push.output
        assert (watched.seen(), server.links(), server.refs()) == (seen, links, refs)
    finally:
        place.unlink()


LETTING_IN = '[[grant]]\nto = ["ada"]\nmay = ["admin"]\n'

BROKEN = {
    "no UTF-8": b"\xff",
    "half a table": b"[[grant",
    "an unknown key": b"[[grants]]\nto = ['ada']",
    "an escape sequence": b'"\\u001b[2J" = 1',
    "too deep": DEPLOY_TOML["a header of 30,000 parts"][0],
    "too large": b"#" * 70_000,
}


@pytest.fixture
def letting_ada_in(shop):
    """What ada gets for a command over ssh, who may do everything."""
    server, _, _ = shop
    place = server.root / "access.toml"
    place.write_text(LETTING_IN)

    def asked(command):
        words = ("-I", "-m", "gitdeploy.forced_command", f"--root={server.root}")
        key = f"--key=SHA256:{'a' * 43}"
        env = {"SSH_ORIGINAL_COMMAND": command}
        return process.run(sys.executable, *words, key, "ada", env=env, check=False)

    assert "shop-dev-1" in asked("status shop").stdout
    yield asked
    place.unlink()


@pytest.mark.parametrize("name", ["access.toml", "shop/server.toml"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_lets_in_nobody_but_the_servers_own_user(
    shop, letting_ada_in, name, content
):
    server, _, watched = shop
    place = server.root / name
    place.write_bytes(content)
    seen = watched.seen()
    try:
        for command in ("status shop", "git-receive-pack 'shop'"):
            done = letting_ada_in(command)
            assert done.returncode == 2, done
            assert name in done.stderr
            assert not UNFIT.search(done.stderr)
            assert "Traceback" not in done.stderr
            assert not done.stdout
        assert server.gitdeploy("status", "shop").returncode == 0
        assert watched.seen() == seen
    finally:
        place.write_text(LETTING_IN if name == "access.toml" else "")
