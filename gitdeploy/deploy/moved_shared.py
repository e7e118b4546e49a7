"""What dev and prod share with nobody else, moved out of what the app shares.

It used to lie in there, as `shared/dev` and `shared/prod`, where commands of any
release could reach both.
"""

import os
import shlex
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from gitdeploy.deploy.app import SHARED_MOVED, App
from gitdeploy.deploy.content import chain_in
from gitdeploy.deploy.facts import read_source
from gitdeploy.deploy.placed import NO_REF
from gitdeploy.errors import ReleaseFailed, StateError
from gitdeploy.ground import Ground
from gitdeploy.model import CHAINS, ChainName, Release
from gitdeploy.shared import targets
from gitdeploy.system import files, ground

__all__ = ["check_moved", "move_shared"]


def check_moved(app: App) -> None:
    """Say nothing if commands of one chain cannot reach what is the other's own.

    Raises:
        ReleaseFailed: They could; `setup` mends that.
    """
    if app.shared_is_unmoved:
        raise ReleaseFailed(
            "the shared files of dev and prod still lie where both reach them",
            hint=f"on the server: gitdeploy setup {app.name}",
        )
    app.ledger.set_setting(SHARED_MOVED, "yes")


def move_shared(app: App) -> list[str]:
    """Move what is a chain's own out of what the app shares; return sentences of it.

    At every instant each link of each release leads to what it led to before: the
    directory and a link to it change names in one step (renameat2(2)), then each
    release gets links to its new place, and only then the old one goes.

    Args:
        app: The app, whose lock is held.

    Changes: the directories, links of releases, then a setting. Safe to repeat after
        a crash at any point.

    Raises:
        StateError: Something lies in the way that somebody has to look at.
    """
    done: list[str] = []
    if app.shared_is_unmoved:
        users = _users(app)
        for chain in CHAINS:
            done += _move(app, chain, users[chain])
    app.ledger.set_setting(SHARED_MOVED, "yes")
    return done


def _users(app: App) -> dict[ChainName, list[tuple[Release, dict[str, str]]]]:
    """Return for each chain the releases that have its own, with their new links.

    Raises:
        StateError: A name of the two is also one that a deploy.toml gave to a folder,
            or what a release shares cannot be read any more.
    """
    users = defaultdict[ChainName, list[tuple[Release, dict[str, str]]]](list)
    for release in app.ledger.releases.made_here():
        if release.commit is None or not app.directory(release).is_dir():
            continue
        source = read_source(app, NO_REF, release.commit)
        if source.trouble or source.tree is None:
            _check_failed(app, release)
            continue
        config = source.config.shared
        if chain := chain_in(release.content):
            place = app.layout.shared_of("chain", chain)
            wanted = targets(
                app.directory(release), place, config, anchor=app.layout.home
            )
            users[chain].append((release, wanted))
        else:
            _check_apart(app, release, (*config.files, *config.dirs))
    return users


def _check_failed(app: App, release: Release) -> None:
    """Refuse to guess what a release shares that somebody may go back to."""
    if release.state == "ready":
        raise StateError(
            f"release {release.number}: its deploy.toml cannot be read any more",
            hint=f"gitdeploy doctor {app.name}",
        )


def _check_apart(app: App, release: Release, paths: Iterable[str]) -> None:
    for path in paths:
        if path.partition("/")[0] in CHAINS:
            raise StateError(
                f"release {release.number} shares {path}, where other releases have"
                " what is a chain's own",
                hint=f"gitdeploy prune {app.name} --keep 0",
            )


def _move(
    app: App, chain: ChainName, users: list[tuple[Release, dict[str, str]]]
) -> list[str]:
    old, new = Ground(app.layout.shared, chain), app.layout.shared_by(chain)
    link = os.path.relpath(new, app.layout.shared)
    kind = ground.kind_of(old)
    if kind == "missing":
        return []
    if kind == "directory":
        _exchange(old, new, link)
    elif ground.link_at(old) != link or not _is_directory(new):
        raise _in_the_way(Path(str(old)))
    for release, wanted in users:
        _link_anew(app, release, wanted, chain)
    ground.remove_link(old)
    return [f"moved {old} to {new}; services that run see it after a restart"]


def _exchange(old: Ground, new: Path, link: str) -> None:
    """Let a directory have its new name, and its old one be a link to there."""
    if os.path.lexists(new) and not new.is_symlink():
        raise _in_the_way(new)
    files.replace_link(new, link)  # leads nowhere yet, and nobody uses it
    with ground.directory(old.parent) as parent:
        files.exchange(old.name, new, parent)
    if not _is_directory(new):
        raise _in_the_way(new)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _in_the_way(path: Path) -> StateError:
    return StateError(
        f"{path} is in the way of what dev or prod shall have for itself",
        hint=f"look, then move it away: ls -ld {shlex.quote(str(path))}",
    )


def _link_anew(
    app: App, release: Release, wanted: dict[str, str], chain: ChainName
) -> None:
    """Let a release's links lead to the new place; others are not touched."""
    old, new = (
        os.path.relpath(str(place), app.layout.home)
        for place in (
            Ground(app.layout.shared, chain),
            app.layout.shared_of("chain", chain),
        )
    )
    for path, target in wanted.items():
        place = Ground(app.directory(release), path)
        was = target.replace(f"/{new}/", f"/{old}/", 1)
        if ground.link_at(place) == was:
            ground.replace_link(place, target)
