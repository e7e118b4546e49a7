"""The note of the gate: what post-receive believes, and all that it does not."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.git import Work, told
from support.imports import tell_imports
from support.imports import told as imports_told
from support.server import Server

ASKS_THE_LEDGER = "hooks.afterwards"

TAMPERED = {
    "gone": 'rm "$note"',
    "empty": ': > "$note"',
    "cut short": 'truncate -s -1 "$note"',
    "longer": 'echo >> "$note"',
    "of another boot": 'sed -i "1s/^./x/" "$note"',
    "of another namespace": 'sed -i "1s/pid:/pid:1/" "$note"',
    "of another git": 'sed -i "1s/ [0-9]* \\([0-9]*\\)$/ 1 \\1/" "$note"',
    "of the same number, started later": 'sed -i "1s/$/0/" "$note"',
    "of another ref": 'sed -i "2s/main/mail/" "$note"',
    "of another object": 'sed -i "2s/ ./ x/" "$note"',
    "of one ref more": 'sed "2s/main/more/" "$note" > n && sed 1d n >> "$note"',
    "a directory": 'rm "$note" && mkdir "$note"',
}


@pytest.fixture
def shop(server: Server, work: Work) -> Server:
    """An app of one release, whose hooks tell what they import."""
    work.commit("one", page="one")
    assert work.push("main").code == 0
    tell_imports(server)
    return server


def before_post_receive(server: Server, commands: str, last: str = "exec") -> None:
    """Let a shell run commands as soon as git starts post-receive, then the hook."""
    hook = server.repo() / "hooks" / "post-receive"
    real = hook.rename(hook.with_name("real"))
    note = server.root / "shop" / "judged"
    hook.write_text(f"#!/bin/sh\nset -e\nnote='{note}'\n{commands}\n{last} '{real}'\n")
    hook.chmod(0o755)


def asks_the_ledger(work: Work, ref: str = "main") -> bool:
    """Push, and return whether post-receive asked the ledger."""
    push = work.push(ref)
    assert push.code == 0, push.output
    _, after = imports_told(push)
    return ASKS_THE_LEDGER in after.ours


def live(server: Server) -> str:
    link = server.link("shop-staging")
    assert link
    return (link / "page").read_text()


def test_what_the_gate_has_judged_is_not_asked_again(shop: Server, work: Work) -> None:
    """New, unchanged, rolled back, released, deleted: the note says it is done."""
    work.commit("two", page="two")
    assert not asks_the_ledger(work)
    work.commit("the same")
    assert not asks_the_ledger(work)
    work.git("reset", "--quiet", "--hard", "HEAD~2")
    assert not asks_the_ledger(work, "+main")
    assert live(shop) == "one"
    work.tag("v1")
    assert not asks_the_ledger(work, "v1")
    work.commit("two", page="two")
    work.tag("v2")
    assert not asks_the_ledger(work, "v2")
    assert not asks_the_ledger(work, ":v2")


def test_a_push_of_several_refs_has_one_note(shop: Server, work: Work) -> None:
    """Refused ones do not stand in it, as git does not tell post-receive of them."""
    work.commit("two", page="two")
    work.tag("v1")
    push = work.push("main", "v1", "main:refs/heads/other")
    assert push.code == 1
    _, after = imports_told(push)
    assert ASKS_THE_LEDGER not in after.ours
    assert live(shop) == "two"


def test_a_note_that_is_not_just_as_it_was_left_means_nothing(
    shop: Server, work: Work, tmp_path: Path
) -> None:
    """Then the ledger is asked, which knows it all; no push fails for it."""
    tamper = tmp_path / "tamper"
    before_post_receive(shop, f"cd '{shop.root}'; . '{tamper}'; cd '{shop.repo()}'")
    tamper.write_text("true")
    believed = []
    for n, (what, commands) in enumerate({"as it was": "true", **TAMPERED}.items()):
        tamper.write_text(commands)
        work.commit(what, page=f"{n % 2}")
        if not asks_the_ledger(work):
            believed.append(what)
        assert live(shop) == f"{n % 2}"
    assert believed == ["as it was"]
    assert len(shop.history()) == len(TAMPERED) + 2


def test_a_shell_that_git_starts_before_the_hook_is_no_git(
    shop: Server, work: Work
) -> None:
    """It may start the hook for any push, so no note says which one this is."""
    before_post_receive(shop, "true", last="true;")
    work.commit("two", page="two")
    assert asks_the_ledger(work)


def test_the_note_of_an_earlier_push_means_nothing_to_a_later_one(
    shop: Server, work: Work, tmp_path: Path
) -> None:
    """The same update again, with no gate any more: it is deployed."""
    note = shop.root / "shop" / "judged"
    one, two = work.head, work.commit("two", page="two")
    assert not asks_the_ledger(work)
    shutil.copy(note, tmp_path / "note")
    shop.setup("shop", "--no-gate")
    assert work.push(f"+{one}:main").code == 0
    assert live(shop) == "one"
    shutil.copy(tmp_path / "note", note)
    assert f"{one} {two} refs/heads/main" in note.read_text()
    assert work.push("main").code == 0
    assert live(shop) == "two"
    assert [event["new"] for event in shop.history()] == [two, one, two, one]


def test_of_two_pushes_at_once_each_believes_its_own_note_only(
    shop: Server, work: Work, make_work: Callable[..., Work], tmp_path: Path
) -> None:
    """The later gate replaces the note before the first push has read it."""
    held, goes_on = tmp_path / "held", tmp_path / "goes-on"
    os.mkfifo(goes_on)
    wait = f"if mkdir '{held}' 2>&-; then read line < '{goes_on}'; fi"
    before_post_receive(shop, wait)
    bob = make_work("bob", shop.url())
    bob.git("fetch", "--quiet", shop.url(), "main:one")
    work.commit("two", page="two")
    with work.pushing("main") as first:
        with goes_on.open("w") as release:  # waits until the hook reads
            assert not asks_the_ledger(bob, "one:refs/tags/v1")
            release.write("\n")
        push = told(first)
    assert push.code == 0
    _, after = imports_told(push)
    assert ASKS_THE_LEDGER in after.ours
    assert live(shop) == "two"
    assert [event["verdict"] for event in shop.history()] == ["deployed"] * 3


def test_there_and_back_and_there_again_is_deployed_each_time(
    shop: Server, work: Work
) -> None:
    """A note is of one push, whatever the updates of others look like."""
    one, two = work.head, work.commit("two", page="two")
    for commit, page in [(two, "two"), (one, "one"), (two, "two"), (one, "one")]:
        assert not asks_the_ledger(work, f"+{commit}:main")
        assert live(shop) == page


def test_where_the_note_cannot_be_left_the_ledger_is_asked(
    shop: Server, work: Work
) -> None:
    """A note is no reason to fail a push."""
    (shop.root / "shop" / ".judged.new").mkdir()
    work.commit("two", page="two")
    assert asks_the_ledger(work)
    assert live(shop) == "two"


def test_a_note_cannot_be_written_without_git_above(work: Work) -> None:
    """Whoever starts a hook by hand, or in a test, starts a complete deployer."""
    from gitdeploy.hooks import note

    assert note.written(b"") is None
    assert not note.is_ours(str(work.path), b"")
