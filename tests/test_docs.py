"""What is written holds: README, the annotated deploy.toml, the architecture page."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Work
from support.server import Server

from gitdeploy.cli.main import VERBS
from gitdeploy.config import (
    Limits,
    Notify,
    ServerConfig,
    Steps,
    Submodules,
    parse,
    parse_server,
)
from gitdeploy.config.places import Asking, Listening
from gitdeploy.config.signed import Signed
from gitdeploy.deploy.push import OPTIONS

SOURCE = Path(__file__).resolve().parent.parent
README = (SOURCE / "README.md").read_text()
TOML_BLOCKS = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("verb", [v for verbs in VERBS.values() for v in verbs])
def test_every_verb_stands_in_the_readme(verb: str) -> None:
    assert f"`{verb}`" in README


@pytest.mark.parametrize("option", sorted(set(OPTIONS) - {"skip-checks"}))
def test_every_push_option_stands_in_the_readme(option: str) -> None:
    assert f"`{option}`" in README


def test_the_readme_shows_a_deploy_toml_that_is_one() -> None:
    toml, _, _, live = TOML_BLOCKS
    config = parse(toml.encode(), where="README.md")
    assert [step.title for step in config.build.steps] == ["dependencies", "assets"]
    config = parse(live.encode(), where="README.md")
    assert config.health_for("prod")


def test_the_readme_shows_every_key_of_server_toml_with_its_default() -> None:
    toml = TOML_BLOCKS[1]
    assert parse_server(toml.encode(), where="README.md") == ServerConfig()
    for table in (Limits, Signed, Steps, Submodules, Notify, Asking, Listening):
        for key in set(table.__struct_encode_fields__) - {"webhook"}:
            assert re.search(rf"^(# )?{key} *=", toml, re.MULTILINE), key


def test_the_readme_shows_a_server_toml_that_confines_steps() -> None:
    config = parse_server(TOML_BLOCKS[2].encode(), where="README.md")
    assert config.steps.confine == "require"


PAGES = [
    "README.md",
    "docs/architecture.md",
    "docs/crash-safety.md",
    "docs/maintenance.md",
    "docs/security.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    place = SOURCE / page
    for target in re.findall(r"\]\(([^)#:]+)\)", place.read_text()):
        assert (place.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES[1:])
def test_every_file_of_a_page_about_the_source_exists(page: str) -> None:
    for name in re.findall(r"`([a-z_/]+\.py)`", (SOURCE / page).read_text()):
        places = (SOURCE / name, SOURCE / "gitdeploy" / name)
        assert any(place.exists() for place in places), name


def test_every_test_of_the_crash_safety_page_exists() -> None:
    """A promise without its test is none; the table leaves no fault out."""
    page = (SOURCE / "docs" / "crash-safety.md").read_text()
    tests = "".join(file.read_text() for file in SOURCE.glob("tests/**/test_*.py"))
    named = re.findall(r"`(test_\w+)`", page)
    assert [name for name in named if f"def {name}(" not in tests] == []
    rows = re.findall(
        r"^\| (\d+) \|", page.partition("## Fault by fault")[2], re.MULTILINE
    )
    assert rows == [str(n) for n in range(1, 36)]


def test_every_measure_of_the_security_page_has_its_test() -> None:
    page = (SOURCE / "docs" / "security.md").read_text()
    tests = "".join(file.read_text() for file in SOURCE.glob("tests/**/test_*.py"))
    holds = page.partition("## What holds")[2].partition("## What does not hold")[0]
    rows = [
        line for line in holds.splitlines() if re.match(r"\| (?!against|---)", line)
    ]
    assert len(rows) > 40
    for row in rows:
        _, _, _, where, proof, _ = row.split("|")
        assert "`gitdeploy/" in where, row
        assert re.search(r"`test_\w+`|`tests/", proof), row
    named = re.findall(r"`(test_\w+)`", page)
    assert [name for name in named if f"def {name}(" not in tests] == []
    for place in re.findall(r"`((?:gitdeploy|tests)/[\w/]+(?:\.py|/))`", page):
        assert (SOURCE / place).exists(), place


def test_the_readme_fits_its_promise_on_the_first_screen() -> None:
    """What it is, the two commands, the three git commands."""
    first_screen = "\n".join(README.splitlines()[:24])
    for words in (
        "make demo",
        "make test",
        "git push server main",
        "git push server v1.2",
        "git revert HEAD",
    ):
        assert words in first_screen


def test_gitdeploy_deploys_itself(
    server: Server, make_work: Callable[..., Work]
) -> None:
    """Its own deploy.toml, and a real repository's tree."""
    server.setup("gitdeploy")
    ada = make_work("ada", server.url("gitdeploy"))
    listed = ada.git("-C", str(SOURCE), "ls-files", "-z").stdout.split("\0")
    for name in filter(None, listed):
        file = SOURCE / name
        if file.is_file():
            ada.write(name, file.read_bytes(), file.stat().st_mode & 0o777)
    ada.commit("all of it")
    push = ada.push("main")
    assert push.code == 0, push.output
    release = server.link("gitdeploy-staging")
    assert release is not None
    assert (release / "deploy.toml").read_bytes() == (
        SOURCE / "deploy.toml"
    ).read_bytes()
    assert (release / "hooks" / "post-receive").stat().st_mode & 0o111
