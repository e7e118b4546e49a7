"""The links of a release that lead out of it, found without following one.

A web server follows links: what a release must not show, none of its links may lead to.
Each link by itself has to stay in the release, seen from where it really lies; so a
way over many links stays in it as well.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct, field

from gitdeploy.system.below import directory_beneath, status_beneath

__all__ = ["SYSTEM", "Ground", "Outward", "leading_out"]

SYSTEM: Final = tuple(
    Path(path)
    for path in (
        *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
        *("/opt", "/nix/store", "/run/current-system"),
    )
)
"""Where interpreters lie to which virtual environments link; nobody deploys there."""

_LOOKED_AFTER: Final = 5_000
"""After how many links and folders somebody is asked whether to go on."""
_MOST_PARTS: Final = 256
"""Of a link that goes up again after a name; each part of it is looked at."""

_Parts: TypeAlias = tuple[bytes, ...]


class Outward(Struct, frozen=True):
    """A link that leads out."""

    path: bytes
    """Where it is in the release."""
    target: bytes
    """What it holds."""


class Ground(Struct, frozen=True):
    """Where the links of a release may lead."""

    release: Path
    """Its directory: absolute, links resolved."""
    shared: Mapping[bytes, bytes] = field(default_factory=dict)
    """What the link at each shared path holds, as we made it."""
    own: tuple[Path, ...] = ()
    """The shared files and directories themselves."""
    allowed: tuple[Path, ...] = SYSTEM
    """Places outside that the server allows."""
    hidden: tuple[Path, ...] = ()
    """Places in which only what `allowed` names itself is allowed: apps, and homes."""


def leading_out(
    ground: Ground, check: Callable[[], None] = lambda: None
) -> Iterator[Outward]:
    """Yield every link of a release that leads out of it.

    Args:
        ground: The release, and where its links may lead.
        check: Called now and then; raises where nobody wants it to go on.

    Raises:
        OSError: A directory of the release cannot be looked into.
    """
    inside, looked = _Inside(ground), 0
    with directory_beneath(ground.release, b"") as top:
        pending = [b""]
        while pending:
            folder = pending.pop()
            with directory_beneath(top, folder) as fd, os.scandir(fd) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    path = b"/".join(filter(None, (folder, name)))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    elif entry.is_symlink():
                        target = os.readlink(name, dir_fd=fd)
                        if not inside.holds(top, path, target):
                            yield Outward(path, target)
                    else:
                        continue
                    looked += 1
                    if not looked % _LOOKED_AFTER:
                        check()


class _Inside:
    """Tells whether a link stays where it may."""

    def __init__(self, ground: Ground) -> None:
        self._shared = ground.shared
        self._release = _parts(os.fsencode(ground.release))
        self._own = [_parts(os.fsencode(path)) for path in ground.own]
        self._hidden = [_parts(os.fsencode(path)) for path in ground.hidden]
        self._allowed = [_parts(os.fsencode(path)) for path in ground.allowed]

    def holds(self, top: int, path: bytes, target: bytes) -> bool:
        """Return whether a link stays in the release or leads where it may.

        Args:
            top: A descriptor of the release.
            path: The link's, in the release; its folders are no links.
            target: What it holds.
        """
        if self._shared.get(path) == target:
            return True
        where = self._where(top, path, target)
        return where is not None and (
            _within(where, self._release)
            or any(_within(where, own) for own in self._own)
            or self._is_allowed(where)
        )

    def _where(self, top: int, path: bytes, target: bytes) -> _Parts | None:
        """Return where a link leads, as an absolute path; None: nobody can tell.

        A `..` takes back a name exactly where that is a real directory. The folders of
        the link are; of other names one has to look.
        """
        here = [] if target.startswith(b"/") else [*self._release, *_parts(path)[:-1]]
        rest = list(_parts(target))
        while rest and rest[0] == b"..":
            del rest[0], here[-1:]
        if b".." not in rest:
            return (*here, *rest)
        if len(rest) > _MOST_PARTS:
            return None
        for part in rest:
            if part != b"..":
                here.append(part)
            elif self._is_directory(top, tuple(here)):
                here.pop()
            else:
                return None
        return tuple(here)

    def _is_directory(self, top: int, where: _Parts) -> bool:
        if not _within(where, self._release):
            return False
        inner = where[len(self._release) :]
        found = status_beneath(top, b"/".join(inner))
        return bool(inner) and found is not None and stat.S_ISDIR(found.st_mode)

    def _is_allowed(self, where: _Parts) -> bool:
        around = [place for place in self._hidden if _within(where, place)]
        return any(
            _within(where, place) and all(_within(place, one) for one in around)
            for place in self._allowed
        )


def _parts(path: bytes) -> _Parts:
    return tuple(part for part in path.split(b"/") if part not in (b"", b"."))


def _within(where: _Parts, place: _Parts) -> bool:
    return where[: len(place)] == place
