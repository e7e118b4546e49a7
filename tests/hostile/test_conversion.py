"""What git makes of a file is within the limits, whatever its attributes say.

A bomb is refused before a byte of it is written.
"""

import pytest
from support.git import Push, Work
from support.server import Server

from gitdeploy.deploy.conversion import _TIMES

KIB = 1024
LIMITS = "[limits]\nfile_bytes = '600KiB'\ntotal_bytes = '1MiB'\n"
SMALL = 100 * KIB

BOMBS = {
    "ident": ("* ident", b"$Id$", "ident"),
    "an encoding": ("* working-tree-encoding=UTF-32", b"abcd", "working-tree-encoding"),
    "line ends and an encoding": (
        "* text eol=crlf working-tree-encoding=UTF-16",
        b"\n\n\n\n",
        "eol=crlf",
    ),
    "a macro": ("[attr]bomb ident\n* bomb", b"$Id$", "ident"),
    "another encoding": ("* working-tree-encoding=UTF-7", b"\xc3\xa9a\n", "=UTF-7"),
}


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    (server.root / "shop/server.toml").write_text(LIMITS)
    work.commit("fine", page="1")
    assert work.push("main").code == 0
    return server


def pushed(work: Work, attributes: str, **files: bytes) -> Push:
    """Push files as they are: what a client converts is not what is tried here."""
    for name, data in {**files, ".gitattributes": attributes.encode()}.items():
        text = data.decode("utf-8", "surrogateescape")
        id_ = work.git("hash-object", "-w", "--stdin", stdin=text).stdout.strip()
        work.git("update-index", "--add", "--cacheinfo", f"100644,{id_},{name}")
    work.git("commit", "--quiet", "-m", "bomb")
    return work.push("main")


def reason(server: Server) -> str:
    return str(server.history()[0]["reason"])


@pytest.mark.parametrize("how", BOMBS)
def test_a_file_that_would_become_too_large_is_refused(
    shop: Server, work: Work, how: str
) -> None:
    attributes, content, by = BOMBS[how]
    push = pushed(work, attributes, bomb=content * (SMALL // len(content)))
    assert push.code == 1
    assert "'bomb' may have" in reason(shop)
    assert by in reason(shop)
    assert "the limit for one file is 600.0 KiB" in reason(shop)
    assert len(list((shop.root / "shop/releases").iterdir())) == 1


def test_all_that_would_become_too_large_together_is_refused(
    shop: Server, work: Work
) -> None:
    many = {f"f{n}": b"$Id$" * (KIB * 6) for n in range(5)}
    push = pushed(work, "f* ident", **many)
    assert push.code == 1
    assert "the files may have 2.1 MiB as git writes them" in reason(shop)
    assert "ident); the limit is 1.0 MiB" in reason(shop)


def test_what_stands_above_the_folder_that_is_deployed_counts(
    shop: Server, work: Work
) -> None:
    toml = '[checkout]\npath = "site"\n'
    work.commit("bomb", **{".gitattributes": "bomb ident", "deploy.toml": toml,
                           "site/bomb": b"$Id$" * (SMALL // 4)})  # fmt: skip
    assert work.push("main").code == 1
    assert "'bomb' may have" in reason(shop)


def test_attributes_that_are_too_long_to_look_for_words_in_are_asked_of_git(
    shop: Server, work: Work
) -> None:
    (shop.root / "shop/server.toml").write_text("[limits]\nfile_bytes = '2MiB'\n")
    attributes = "# so that it takes long\n" * 50_000 + "bomb ident"
    assert len(attributes) > 2**20
    push = pushed(work, attributes, bomb=b"$Id$" * (SMALL // 2))
    assert push.code == 1
    assert "'bomb' may have" in reason(shop)


def test_attributes_of_the_repository_s_own_count(shop: Server, work: Work) -> None:
    (shop.repo() / "info").mkdir(exist_ok=True)
    (shop.repo() / "info/attributes").write_text("bomb ident\n")
    push = pushed(work, "", bomb=b"$Id$" * (SMALL // 4))
    assert push.code == 1
    assert "'bomb' may have" in reason(shop)


def test_what_is_shared_with_the_release_before_is_looked_at_as_well(
    shop: Server, work: Work
) -> None:
    """The attributes may come later than the file."""
    work.commit("no bomb yet", bomb=b"$Id$" * (SMALL // 4))
    assert work.push("main").code == 0
    push = pushed(work, "* ident")
    assert push.code == 1
    assert "'bomb' may have" in reason(shop)


@pytest.mark.parametrize(
    "attributes",
    ["* text=auto eol=lf", "bomb -ident", "*.c ident", "# ident, eol=crlf"],
)
def test_what_attributes_do_not_convert_may_be_as_large_as_anything(
    shop: Server,  # noqa: ARG001 - its limits
    work: Work,
    attributes: str,
) -> None:
    push = pushed(work, attributes, bomb=b"$Id$" * (590 * KIB // 4))
    assert push.code == 0, push.output


def test_what_is_converted_and_fits_is_deployed(shop: Server, work: Work) -> None:
    files = {"a.txt": b"a\nb\n" * 999, "b.txt": b"$Id$\n", "c.txt": "é\n".encode()}
    more = "* text eol=crlf\nb.txt ident\nc.txt working-tree-encoding=UTF-16LE\n"
    push = pushed(work, more, **files)
    assert push.code == 0, push.output
    live = shop.target / "shop-staging"
    assert (live / "a.txt").stat().st_size == 6 * 999
    assert b"$Id: " in (live / "b.txt").read_bytes()
    assert (live / "c.txt").read_bytes() == "é\r\n".encode("utf-16-le")


@pytest.mark.parametrize(
    ("attributes", "content"),
    [
        ("* ident", b"$Id$"),
        ("* text eol=crlf", b"\n"),
        ("* working-tree-encoding=UTF-32", b"a"),
        ("* working-tree-encoding=UTF-7", b"\xc3\xa9a"),
        ("* ident eol=crlf working-tree-encoding=UTF-32", b"$Id$\n"),
    ],
)
def test_no_file_becomes_larger_than_is_reckoned_with(
    server: Server, work: Work, attributes: str, content: bytes
) -> None:
    data = content * 1000
    push = pushed(work, attributes, it=data)
    assert push.code == 0, push.output
    times = 1
    for name, most in _TIMES.items():
        if name in attributes:
            times *= most
    written = (server.target / "shop-staging/it").stat().st_size
    assert len(data) < written <= len(data) * times + 16


def test_room_is_made_for_what_files_become(shop: Server, work: Work) -> None:
    """A quota counts what will be on the disk."""
    (shop.root / "shop/server.toml").write_text("[limits]\ndisk_bytes = '4MiB'\n")
    push = pushed(work, "* ident", bomb=b"$Id$" * (2**20 // 4))
    assert push.code == 1
    assert "18.0 MiB more are needed; the limit is 4.0 MiB" in reason(shop)
