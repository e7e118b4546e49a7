"""deploy.toml at the top of this project is the reference: complete and true."""

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest
import tomli

from gitdeploy.config import (
    DEFAULTS,
    Check,
    Config,
    Run,
    Service,
    parse,
    unsupported,
)
from gitdeploy.config.declared import declares_commands

REFERENCE = Path(__file__).parent.parent / "deploy.toml"


def read(text):
    return parse(text.encode(), where="deploy.toml")


def structs_within(kind):
    """Every struct that a type can hold, itself included."""
    if isinstance(kind, msgspec.inspect.StructType):
        yield kind
        for field in kind.fields:
            yield from structs_within(field.type)
    for name in ("types", "item_types"):
        for part in getattr(kind, name, ()):
            yield from structs_within(part)
    if hasattr(kind, "item_type"):
        yield from structs_within(kind.item_type)


def uses(kind, found):
    """Every (struct, key) that what was read from TOML makes use of."""
    for item in found if isinstance(found, list) else [found]:
        for struct in top_structs(kind) if isinstance(item, dict) else ():
            for field in struct.fields:
                if field.encode_name in item:
                    yield struct.cls, field.encode_name
                    yield from uses(field.type, item[field.encode_name])


def top_structs(kind):
    if isinstance(kind, msgspec.inspect.StructType):
        return [kind]
    parts = [*getattr(kind, "types", ()), *filter(None, [inner(kind)])]
    return [struct for part in parts for struct in top_structs(part)]


def inner(kind):
    return getattr(kind, "item_type", None)


def with_examples(text):
    return re.sub(r"(?m)^#: ", "", text)


def test_the_reference_is_the_defaults():
    assert parse(REFERENCE.read_bytes(), where="deploy.toml") == DEFAULTS


def test_the_reference_shows_every_key():
    text = with_examples(REFERENCE.read_text())
    read(text)
    config = msgspec.inspect.type_info(Config)
    known = {
        (struct.cls, field.encode_name)
        for struct in structs_within(config)
        for field in struct.fields
    }
    assert len(known) > 40
    assert set(uses(config, tomli.loads(text))) == known


def test_the_reference_has_a_comment_above_every_key():
    lines = REFERENCE.read_text().splitlines()
    for above, line in pairwise(lines):
        if re.match(r"\w+ = |\[", line):
            assert re.match(r"# ", above), line


def test_the_reference_says_what_is_not_supported_yet():
    text = REFERENCE.read_text()
    for path in unsupported(read(with_examples(text))):
        key = re.escape(path.rpartition(".")[2])
        paragraphs = [p for p in text.split("\n\n") if re.search(rf"\b{key}\b", p)]
        assert any("not supported yet" in p.lower() for p in paragraphs), path


def test_every_field_has_its_words():
    """A docstring stands below each field of the two schemas."""
    for name in ("schema.py", "server.py"):
        path = Path(sys.modules[Config.__module__].__file__).with_name(name)
        lines = path.read_text().splitlines()
        for above, line in pairwise(lines):
            if re.match(r"    \w+: ", above):
                assert line.startswith('    """'), above


def test_every_table_that_holds_a_command_counts_as_one() -> None:
    """A new kind of command has to be known before it can be declared."""
    structs = {s.cls for s in structs_within(msgspec.inspect.type_info(Config))}
    for cls in structs:
        hints = get_type_hints(cls)
        commands = [name for name, hint in hints.items() if holds_command(hint)]
        known = issubclass(cls, Run | Check | Service)
        assert known == bool(commands), (cls, commands)


def holds_command(hint: object) -> bool:
    parts = get_args(hint) or (hint,)
    return {str, tuple[str, ...]} <= {*parts}


DECLARING = {
    "nothing": ("", False),
    "no command": ("[releases]\nkeep = 3\n[build]\ntimeout = '1m'\n", False),
    "health": ("[health]\nurl = 'http://localhost/'\n", False),
    "a step": ("[[build.steps]]\nrun = 'x'\n", True),
    "a check": ("[[checks]]\nrun = 'x'\n", True),
    "a check that serves": ("[[checks]]\nserve = 'x'\nurl = '/'\n", True),
    "activate": ("[[activate]]\nrun = 'x'\n", True),
    "deactivate": ("[[deactivate]]\nrun = 'x'\n", True),
    "a service": ("[[services]]\nname = 'x'\nrun = 'x'\nlisten = 'x.sock'\n", True),
    "a check of dev": ("[[chains.dev.checks]]\nrun = 'x'\n", True),
    "deactivate of prod": ("[[chains.prod.deactivate]]\nrun = 'x'\n", True),
    "a service of prod": (
        "[[chains.prod.services]]\nname = 'x'\nrun = 'x'\nlisten = 'x.sock'\n",
        True,
    ),
}


@pytest.mark.parametrize(("text", "expected"), DECLARING.values(), ids=DECLARING)
def test_any_command_of_any_chain_is_a_command(text: str, expected: object) -> None:
    assert declares_commands(read(text)) is expected
