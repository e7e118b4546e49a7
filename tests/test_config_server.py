"""server.toml: what the server allows, and how a wrong one is told."""

import pytest

from gitdeploy.config import (
    UNBOUNDED,
    Limits,
    RefBounds,
    Submodules,
    parse_server,
)
from gitdeploy.errors import ConfigError


def case(sentence, *values):
    return pytest.param(*values, id=sentence)


def test_a_server_without_a_file_has_the_defaults():
    limits = parse_server(b"", where="server.toml").limits
    assert limits == Limits()
    assert (limits.entries, limits.path_bytes) == (200_000, 1024)
    assert (limits.file_bytes, limits.log_bytes) == (2 * 2**30, 16 * 2**20)


def test_a_size_is_text_or_a_number_of_bytes():
    text = (
        b"[limits]\nfile_bytes = '512MiB'\ntotal_bytes = 20000000000000\n"
        b"log_bytes = '20000000000000B'\n[submodules]\nprotocols = ['file']"
    )
    config = parse_server(text, where="server.toml")
    assert config.limits.file_bytes == 512 * 2**20
    assert config.limits.total_bytes == config.limits.log_bytes == 20_000_000_000_000
    assert config.submodules == Submodules(protocols=("file",))


def test_a_server_bounds_what_deploy_toml_says_of_refs_by_what_it_names():
    config = parse_server(b"[refs]\nstage = ['main']", where="server.toml")
    assert config.refs == RefBounds(stage=("main",))
    assert parse_server(b"", where="server.toml").refs == UNBOUNDED


SIZE = 'should be a size such as "512MiB", or a whole number of bytes'
BYTES = 'should be between 1 byte and "8388607TiB"'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        case(
            "an unknown unit",
            "[limits]\nfile_bytes = '2GB'",
            f"limits.file_bytes: {SIZE}, got '2GB'",
        ),
        case(
            "a size without a unit",
            "[limits]\nfile_bytes = '2'",
            f"limits.file_bytes: {SIZE}, got '2'",
        ),
        case(
            "true as a size",
            "[limits]\nlog_bytes = true",
            f"limits.log_bytes: {SIZE}, got true",
        ),
        case(
            "nothing as a size",
            "[limits]\ntotal_bytes = 0",
            f"limits.total_bytes: {BYTES}, got 0",
        ),
        case(
            "more than a disk can hold",
            "[limits]\ntotal_bytes = '8388608TiB'",
            f"limits.total_bytes: {BYTES}, got '8388608TiB'",
        ),
        case(
            "a count of nothing",
            "[limits]\nrefs = 0",
            "limits.refs: should be a whole number of at least 1, got 0",
        ),
        case(
            "a name longer than any file system has",
            "[limits]\nname_bytes = 256",
            "limits.name_bytes: should be a whole number of at most 255, got 256",
        ),
        case(
            "a protocol that could run commands",
            "[submodules]\nprotocols = ['https', 'ext']",
            "submodules.protocols[1]: should be one of https, ssh, file, got 'ext'",
        ),
        case(
            "a table of deploy.toml",
            "[checkout]\npath = '.'",
            "checkout: should be one of access, health, limits, links, notify, refs,"
            " services, shared, sharing, signed, steps, submodules, windows, got"
            " 'checkout'",
        ),
    ],
)
def test_what_is_wrong_on_the_server_is_named_too(text, problem):
    with pytest.raises(ConfigError) as caught:
        parse_server(text.encode(), where="/srv/shop/server.toml")
    assert caught.value.message == f"/srv/shop/server.toml: {problem}"
