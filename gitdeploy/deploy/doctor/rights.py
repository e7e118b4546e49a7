"""Directories that are missing, and who may read and write what there is."""

import os
import pwd
import shlex
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.permissions import Wrong, own_places, wrong
from gitdeploy.deploy.report import Report
from gitdeploy.ground import Ground
from gitdeploy.layout import Layout
from gitdeploy.model import CHAINS
from gitdeploy.modes import in_home
from gitdeploy.shared import ENV
from gitdeploy.system import files, ground
from gitdeploy.system.disk import user_name

__all__ = ["findings", "unreadable"]

_READ_ENTER: Final = 5
_ALL: Final = 7


def unreadable(layout: Layout) -> bool:
    """Return whether we cannot look into the app's own places at all."""
    places = [path for path in (layout.home, layout.repository) if path.exists()]
    return not all(os.access(path, os.R_OK | os.X_OK) for path in places)


def findings(app: App) -> Iterator[Finding]:
    """Yield every place that is missing, or that the wrong people can reach."""
    layout = app.layout
    for path in (layout.releases, layout.shared, layout.logs, layout.empty):
        if not os.path.lexists(path):
            yield _missing(path)
    owner = _usual_owner(layout)
    yield from _owners(layout, owner)
    yield from _others_places(app, owner)
    for one in wrong(layout, _target(app)):
        if one.owner == owner or not one.path.is_relative_to(layout.home):
            yield _loose(app, one)
    for place in _secrets(app):
        yield from _secret(app, place)


def _usual_owner(layout: Layout) -> int:
    """Return whose most of it is; one place with another owner is the odd one."""
    owners = Counter(path.lstat().st_uid for path in own_places(layout))
    return owners.most_common(1)[0][0] if owners else os.geteuid()


def _missing(path: Path) -> Finding:
    return Finding(
        "directory-missing",
        f"{path} is missing",
        "whoever pushes: the next push is refused",
        fix=partial(_make, path=path),
    )


def _owners(layout: Layout, owner: int) -> Iterator[Finding]:
    """Yield what is somebody else's: what was made by root, say, who acted here."""
    odd = [path for path in own_places(layout) if path.lstat().st_uid != owner]
    odd = [path for path in odd if not _roots_own(layout, path)]
    for path in odd:
        yield _owner(path, f"{path} belongs to {user_name(path.lstat().st_uid)}", owner)
    inner = {
        "repository": (layout.repository, _parts(layout.repository)),
        **{path.name: (path, _entries(path)) for path in _written_by_us(layout)},
    }
    for top, paths in inner.values():
        if top.exists() and top not in odd:
            yield from _strangers(top, paths, owner)


def _roots_own(layout: Layout, path: Path) -> bool:
    """Return whether root keeps to itself what the server decides about the app."""
    status = path.lstat()
    kept = status.st_uid == 0 and not status.st_mode & stat.S_IRWXO
    return path == layout.server_toml and kept


def _written_by_us(layout: Layout) -> tuple[Path, ...]:
    """Return the directories that hold what we make, and what prune removes."""
    made = (layout.releases, layout.logs, layout.manifests, layout.outputs)
    return (*made, layout.queue, layout.reserve, layout.modules, layout.maintenance)


def _entries(directory: Path) -> Iterator[str]:
    with suppress(OSError), os.scandir(directory) as entries:
        yield from (entry.path for entry in entries)


def _owner(path: Path, said: str, owner: int) -> Finding:
    user = user_name(owner)
    return Finding(
        "wrong-owner",
        f"{said} instead of {user}",
        "whoever pushes: the next push may be refused",
        f"chown -R {user}: {shlex.quote(str(path))}",
    )


def _loose(app: App, one: Wrong) -> Finding:
    ours = os.geteuid() in (0, one.owner)
    return Finding(
        "wrong-mode",
        f"{one.path} has mode {one.mode:04o} instead of {one.wanted:04o}",
        _means(app, one),
        "" if ours else f"chmod {one.wanted:o} {shlex.quote(str(one.path))}",
        fix=partial(_chmod, path=one.path, mode=one.wanted) if ours else None,
    )


def _means(app: App, one: Wrong) -> str:
    """Return whom it hurts that a place has this mode."""
    too_much = one.mode & ~one.wanted
    if one.wanted & ~one.mode & stat.S_IRWXU:
        return "whoever pushes: the next push is refused"
    if too_much & (stat.S_IWOTH | stat.S_IWGRP):
        return "everybody: every user of this machine can change what is deployed"
    if one.path in (app.layout.lock, app.layout.tidying):
        return "whoever pushes: every user of this machine can hold it locked"
    return f"every user of this machine can look into what is {app.name}'s alone"


def _strangers(top: Path, paths: Iterator[str], owner: int) -> Iterator[Finding]:
    """Yield that parts of a directory are somebody else's: a git run by root, say."""
    odd = [path for path in paths if os.lstat(path).st_uid != owner]
    if odd:
        whose = user_name(os.lstat(odd[0]).st_uid)
        yield _owner(top, f"{len(odd)} places as {odd[0]} belong to {whose}", owner)


def _parts(repository: Path) -> Iterator[str]:
    """Yield what git writes to, but for the objects themselves."""
    if not os.access(repository, os.R_OK | os.X_OK):
        return
    with os.scandir(repository) as entries:
        yield from (entry.path for entry in entries)
    for top in ("refs", "logs", "objects"):
        for path in files.everything_below(repository / top):
            if top != "objects" or path.is_dir():
                yield str(path)


def _others_places(app: App, owner: int) -> Iterator[Finding]:
    """Yield that root or target cannot be used; they may be anybody's."""
    user = user_name(owner)
    places = {app.layout.root: _READ_ENTER, _target(app): _ALL}
    for path, wanted in places.items():
        if path and path.is_dir() and not _may(owner, path, wanted):
            yield Finding(
                "wrong-mode",
                f"{user} may not {'write to' if wanted == _ALL else 'enter'} {path}",
                "whoever pushes: the next push is refused",
                f"chown {user}: {shlex.quote(str(path))}",
            )


def _target(app: App) -> Path | None:
    return app.public.target if app.layout.ledger.exists() else None


def _may(uid: int, path: Path, wanted: int) -> bool:
    """Return whether a user has rights (read 4, write 2, enter 1) to a directory."""
    status = path.stat()
    if uid == 0:
        return True
    shift = 0
    if status.st_uid == uid:
        shift = 6
    elif status.st_gid in _groups(uid):
        shift = 3
    return (status.st_mode >> shift) & wanted == wanted


def _groups(uid: int) -> list[int]:
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return os.getgroups() if uid == os.geteuid() else []
    return os.getgrouplist(account.pw_name, account.pw_gid)


def _secrets(app: App) -> list[Ground]:
    layout = app.layout
    places = [Ground(layout.shared)]
    places += (Ground(layout.shared_by(chain)) for chain in CHAINS)
    places += (Ground(layout.shared, chain) for chain in CHAINS)  # before `setup`
    return [place / ENV for place in places]


def _secret(app: App, place: Ground) -> Iterator[Finding]:
    try:
        status = ground.status_of(place)
    except OSError:  # it lies behind a link; what is shared is looked at elsewhere
        return
    if status is None or not stat.S_ISREG(status.st_mode):
        return
    mode = stat.S_IMODE(status.st_mode)
    wanted = mode & ~stat.S_IRWXO
    if mode != wanted:
        ours = os.geteuid() in (0, status.st_uid)
        yield Finding(
            "wrong-mode",
            f"{place} has mode {mode:04o} instead of {wanted:04o}",
            f"every user of this machine can read the secrets of {app.name}",
            "" if ours else f"chmod {wanted:o} {shlex.quote(str(place))}",
            fix=partial(_chmod_file, place=place, mode=wanted) if ours else None,
        )


def _make(_app: App, _report: Report, *, path: Path) -> None:
    files.make_directory(path, in_home(path.name, is_directory=True).made)


def _chmod_file(_app: App, _report: Report, *, place: Ground, mode: int) -> None:
    ground.change_mode(place, mode)


def _chmod(_app: App, _report: Report, *, path: Path, mode: int) -> None:
    files.change_mode(path, mode)
