"""Directories that are missing, and who may read and write what there is."""

import os
import pwd
import shlex
import stat
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.report import Report
from gitdeploy.layout import Layout
from gitdeploy.model import CHAINS
from gitdeploy.system import files

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
    for path in _own_places(layout):
        yield from _own(path, owner)
    yield from _strangers(layout.repository, owner)
    yield from _others_places(app, owner)
    for path in _secrets(layout):
        yield from _secret(app, path)


def _own_places(layout: Layout) -> list[Path]:
    """Return what belongs to whoever deploys the app, where it is there."""
    ledger = layout.ledger
    places = [
        *(layout.home, layout.releases, layout.shared, layout.logs, layout.empty),
        *(ledger.with_name(f"{ledger.name}{end}") for end in ("", "-wal", "-shm")),
        *(layout.lock, layout.repository),
    ]
    return [path for path in places if path.exists()]


def _usual_owner(layout: Layout) -> int:
    """Return whose most of it is; one place with another owner is the odd one."""
    owners = Counter(path.stat().st_uid for path in _own_places(layout))
    return owners.most_common(1)[0][0] if owners else os.geteuid()


def _missing(path: Path) -> Finding:
    return Finding(
        "directory-missing",
        f"{path} is missing",
        "whoever pushes: the next push is refused",
        fix=partial(_make, path=path),
    )


def _own(path: Path, owner: int) -> Iterator[Finding]:
    status = path.stat()
    if status.st_uid != owner:
        yield _owner(path, f"{path} belongs to {_name(status.st_uid)}", owner)
        return
    wanted = stat.S_IRWXU if path.is_dir() else stat.S_IRUSR | stat.S_IWUSR
    mode = stat.S_IMODE(status.st_mode)
    if mode & wanted != wanted:
        means = "whoever pushes: the next push is refused"
        yield _mode(path, mode, mode | wanted, means)
    elif mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        means = "everybody: every user of this machine can change what is deployed"
        yield _mode(path, mode, mode & ~stat.S_IWOTH, means)


def _owner(path: Path, said: str, owner: int) -> Finding:
    user = _name(owner)
    return Finding(
        "wrong-owner",
        f"{said} instead of {user}",
        "whoever pushes: the next push may be refused",
        f"chown -R {user}: {shlex.quote(str(path))}",
    )


def _mode(path: Path, mode: int, wanted: int, means: str) -> Finding:
    ours = os.geteuid() in (0, path.stat().st_uid)
    return Finding(
        "wrong-mode",
        f"{path} has mode {mode:04o} instead of {wanted:04o}",
        means,
        "" if ours else f"chmod {wanted:o} {shlex.quote(str(path))}",
        fix=partial(_chmod, path=path, mode=wanted) if ours else None,
    )


def _strangers(repository: Path, owner: int) -> Iterator[Finding]:
    """Yield that parts of the repository are somebody else's: a git run by root."""
    odd = [path for path in _parts(repository) if os.lstat(path).st_uid != owner]
    if odd and repository.stat().st_uid == owner:
        whose = _name(os.lstat(odd[0]).st_uid)
        yield _owner(
            repository, f"{len(odd)} places as {odd[0]} belong to {whose}", owner
        )


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
    user = _name(owner)
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


def _secrets(layout: Layout) -> list[Path]:
    places = [layout.shared, *(layout.shared / chain for chain in CHAINS)]
    files_ = [place / ".env" for place in places]
    return [path for path in files_ if path.is_file() and not path.is_symlink()]


def _secret(app: App, path: Path) -> Iterator[Finding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IRWXO:
        means = f"every user of this machine can read the secrets of {app.name}"
        yield _mode(path, mode, mode & ~stat.S_IRWXO, means)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make(_app: App, _report: Report, *, path: Path) -> None:
    files.make_directory(path)


def _chmod(_app: App, _report: Report, *, path: Path, mode: int) -> None:
    files.change_mode(path, mode)
