"""A release shares with an earlier one what did not change, and nothing else."""

import errno
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from support import process
from support.disk import xfs
from support.git import Work
from support.server import Server
from support.sharing import ALWAYS, NEVER, STEP, Shop, found_in, same_file
from support.tools import needs

from gitdeploy import manifest, unchanged
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.materialise import materialise
from gitdeploy.deploy.report import Report
from gitdeploy.door import surroundings
from gitdeploy.manifest import Below, File, Folder
from gitdeploy.system import clock, files
from gitdeploy.system.client import Client

NOBODY = 65534


@pytest.fixture
def shop(server: Server, make_work: Callable[..., Work]) -> Shop:
    """An app on the disk that tests run on; its file system knows no clones."""
    server.setup("shop")
    return Shop(server, make_work("ada", server.url()))


def allow_hard_links(shop: Shop) -> None:
    """Let the server heed  share = "always"."""
    text = "[sharing]\nhard_links = true\n"
    (shop.server.root / "shop/server.toml").write_text(text)


@pytest.fixture(params=["second names", "clones"])
def any_shop(
    request: pytest.FixtureRequest, tmp_path: Path, make_work: Callable[..., Work]
) -> Iterator[Shop]:
    """An app on a disk with or without clones."""
    if request.param == "second names":
        shop = request.getfixturevalue("shop")
        assert isinstance(shop, Shop)
        yield shop
        return
    with xfs(tmp_path) as disk:
        server = Server(disk / "root")
        server.setup("shop")
        yield Shop(server, make_work("ada", server.url()))


# --- what is shared ---------------------------------------------------------------


def test_a_push_writes_what_changed_and_shares_the_rest(
    any_shop: Shop, tmp_path: Path
) -> None:
    """And says how much that was; what is there is what git would have written."""
    first = any_shop.stage(a="1", **{"b/c": "2", "b/d/e": "3"})
    pushed = any_shop.push(a="changed")
    assert "1 of 3 files changed" in pushed.output
    second = any_shop.live()
    assert found_in(second) == any_shop.committed(tmp_path / "clone")
    assert (first / "a").read_text() == "1"
    clones = not same_file(first / "b/c", second / "b/c")
    assert clones == (any_shop.server.root.parent.name == "xfs")
    assert (first / "b/c").stat().st_mtime_ns == (second / "b/c").stat().st_mtime_ns
    assert os.access(second / "b/c", os.W_OK) or not clones
    assert "1 of 3 files changed" in any_shop.push(a="once more").output


def test_what_differs_in_any_way_is_written_anew(
    any_shop: Shop, tmp_path: Path
) -> None:
    """Twenty commits of all kinds of change, each compared with a clone of git's."""
    chance = random.Random(20)  # noqa: S311 - the same each time
    work = any_shop.work
    attributes = ("* -text", "*.txt text eol=crlf", "*.txt ident", "* text=auto")
    for n in range(20):
        for _ in range(chance.randrange(1, 4)):
            place = work.path / chance.choice(("", "d", "d/e", "f"))
            path = place / f"{chance.choice('abc')}{chance.choice(('', '.txt'))}"
            kind = chance.choice(("write", "write", "run", "link", "remove", "text"))
            change(work.path, path, kind, n)
        if chance.random() < 0.3:
            where = chance.choice(("", "d"))
            (work.path / where).mkdir(exist_ok=True)
            text = chance.choice(attributes) + "\n"
            (work.path / where / ".gitattributes").write_text(text)
        work.write("always", str(n))
        work.commit(f"{n}")
        live = any_shop.stage()
        assert found_in(live) == any_shop.committed(tmp_path / "clone"), n


def change(top: Path, path: Path, kind: str, n: int) -> None:
    """Change one path of a work tree in one way."""
    for above in reversed(path.relative_to(top).parents):
        if (top / above).is_symlink() or (top / above).is_file():
            (top / above).unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    runs = path.is_file() and not path.is_symlink() and os.access(path, os.X_OK)
    if kind == "run" and path.is_file() and not path.is_symlink():
        path.chmod(0o644 if runs else 0o755)
    elif kind != "run":
        path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(f"to-{n % 3}")
    elif kind in ("write", "text"):
        path.write_text(f"$Id$ {n % 3}\r\nline\n" if kind == "text" else f"{n % 4}\n")


@pytest.mark.parametrize("where", ["the top", "a folder", "the repository"])
def test_a_file_whose_attributes_changed_is_not_shared(shop: Shop, where: str) -> None:
    """The blob is the same, and the file is another one."""
    first = shop.stage(**{"d/page.txt": "one\n", "d/other": "x"})
    rule = "*.txt text eol=crlf\n"
    if where == "the repository":
        (shop.server.repo() / "info").mkdir(exist_ok=True)
        (shop.server.repo() / "info/attributes").write_text(rule)
        second = shop.stage(new="1")
    else:
        folder = "" if where == "the top" else "d/"
        second = shop.stage(**{f"{folder}.gitattributes": rule})
    assert (first / "d/page.txt").read_bytes() == b"one\n"
    assert (second / "d/page.txt").read_bytes() == b"one\r\n"


def test_attributes_above_the_deployed_folder_count(shop: Shop) -> None:
    """With `path`, nothing of what changed is below it."""
    shop.work.write("deploy.toml", '[checkout]\npath = "web"\n')
    first = shop.stage(**{"web/page.txt": "one\n", "web/other": "x"})
    again = shop.stage(beside="changed", **{"web/other": "y"})
    assert same_file(first / "page.txt", again / "page.txt")
    assert (again / "other").read_text() == "y"
    second = shop.stage(**{".gitattributes": "*.txt text eol=crlf\n"})
    assert second != first
    assert (second / "page.txt").read_bytes() == b"one\r\n"
    third = shop.stage(**{"web/other": "z"})
    assert same_file(third / "page.txt", second / "page.txt")


def test_another_folder_has_other_attributes(shop: Shop) -> None:
    """The same blob by the same name, in a release that was made of elsewhere."""
    shop.work.write("deploy.toml", '[checkout]\npath = "a"\n')
    pages = {"a/page.txt": "one\n", "b/page.txt": "one\n"}
    first = shop.stage(**pages, **{".gitattributes": "a/*.txt text eol=crlf\n"})
    shop.work.write("deploy.toml", '[checkout]\npath = "b"\n')
    second = shop.stage("elsewhere", **{"b/other": "x"})
    assert (first / "page.txt").read_bytes() == b"one\r\n"
    assert (second / "page.txt").read_bytes() == b"one\n"


def test_names_of_any_bytes_are_shared(any_shop: Shop, tmp_path: Path) -> None:
    """A newline, bytes that are no text, and names that look like options."""
    for name in (b"new\nline", b"caf\xe9", b"-rf", b"d\xff/\x1b[2J"):
        any_shop.work.write(name, "x")
    any_shop.stage(a="1")
    live = any_shop.stage(a="2")
    assert found_in(live) == any_shop.committed(tmp_path / "clone")


def test_a_release_is_left_whole_by_those_that_are_pruned(shop: Shop) -> None:
    """A name less is not a file less."""
    shop.work.write("deploy.toml", "[releases]\nkeep = 0\n")
    shop.stage(kept="kept", a="0")
    for n in range(1, 6):
        shop.stage(a=str(n))
    assert (shop.live() / "kept").read_text() == "kept"
    left = {path.name for path in (shop.server.root / "shop/releases").iterdir()}
    records = {path.name for path in (shop.server.root / "shop/manifests").iterdir()}
    assert records == left
    assert len(left) < 6


# --- what is not ------------------------------------------------------------------


@pytest.mark.parametrize(
    "edit", ["in place", "replaced", "removed", "linked", "mode", "folder"]
)
def test_a_file_that_somebody_edited_is_not_passed_on(shop: Shop, edit: str) -> None:
    """The new release has what its commit has; the edited one stays as it is."""
    first = shop.stage(**{"d/page": "right", "a": "1"})
    page = first / "d/page"
    if edit == "in place":
        page.chmod(0o644)
        page.write_text("wrong")
        page.chmod(0o444)
    elif edit == "mode":
        page.chmod(0o755)
    elif edit == "folder":
        (first / "d").rename(first / "e")
        (first / "d").symlink_to("e")
    else:
        page.unlink()
    if edit == "replaced":
        page.write_text("wrong")
    elif edit == "linked":
        page.symlink_to("/etc/passwd")
    second = shop.stage(a="2")
    assert (second / "d/page").read_text() == "right"
    assert (second / "d/page").lstat().st_mode == stat.S_IFREG | 0o444


def test_a_file_that_is_somebody_elses_by_now_is_not_passed_on(shop: Shop) -> None:
    """Its owner may write to it, whatever its mode is now."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    first = shop.stage(a="1", theirs="t", ours="o")
    os.chown(first / "theirs", NOBODY, -1)
    second = shop.stage(a="2")
    assert not same_file(first / "theirs", second / "theirs")
    assert (second / "theirs").stat().st_uid == 0
    assert same_file(first / "ours", second / "ours")


def test_a_file_that_may_be_written_to_gets_no_second_name(shop: Shop) -> None:
    """As those of a release that was made to share nothing."""
    shop.work.write("deploy.toml", NEVER)
    first = shop.stage(a="1")
    shop.work.remove("deploy.toml")
    second = shop.stage(b="2")
    assert not same_file(first / "a", second / "a")
    assert (second / "a").stat().st_mode & 0o222 == 0
    third = shop.stage(b="3")
    assert same_file(second / "a", third / "a")


@pytest.mark.parametrize("code", ["EMLINK", "EPERM", "EXDEV", "ENOSPC"])
def test_a_file_that_can_have_no_more_names_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """ext4 lets it have 65,000; a full disk is another matter."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(getattr(errno, code), code)

    source, destination = tmp_path / "source", tmp_path / "destination"
    source.mkdir()
    (source / "a").write_text("a")
    (source / "a").chmod(0o444)
    file = File(b"a", 0o100644, b"id")
    wanted = {b"": Folder(b"", Below(), [file], [], [])}
    had = unchanged.stamp(source, wanted, read_only=True)
    monkeypatch.setattr(files, "link_file", refuse)
    if code == "ENOSPC":
        with pytest.raises(OSError, match=code):
            unchanged.keep(source, had, destination, wanted, clones=False)
        return
    kept = unchanged.keep(source, had, destination, wanted, clones=False)
    assert [*unchanged.unwritten(kept)] == [(b"a", file)]


@pytest.mark.parametrize("record", [None, b"", b"\0" * 4096, "cut", "older"])
def test_without_a_sound_record_everything_is_written(
    shop: Shop, record: bytes | str | None
) -> None:
    """It is of second rank: lost, torn or of another time, it stops nobody."""
    first = shop.stage(a="1", b="2")
    place = shop.record(1)
    whole = place.read_bytes()
    place.unlink()
    if record == "cut":
        place.write_bytes(whole[: len(whole) // 2])
    elif record == "older":
        place.write_bytes(whole[:1] + b"\x00" + whole[2:])
    elif isinstance(record, bytes):
        place.write_bytes(record)
    second = shop.stage(a="3")
    assert not same_file(first / "b", second / "b")
    assert (second / "b").read_text() == "2"
    third = shop.stage(a="4")
    assert same_file(second / "b", third / "b")


def test_a_release_whose_directory_is_gone_gives_nothing(shop: Shop) -> None:
    """The link shows the empty directory; the next push is a whole release."""
    shutil.rmtree(shop.stage(a="1", b="2"))
    assert found_in(shop.stage(a="3")) == {b"a": (0, b"3"), b"b": (0, b"2")}


def test_never_means_that_each_release_has_its_own(any_shop: Shop) -> None:
    """Also its first one may be written to."""
    any_shop.work.write("deploy.toml", NEVER)
    first = any_shop.stage(a="1", b="2")
    second = any_shop.stage(a="3")
    assert not same_file(first / "b", second / "b")
    assert os.stat(second / "b").st_mode & 0o222
    assert "files changed" not in any_shop.push(a="4").output


def test_where_steps_run_only_clones_are_shared(any_shop: Shop) -> None:
    """A step may write to every file of its release, and to no other release's."""
    run = STEP.format(run='for f in a b; do printf %s "-$GITDEPLOY_COMMIT" >> $f; done')
    any_shop.work.write("deploy.toml", run)
    first = any_shop.stage(a="1", b="2")
    before = found_in(first)
    second = any_shop.stage(a="3")
    assert found_in(first) == before
    assert (second / "b").read_text() == f"2-{any_shop.work.oid('HEAD')}"
    assert not same_file(first / "b", second / "b")


@pytest.mark.parametrize("before", ["a step", "a check"])
def test_what_a_command_rewrote_and_made_look_the_same_is_not_passed_on(
    any_shop: Shop, before: str
) -> None:
    """Its size, time and mode tell nothing; the next release has what is committed."""
    table = "[[build.steps]]" if before == "a step" else "[[checks]]"
    evil = "touch -r b t; printf X > b; touch -r t b"
    any_shop.work.write("deploy.toml", f"{table}\nrun = '{evil}'\n")
    first = any_shop.stage(a="1", b="2", c="3")
    assert (first / "b").read_text() == "X"
    any_shop.work.write("deploy.toml", "[[activate]]\nrun = 'true'\n")
    second = any_shop.stage(a="2")
    assert (second / "b").read_text() == "2"
    any_shop.work.remove("deploy.toml")
    third = any_shop.stage(a="3")
    assert (third / "b").read_text() == "2"
    assert not same_file(third / "c", second / "c")
    assert same_file(third / "c", any_shop.stage(a="4") / "c") != clones(any_shop)


def clones(shop: Shop) -> bool:
    """Return whether the shop lies on a disk with clones."""
    return shop.server.root.parent.name == "xfs"


def test_a_record_that_says_nothing_of_commands_is_not_trusted(shop: Shop) -> None:
    """It is of another time, in which checks did not count as somebody who writes."""
    first = shop.stage(a="1", b="2")
    record = manifest.decode(shop.record(1).read_bytes())
    assert record
    assert not record.has_commands
    fields = msgspec.to_builtins(record, builtin_types=(bytes,))
    shop.record(1).write_bytes(msgspec.msgpack.encode(fields[:5]))
    old = manifest.decode(shop.record(1).read_bytes())
    assert old
    assert old.has_commands
    second = shop.stage(a="3")
    assert not same_file(first / "b", second / "b")
    assert same_file(second / "b", shop.stage(a="4") / "b")


def test_what_the_server_does_not_allow_is_copied_and_said(shop: Shop) -> None:
    """The push goes on; the key of server.toml that would allow it is named."""
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="echo mine > b"))
    first = shop.stage(a="1", b="2")
    told = shop.push(a="3")
    assert told.code == 0, told.output
    assert "[sharing] hard_links of server.toml" in told.output
    assert not same_file(first / "a", shop.live() / "a")


# --- nobody writes through a shared file ------------------------------------------


def test_no_other_user_can_change_a_shared_file(shop: Shop, tmp_path: Path) -> None:
    """Whatever the running app tries, as a user of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    first = shop.stage(a="1", b="shared")
    second = shop.stage(a="2")
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and path.is_relative_to("/tmp"):  # noqa: S108
            path.chmod(path.stat().st_mode | 0o011)
    before = found_in(first)
    tried = "echo x > b; echo x >> b; chmod u+w b; truncate -s0 b; mv a b; rm b"
    other = (needs("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups")
    process.run(*other, "sh", "-c", tried, cwd=second, check=False)
    assert found_in(first) == before
    assert (second / "b").read_text() == "shared"


@pytest.mark.parametrize(
    "act",
    [
        "mv b c; printf mine > b",
        "rm -f b; printf mine > b",
        "sed -i s/shared/mine/ b",
        "printf mine > n; mv -f n b",
        "rm -rf b d; mkdir d; printf mine > d/e; printf mine > b",
    ],
)
def test_a_step_may_replace_a_shared_file(shop: Shop, act: str) -> None:
    """That makes a file of its own; the earlier release keeps its."""
    allow_hard_links(shop)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="true"))
    first = shop.stage(a="1", b="shared", **{"d/e": "1", "d/f": "2"})
    before = found_in(first)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run=act))
    second = shop.stage(a="2")
    assert (second / "b").read_text() == "mine"
    assert found_in(first) == before
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="true"))
    assert (shop.stage(a="3") / "b").read_text() == "shared"


@pytest.mark.parametrize(
    "act",
    [
        "echo mine > b",
        "echo mine >> $PWD/b",
        "truncate -s 0 b",
        "chown 1 b",
        "cd d; : > ../b",
        "cp a b",
    ],
)
def test_a_step_that_writes_to_a_shared_file_fails_with_two_ways_out(
    shop: Shop, act: str
) -> None:
    """As root too: the privilege to override modes is taken from it."""
    allow_hard_links(shop)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="true"))
    first = shop.stage(a="1", b="shared", **{"d/e": "1"})
    before = found_in(first)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run=act))
    refused = shop.push(c="x")
    assert refused.code == 1
    assert found_in(first) == before
    hint = " ".join(line.strip() for line in refused.remote_lines)
    assert "b is shared with other releases and read-only: write a new file" in hint
    assert 'rename it over it, or set  [checkout] share = "never"' in hint


@pytest.mark.parametrize(
    "act", ["chmod u+w b; echo mine > b", "chmod 600 b", "chmod u+w b; >> b; exit 1"]
)
def test_what_the_owner_changes_in_place_is_put_right(shop: Shop, act: str) -> None:
    """The release fails, and every earlier one has what its commit has."""
    allow_hard_links(shop)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="true"))
    releases = [shop.stage(a=str(n), b="shared", c="c") for n in range(3)]
    before = [found_in(release) for release in releases]
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run=act))
    refused = shop.push(a="x")
    assert refused.code == 1
    reason = refused.status("refs/heads/main").reason
    assert "a step changed 'b' in place" in reason, refused.output
    assert 'share = "never"' in refused.output
    assert [found_in(release) for release in releases] == before
    assert all(os.stat(r / "b").st_mode & 0o777 == 0o444 for r in releases)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="true"))
    after = shop.stage(a="y")
    assert (after / "b").read_text() == "shared"
    assert same_file(after / "b", releases[-1] / "b")


def test_no_step_starts_in_the_moment_of_the_last_file(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it changes has a later time: the kernel's clock for files ticks slowly."""
    shop.stage(a="1", b="2")
    waited: list[int] = []
    monkeypatch.setattr(clock, "wait_past", waited.append)
    with App.open(shop.server.root, "shop", surroundings(os.environ), "ada") as app:
        source = read_source(app, "refs/heads/main", shop.work.head)
        made = tmp_path / "made"
        materialise(app, Wanted.of(source, "dev"), made, Report(Client(None)))
    assert waited == [made.stat().st_ctime_ns]
    assert waited[0] >= max(path.stat().st_ctime_ns for path in made.iterdir())


def test_what_is_put_right_vouches_for_nothing_else(shop: Shop) -> None:
    """Not for what a step of that release made of another file."""
    allow_hard_links(shop)
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="rm -f b; echo my > b"))
    shop.stage(a="1", b="right", c="c")
    act = "chmod u+w c; echo mine > c"
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run=act))
    assert shop.push(a="2").code == 1
    shop.work.write("deploy.toml", ALWAYS + STEP.format(run="true"))
    assert (shop.stage(a="3") / "b").read_text() == "right"


def test_what_is_seeded_from_a_shared_file_can_be_written_to(shop: Shop) -> None:
    """What outlives releases is nobody's second name, and not read-only."""
    shop.stage(a="1", **{"storage/keep": "k", "settings": "s"})
    toml = '[shared]\nfiles = ["settings"]\ndirs = ["storage"]\n'
    second = shop.stage(**{"deploy.toml": toml})
    for name in ("settings", "storage/keep"):
        assert (second / name).stat().st_nlink == 1
        assert (second / name).stat().st_mode & 0o200
    assert (shop.release(1) / "settings").read_text() == "s"
