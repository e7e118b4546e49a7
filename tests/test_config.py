"""deploy.toml and server.toml: what is read from them, whatever stands in them."""

import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config import (
    DEFAULTS,
    Config,
    Limits,
    ServerConfig,
    Step,
    parse,
    parse_server,
    unsupported,
)
from gitdeploy.errors import ConfigError

STEP = "[[build.steps]]\nrun = 'a'\n"


def read(text):
    return parse(text.encode(), where="deploy.toml")


def test_an_empty_file_means_the_defaults():
    assert read("") == DEFAULTS
    assert DEFAULTS.refs.stage == ("main", "master")
    assert DEFAULTS.build.timeout_s == 600
    assert DEFAULTS.releases.keep == 10
    assert unsupported(DEFAULTS) == ()


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1.0), ("90s", 90.0), ("10m", 600.0), ("24h", 86_400.0)]
)
def test_a_duration_is_read_as_seconds(text, seconds):
    assert read(f"[build]\ntimeout = '{text}'").build.timeout_s == seconds


def test_a_command_without_a_timeout_has_that_of_build():
    config = read(f"[build]\ntimeout = '2m'\n{STEP}\n{STEP}timeout = '5s'")
    assert [config.limit_s(step) for step in config.build.steps] == [120.0, 5.0]


def test_paths_are_normalised():
    config = read(
        '[checkout]\npath = "site/"\n'
        '[shared]\nfiles = [".env"]\ndirs = ["storage/", "cafe\\u0301"]'
    )
    assert config.checkout.path == "site"
    assert config.shared.files == (".env",)
    assert config.shared.dirs == ("storage", "caf\u00e9")
    assert read('[checkout]\npath = "./"').checkout.path == "."


def test_a_name_that_only_begins_like_another_is_no_overlap():
    assert read("[shared]\ndirs = ['a', 'a-b', 'ab/c', 'a.d/e']").shared.dirs


@pytest.mark.parametrize(
    ("step", "title"),
    [
        (Step(run="npm ci"), "npm ci"),
        (Step(run="\n  make\nmake install"), "make"),
        (Step(run=("npm", "run", "build")), "npm run build"),
        (Step(run="a" * 41), "a" * 39 + "…"),
        (Step(run="a\x1b[2Jb"), "a[2Jb"),
        (Step(run="\x07"), "command"),
    ],
)
def test_a_step_without_a_name_is_called_by_what_it_runs(step, title):
    assert step.title == title


def test_a_given_name_is_the_title():
    assert read(f"{STEP}name = 'assets'").build.steps[0].title == "assets"


def test_the_variables_of_a_chain_replace_the_general_ones():
    config = read("[build.env]\nA = '1'\n[chains.prod.env]\nB = '2'\n")
    assert config.env_for("dev") == {"A": "1"}
    assert config.env_for("prod") == {"B": "2"}
    config.env_for("dev")["A"] = "changed"
    assert config.env_for("dev") == {"A": "1"}
    assert read("build.env.A = '1'\nchains.dev.env = {}").env_for("dev") == {}


def test_what_cannot_be_done_yet_is_named():
    assert unsupported(read("[refs]\npreview = ['x-*']")) == ("refs.preview",)
    assert unsupported(read("[[checks]]\nrun = 'a'\n[refs]\npreview = []")) == ()


def test_a_chain_has_its_own_or_the_general_one():
    config = read(
        "[[checks]]\nrun = 'a'\n[[activate]]\nrun = 'a'\n[[deactivate]]\nrun = 'a'\n"
        "[health]\nurl = 'http://a'\n[build.env]\nA = 'a'\n"
        "[chains.prod]\nchecks = [{run = 'p'}]\nactivate = []\n"
        "deactivate = [{run = 'p'}]\nenv = {}\nhealth = {url = 'http://p'}\n"
        "[chains.dev]\nhealth = 'off'\n"
    )
    assert [check.run for check in config.checks_for("dev")] == ["a"]
    assert [check.run for check in config.checks_for("prod")] == ["p"]
    assert [step.run for step in config.activate_for("dev")] == ["a"]
    assert config.activate_for("prod") == ()
    assert [step.run for step in config.deactivate_for("dev")] == ["a"]
    assert [step.run for step in config.deactivate_for("prod")] == ["p"]
    assert config.health_for("dev") is None
    health = config.health_for("prod")
    assert health
    assert health.url == "http://p"
    assert (config.env_for("dev"), config.env_for("prod")) == ({"A": "a"}, {})
    assert read("[health]\nurl = 'http://a'").health_for("dev")


@pytest.mark.parametrize(
    ("check", "title"),
    [
        ("run = 'a\\nb'", "a"),
        ("serve = 'a'\nurl = '/health'", "/health"),
        ("serve = 'a'\nurl = '/health'\nname = 'it starts'", "it starts"),
    ],
)
def test_a_check_is_called_by_what_it_asks(check, title):
    check = check.replace("'a\\nb'", '"a\\nb"')
    assert read(f"[[checks]]\n{check}").checks[0].title == title


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        DEFAULTS.refs.other = "store"  # type: ignore[misc] - the point of the test


def test_importing_config_reads_no_toml_and_starts_nothing():
    """A hook imports it: what it does not need for the defaults stays out."""
    script = "import gitdeploy.config, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    unwanted = {"tomli", "difflib", "subprocess", "sqlite3", "click", "rich", "pygit2"}
    assert unwanted.isdisjoint(done.stdout.split())


def judged(data):
    """Read bytes as both files: a value or a ConfigError, nothing else."""
    for read_bytes, kind in ((parse, Config), (parse_server, ServerConfig)):
        with suppress(ConfigError):
            assert isinstance(read_bytes(data, where="x"), kind)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    judged(data)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text):
    judged(text.encode(errors="replace"))


def reference():
    """Return deploy.toml with its examples in use."""
    text = (Path(__file__).parent.parent / "deploy.toml").read_text()
    return re.sub(r"(?m)^#: ", "", text)


NAMES = [
    *re.findall(r"(\w+) = ", reference()),
    *Config.__struct_encode_fields__,
    *ServerConfig.__struct_encode_fields__,
    *Limits.__struct_encode_fields__,
]
KEYS = st.sampled_from(NAMES) | st.text(max_size=6)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**63, max_value=2**80),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["10m", "2GiB", "a/b", "auto", "refuse", "http://a", ".git"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)


def toml(value):
    """Write a value as inline TOML."""
    if isinstance(value, dict):
        pairs = (f"{toml(key)} = {toml(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        value = value.encode(errors="replace").decode()
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def document(table):
    lines = [f"{toml(key)} = {toml(value)}" for key, value in table.items()]
    return "\n".join(lines).encode()


def places(found):
    """Yield every place of a tree of tables and lists, as (container, key)."""
    pairs = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in pairs:
        yield found, key
        if isinstance(value, dict | list):
            yield from places(value)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_tables_are_read_or_refused(table):
    judged(document(table))


@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(data):
    table = tomli.loads(reference())
    container, key = data.draw(st.sampled_from(list(places(table))))
    if isinstance(container, dict) and data.draw(st.booleans()):
        key = data.draw(KEYS)
    container[key] = data.draw(VALUES)
    judged(document(table))
