"""The pages of docs/recipes, followed to the letter on this machine."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.recipes import (
    PAGES,
    Block,
    Claim,
    Machine,
    machine,
    needs_wheels,
    parts,
)
from support.tools import needs

from gitdeploy.config import parse

LARAVEL = Path(__file__).parent / "support" / "laravel"


@pytest.fixture
def debian() -> Iterator[Machine]:
    """A machine whose home has a short name: sockets lie below it (unix(7))."""
    home = Path(tempfile.mkdtemp(prefix="recipe-"))
    home.chmod(0o755)
    try:
        with machine(home) as running:
            yield running
    finally:
        shutil.rmtree(home)


def test_a_static_site_is_generated_and_served(debian: Machine) -> None:
    needs_wheels()
    debian.follow("static-site.md")


def test_php_is_served_and_new_at_once(debian: Machine) -> None:
    needs("php")
    debian.follow("php-fpm.md")


def test_with_document_root_php_goes_on_with_the_old_release(debian: Machine) -> None:
    """What the page says of it is so: one worker, asked by either path."""
    needs("php")
    careless: list[tuple[str, str]] = []

    def ask(claim: Claim) -> None:
        url = claim.url.replace("//", "//careless.")
        careless.append((claim.says, debian.get(url).strip()))

    debian.follow("php-fpm.md", edit=_with_careless_servers, at_each=ask)
    shown = ("Hello", "Hello")
    stale = ("Good morning", "Hello")
    assert careless == [shown, shown, stale, shown, shown]


def _with_careless_servers(text: str) -> str:
    if "pm = dynamic" in text:
        one = text.replace("pm = dynamic", "pm = static")
        return one.replace("max_children = 8", "max_children = 1")
    careless = text.replace("$realpath_root", "$document_root")
    return text + careless.replace("server_name ", "server_name careless.")


def test_laravel_is_migrated_there_and_back(debian: Machine) -> None:
    """By real composer, SQLite and PHP-FPM; the framework is a stand-in."""
    needs("php")
    needs("composer")
    shutil.copytree(LARAVEL, debian.work, dirs_exist_ok=True)
    debian.run("composer update --quiet")
    said = debian.follow("laravel.md")
    migration = "2026_02_01_000000_create_orders_table"
    told = [text for text in said if f"{migration} DONE" in text]
    assert len(told) == 2, "up, and down again"
    assert any(f"{migration} Ran" in text for text in said)
    back = sqlite3.connect(debian.home / "gitdeploy/shop/shared/storage/shop.sqlite")
    asked = back.execute("SELECT name FROM sqlite_master")
    assert ("orders",) not in asked.fetchall()
    back.close()


def test_django_is_migrated_there_and_back(debian: Machine) -> None:
    needs_wheels()
    with debian.services("shop"):
        said = debian.follow("django.md")
    told = "".join(said)
    assert "Applying orders.0002_order_paid... OK" in told
    assert "Unapplying orders.0002_order_paid... OK" in told
    for chain in ("dev", "prod"):
        place = debian.home / f"gitdeploy/shop/shared-{chain}/storage/shop.sqlite"
        database = sqlite3.connect(place)
        columns = [
            row[1] for row in database.execute("PRAGMA table_info(orders_order)")
        ]
        database.close()
        assert columns == ["id", "made_at"]


def test_fastapi_is_served_by_uvicorn(debian: Machine) -> None:
    needs_wheels()
    with debian.services("shop"):
        debian.follow("fastapi.md")


def test_express_is_served_by_node(debian: Machine) -> None:
    needs("npm")
    with debian.services("shop"):
        debian.follow("express.md")


@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("[a-z]*.md")))
def test_every_deploy_toml_of_a_recipe_is_one(page: str) -> None:
    files = [one for one in parts(page) if isinstance(one, Block)]
    (toml,) = [one.text for one in files if one.name == "deploy.toml"]
    parse(toml.encode(), where=page)
