"""What must hold of each reader, whatever it is given; a target takes any bytes.

A target says nothing where all holds. An AssertionError is a broken promise, and any
other exception one that the reader does not document.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from io import BytesIO
from pathlib import Path

import click

from fuzz.seeds import FINGERPRINT, KEY
from gitdeploy import authorized_keys, ssh_command
from gitdeploy.access import answer, rights_of
from gitdeploy.config import Config, parse, parse_server
from gitdeploy.config.access import ACTIONS, parse_access
from gitdeploy.config.values import BadValueError
from gitdeploy.config.windows import Window, opening
from gitdeploy.errors import ConfigError, SystemFailed, UsageError
from gitdeploy.hooks.pkt_line import read_lines, write_lines
from gitdeploy.key_lines import FORCED
from gitdeploy.repository import subject_of
from gitdeploy.system.terminal import printable
from gitdeploy.tree import objects

Target = Callable[[bytes], None]

APPS = ("shop", "blog-de")
ROOT = Path("/srv")
WHERE = "the file"
NOW = datetime(2026, 3, 29, 1, 15, tzinfo=UTC)
"""The clocks of Europe go forward in this hour."""

UNFIT = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")


# --- over ssh -------------------------------------------------------------------


def ssh_command_(data: bytes) -> None:
    """Only a known app and verb are named, and click reads the same words alike."""
    asked = ssh_command.read(data.decode("utf-8", "surrogateescape"), APPS)
    if isinstance(asked, ssh_command.No):
        assert asked.reason.isprintable()
        assert asked.hint.isprintable()
        return
    assert asked.app in APPS
    if isinstance(asked, ssh_command.GitAsked):
        assert asked.program in ("receive-pack", "upload-pack")
        return
    assert asked.verb in ssh_command.VERBS
    assert set(asked.needs) <= set(ACTIONS)
    _click_agrees(asked)


def _click_agrees(asked: ssh_command.VerbAsked) -> None:
    command = import_module(f"gitdeploy.cli.{asked.verb}").command
    words = [f"--root={ROOT}", *asked.words]
    try:
        context = command.make_context(asked.verb, words)
    except click.ClickException:
        return  # click refuses more than we do
    assert context.params["root"] == ROOT
    assert context.params["app"] == asked.app
    assert not context.params.get("show")
    if "chain" in context.params and ssh_command.VERBS[asked.verb].on_chain:
        assert context.params["chain"] == asked.chain


def pkt_line(data: bytes) -> None:
    """What was read is written and read again; what is cut off is no line."""
    with suppress(SystemFailed):
        lines = list(read_lines(BytesIO(data)))
        _same_again([line for line in lines if len(line) < 65_000])
    _same_again(data.split(b"\n"))


def _same_again(lines: list[bytes]) -> None:
    stream = BytesIO()
    write_lines(stream, lines)
    stream.seek(0)
    assert list(read_lines(stream)) == lines
    assert not stream.read()


# --- files of TOML --------------------------------------------------------------


def deploy_toml(data: bytes) -> None:
    """It is a configuration within its bounds, or a sentence with the file's name."""
    config = _read(parse, data)
    if isinstance(config, Config):
        assert len(config.build.steps) <= 100
        assert len(config.refs.stage) <= 100
        assert 0 <= config.releases.keep <= 10_000
        for path in (*config.shared.files, *config.shared.dirs, config.checkout.path):
            assert not path.startswith("/")
            assert path == "." or not {"", ".", "..", ".git"} & set(path.split("/"))
            assert not re.search("[\x00-\x1f\x7f-\x9f]", path)
        for step in config.build.steps:
            assert 1 <= (step.timeout_s or config.build.timeout_s) <= 86_400
            assert step.title.isprintable()
        for name in config.build.env:
            assert name.isidentifier()
            assert not name.startswith(("GIT_", "GITDEPLOY_"))


def access_toml(data: bytes) -> None:
    """Nobody is let in whom no grant names."""
    access = _read(parse_access, data)
    if access is None:
        return
    named = {name.removeprefix("@") for grant in access.grant for name in grant.to}
    named |= {name for group in access.groups.values() for name in group}
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in named)
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) for name in access.groups)
    stranger = rights_of("not.named", "shop", [(WHERE, access)])
    assert "not.named" in named or not stranger.letting_in
    for person in named:
        rights = rights_of(person, "shop", [(WHERE, access)])
        for action in ACTIONS:
            if answer(rights, action, "refs/heads/main").allowed:
                assert any(grant.may for _, grant in rights.grants)


def server_toml(data: bytes) -> None:
    """Limits are numbers above nothing, and windows open some time."""
    server = _read(parse_server, data)
    if server is None:
        return
    assert 1 <= server.limits.entries < 2**31
    assert 1 <= server.limits.depth <= 1024
    assert 1 <= server.limits.file_bytes < 2**63
    for chain in ("dev", "prod"):
        opens = opening(server.windows.of(chain), NOW)
        assert opens is None or opens > NOW


def _read(read, data):
    try:
        return read(data, where=WHERE)
    except ConfigError as caught:
        error = caught
    assert error.message.startswith(f"{WHERE}: ")
    assert error.message.isprintable()
    assert error.hint.isprintable()
    assert len(error.message) < 1000
    return None


# --- keys -----------------------------------------------------------------------


def authorized_keys_(data: bytes) -> None:
    """Lines of others stay byte for byte; what is added is found, and taken away."""
    text = data.decode("utf-8", "surrogateescape")
    before = authorized_keys.keys_in(text)
    fingerprints = {key.fingerprint for key in before}
    emptied = authorized_keys.without(text, fingerprints)
    assert authorized_keys.keys_in(emptied) == []
    assert _others(emptied) == _others(text)
    key = authorized_keys.Key("zoe", f"ssh-ed25519 {KEY}", _fingerprint(), "zoe@home")
    try:
        added = authorized_keys.with_key(
            text, key, python="/usr/bin/python3", root=ROOT
        )
    except UsageError:
        assert KEY in text
        return
    assert _others(added) == _others(text)
    mine = [one for one in authorized_keys.keys_in(added) if one.text == key.text]
    assert [(one.person, one.comment) for one in mine] == [("zoe", "zoe@home")]
    assert added.endswith("\n")
    taken = authorized_keys.without(added, {key.fingerprint})
    assert _others(taken) == _others(text)
    assert all(one.text != key.text for one in authorized_keys.keys_in(taken))


def _others(text: str) -> list[str]:
    """Return the lines, as sshd sees lines, that are certainly not ours."""
    return [line for line in text.split("\n") if line and FORCED not in line]


def _fingerprint() -> str:
    line = f'restrict,command="x gitdeploy.forced_command y" ssh-ed25519 {KEY}'
    (key,) = authorized_keys.keys_in(line)
    assert len(key.fingerprint) == len(FINGERPRINT)
    return key.fingerprint


# --- what else strangers write ----------------------------------------------------


def windows(data: bytes) -> None:
    """A window opens before it closes, within the week."""
    try:
        window = Window.read(data.decode("utf-8", "surrogateescape"))
    except BadValueError as caught:
        assert_shown(caught)
        return
    for days in range(9):
        moment = NOW - timedelta(days=days)
        times = window.around(moment)
        assert all(opens < closes for opens, closes in times)
        opens = opening([window], moment)
        assert opens is None or moment < opens <= moment + timedelta(days=15)


def assert_shown(error: Exception) -> None:
    assert str(error).isprintable()


def commit(data: bytes) -> None:
    """A subject is one line, and what is shown of it acts on no terminal."""
    subject = subject_of(data)
    assert "\n" not in subject
    assert not UNFIT.search(printable(subject))
    printable(subject).encode()


def tree(data: bytes) -> None:
    """A tree is its entries and nothing else, or no tree."""
    try:
        entries = list(objects._entries(data))  # noqa: SLF001 - what reads every tree
    except ValueError:
        return
    assert all(len(entry.id) == 20 and b"\0" not in entry.name for entry in entries)
    names = sum(len(entry.name) + 22 for entry in entries)
    modes = len(data) - names
    assert modes >= len(entries)


TARGETS: Mapping[str, Target] = {
    "ssh_command": ssh_command_,
    "pkt_line": pkt_line,
    "deploy_toml": deploy_toml,
    "access_toml": access_toml,
    "server_toml": server_toml,
    "authorized_keys": authorized_keys_,
    "windows": windows,
    "commit": commit,
    "tree": tree,
}
