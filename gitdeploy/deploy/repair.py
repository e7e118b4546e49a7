"""Links, refs and ledger brought back into agreement by somebody who asks for it."""

import os
import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from gitdeploy import links
from gitdeploy.chain import Chain
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.flip import publish, show
from gitdeploy.deploy.maintenance import adopt
from gitdeploy.deploy.recover import missed
from gitdeploy.deploy.report import Report
from gitdeploy.deploy.unseen import catch_up, leave_as_it_is
from gitdeploy.errors import StateError
from gitdeploy.ledger import Ledger
from gitdeploy.model import CHAINS, ChainName, Entry, RefUpdate, Release
from gitdeploy.system import clock, files

__all__ = ["rebuild_from_links", "repair"]

_NAME: Final = re.compile(r"(?P<number>\d+)-(?P<time>\d{8}T\d{6}Z)-[0-9a-z]+")


def repair(
    app: App, report: Report, *, deploys: bool = True, named: Sequence[str] = ()
) -> list[str]:
    """Make links and `refs/deploy/*` show the ledger; deploy what was missed.

    Before that, lock files go that a killed git left. A ref that moved unseen and
    cannot be deployed, or that nobody judged, stays where it is. Called with the lock
    held; taking it has finished what a crash left half done.

    Args:
        app: The app.
        report: Told how far a deployment is that was missed.
        deploys: Whether to deploy what was missed and judged, or only to say so.
        named: Refs to be deployed although nobody judged them.

    Returns:
        Sentences about what was done; empty where all agreed.

    Raises:
        UsageError: There is no ref that is named.

    Changes: links, refs, and whatever the missed updates deploy. Safe to repeat.
    """
    done = [
        f"removed {lock.path}: {lock}" for lock in app.repository.remove_stale_locks()
    ]
    done += [f"linked {app.public.target / name}" for name in show(app)]
    publish(app)  # here, where somebody can mend what keeps git from it
    updates = tuple(missed(app))
    if not updates and not named:
        return done
    if not deploys:
        return [*done, *(f"{u.short} had moved unseen: left as it is" for u in updates)]
    if app.ledger.freeze:
        return [
            *done,
            "refs that moved unseen are not deployed while the app is locked",
        ]
    return [*done, *catch_up(app, report, updates, named)]


def rebuild_from_links(
    app: App, target: Path, *, also: Collection[Path] = ()
) -> list[str]:
    """Write a new ledger from what links, directories and `refs/deploy/*` tell.

    Only what a link shows is taken for a release: about any other directory nobody
    can say whether it is complete. Its number is never given out again.

    Args:
        app: The app, whose ledger is lost.
        target: The directory of its links.
        also: Directories elsewhere that `deploy` had linked, as somebody says.

    Returns:
        Sentences about what was found.

    Changes: a ledger beside, then its name: half a ledger would empty the links. What
        is left of the old one's journal goes before: SQLite would play it into the new.

    Raises:
        StateError: There is a ledger, and nothing needs to be rebuilt; or a link leads
            to what is no release of ours, and nobody said that it is one.
    """
    if app.layout.ledger.exists():
        raise StateError(
            f"{app.layout.ledger} exists; it is not rebuilt over",
            hint=f"gitdeploy repair {app.name}",
        )
    found = {chain: _linked(app, target, chain) for chain in CHAINS}
    for chain, directories in found.items():
        for position, directory in enumerate(directories, start=1):
            link = target / f"{app.name}-{chain}-{position}"
            _check_adoptable(app, link, directory, also)
    beside = app.layout.ledger.with_name("ledger.db.new")
    for path in app.layout.home.glob(f"{beside.name}*"):  # of one that was killed
        files.remove_file(path)
    ledger = Ledger(beside, create=True)
    ledger.set_setting("target", os.path.relpath(target, app.layout.root))
    ledger.set_setting("links", str(max(map(len, found.values())) or 1))
    published = app.repository.refs("refs/deploy/")
    with ledger.transaction():
        _insert(app, ledger, found, published)
        adopt(app, ledger, target)
        ledger.releases.skip_numbers(_highest(app.layout.releases))
        for ref, id_ in app.repository.refs("refs/heads/", "refs/tags/").items():
            there = RefUpdate(ref, "0" * len(id_), id_)
            leave_as_it_is(ledger, app.by, there, "the ledger was lost")
    ledger.close()  # the last to close it leaves one file, with all in it
    for end in ("-wal", "-shm"):
        files.remove_file(app.layout.ledger.with_name(f"{app.layout.ledger.name}{end}"))
    files.replace_file(app.layout.ledger, beside)
    return [
        f"{chain} {position}: {directory.name}"
        for chain, directories in found.items()
        for position, directory in enumerate(directories, start=1)
        if directory != app.layout.empty
    ]


def _linked(app: App, target: Path, chain: ChainName) -> list[Path]:
    """Return what the links of a chain resolve to, head first."""
    found: list[Path] = []
    while True:
        name = f"{app.name}-{chain}-{len(found) + 1}"
        held = links.read(target, [name])[name]
        if held is None:
            return found
        found.append(Path(os.path.normpath(target / held)))


def _check_adoptable(
    app: App, link: Path, directory: Path, also: Collection[Path]
) -> None:
    """Say nothing if a link leads to a release of ours, or to what somebody named.

    A link that was planted would be served for ever: who can write a link into the
    target may not be who may write releases.

    Raises:
        StateError: It leads elsewhere.
    """
    ours = directory.parent == app.layout.releases and _NAME.fullmatch(directory.name)
    if directory == app.layout.empty or not directory.exists():
        return
    if ours and not directory.is_symlink():
        return
    never = app.layout.root.is_relative_to(directory)
    never = never or directory.is_relative_to(app.layout.home)
    if directory in also and not never:
        return
    way_out = f"rm {shlex.quote(str(link))}"
    if not never:
        adopting = f"--adopt {shlex.quote(str(directory))}"
        way_out += f"  or  gitdeploy repair --from-links {app.name} {adopting}"
    raise StateError(
        f"{link} leads to {directory}, which is no release of {app.name};"
        " perhaps somebody deployed it by its path",
        hint=way_out,
    )


def _insert(
    app: App,
    ledger: Ledger,
    found: dict[ChainName, list[Path]],
    published: dict[str, str],
) -> None:
    known: dict[Path, int] = {}
    for chain, directories in found.items():
        entries: list[Entry] = []
        for position, directory in enumerate(directories, start=1):
            if directory == app.layout.empty or not directory.is_dir():
                continue
            commit = published.get(f"refs/deploy/{chain}/{position}")
            if directory not in known:
                known[directory] = _adopt(app, ledger, directory, commit, chain)
            entries.append(Entry(known[directory], commit, None, clock.now()))
        ledger.chains.write(Chain(chain, tuple(entries)))


def _adopt(
    app: App, ledger: Ledger, directory: Path, commit: str | None, chain: ChainName
) -> int:
    """Write a directory that a link shows into the ledger; return its number."""
    match = _NAME.fullmatch(directory.name)
    ours = match and directory.parent == app.layout.releases
    content, tree = f"directory:{directory}", None
    if commit:
        wanted = Wanted.of(read_source(app, "refs/heads/main", commit), chain)
        content, tree = wanted.content, wanted.tree
    if not ours or match is None:
        ledger.releases.skip_numbers(_highest(app.layout.releases))
        begun = ledger.releases.begin(
            content=content, created=clock.now(), suffix="directory", commit=commit
        )
        return ledger.releases.seal(begun, at=clock.now(), path=str(directory)).number
    number = int(match["number"])
    ledger.releases.insert(
        Release(
            number=number,
            name=directory.name,
            commit=commit,
            tree=tree,
            content=content,
            state="ready",
            created=clock.expanded(match["time"]),
            ready=clock.now(),
        )
    )
    return number


def _highest(releases: Path) -> int:
    """Return the highest number that any directory in `releases` has."""
    matches = (_NAME.fullmatch(name) for name in os.listdir(releases))
    return max((int(match["number"]) for match in matches if match), default=0)
