"""What outlives releases, linked into each: created on first use, never replaced.

Whoever may stage can put anything there, and so can the running app: it is opened by
`system.ground` alone.
"""

import errno
import posixpath
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gitdeploy.config import Shared
from gitdeploy.errors import ReleaseFailed
from gitdeploy.ground import Ground
from gitdeploy.system import ground
from gitdeploy.system.below import NotAFile, TooLarge, link_below
from gitdeploy.system.disk import blamed
from gitdeploy.system.terminal import human_bytes

__all__ = [
    "ENV",
    "link_shared",
    "put_links_right",
    "read_env",
    "read_shared",
    "strange",
    "targets",
    "way_out",
]

ENV: Final = ".env"
_MOST_ENV_BYTES: Final = 2**20
_A_LINK: Final = (errno.ELOOP, errno.ENOTDIR, errno.EXDEV)
"""What open(2) says of a link where none is followed, or of a file on the way."""


def link_shared(
    release: Path, shared: Ground, config: Shared, *, anchor: Path, most_bytes: int
) -> tuple[str, ...]:
    """Put a link to each shared path into a release; return their names for people.

    A shared path that does not exist yet is seeded from what the release has there,
    durably: what exists is never seeded again. What a commit has at a shared path is
    replaced in the release only.

    Args:
        release: The release's directory.
        shared: Where the shared files and directories are.
        config: Which ones.
        anchor: The app's directory, which holds both; links stay relative to it, so
            that it can be moved.
        most_bytes: How much one path is seeded with at most.

    Changes: missing shared paths, then links in the release. Safe to repeat.

    Raises:
        ReleaseFailed: A shared file exists nowhere yet, or is of the wrong kind.
    """
    ground.make_directory(shared)
    committed = Ground(release)
    for path in (*config.files, *config.dirs):
        _check_ways(committed, shared, path)
    for path in config.dirs:
        _seed_directory(committed / path, shared / path, most_bytes)
    for path in config.files:
        _seed_file(committed / path, shared / path, most_bytes)
    for name, target in targets(release, shared, config, anchor=anchor).items():
        _link(release, name, target)
    return (*config.files, *(f"{path}/" for path in config.dirs))


def put_links_right(
    release: Path, shared: Ground, config: Shared, *, anchor: Path
) -> tuple[str, ...]:
    """Link again what a command put something else in place of; return these paths.

    The arguments are those of `link_shared`.

    Changes: links in the release, where nothing is lost by it. Safe to repeat.

    Raises:
        ReleaseFailed: What is in a link's place would be lost.
    """
    wanted = targets(release, shared, config, anchor=anchor)
    wrong = {
        path: target
        for path, target in wanted.items()
        if ground.link_at(Ground(release, path)) != target
    }
    for path, target in wrong.items():
        with _no_way(path, "in the release"):
            spare = _is_spare(Ground(release, path), shared / path)
        if not spare:
            raise ReleaseFailed(
                f"a command replaced the link to the shared {path} by its own",
                hint=f"write through the link, or take {path} out of  [shared]",
            )
        _link(release, path, target)
    return tuple(wrong)


def targets(
    release: Path, shared: Ground, config: Shared, *, anchor: Path
) -> dict[str, str]:
    """Return what the link at each shared path of a release holds; see above."""
    back = posixpath.relpath(str(shared), anchor)
    up = "../" * len(release.relative_to(anchor).parts)
    return {
        path: f"{up}{'../' * path.count('/')}{back}/{path}"
        for path in (*config.files, *config.dirs)
    }


def read_env(place: Ground) -> bytes | None:
    """Return what a shared .env holds; None where there is none.

    Raises:
        ReleaseFailed: It cannot be read as a file, or is too large to be one of
            variables.
    """
    return read_shared(place, most_bytes=_MOST_ENV_BYTES)


def read_shared(place: Ground, *, most_bytes: int) -> bytes | None:
    """Return what a shared file holds; None where there is none.

    Raises:
        ReleaseFailed: It cannot be read as a file, or holds more than `most_bytes`.
    """
    try:
        return ground.read(place, most_bytes=most_bytes)
    except FileNotFoundError:
        return None
    except NotAFile as error:
        raise strange(place, "is no file") from error
    except TooLarge as error:
        limit = human_bytes(most_bytes)
        raise ReleaseFailed(
            f"{place}: should be at most {limit}",
            hint=f"on the server: ls -l {shlex.quote(str(place))}",
        ) from error
    except OSError as error:
        if error.errno in _A_LINK:
            raise strange(place, "is a link, or lies behind one") from error
        error.filename = str(place)
        raise ReleaseFailed(blamed(error)) from error


def strange(place: Ground, what: str) -> ReleaseFailed:
    """Return that something lies at a shared path which no one shall have put there."""
    return ReleaseFailed(
        f"{place} {what}: what is shared are files and directories, and no link"
        " is followed there",
        hint=f"on the server: rm {shlex.quote(str(place))}",
    )


def way_out(shared: Ground) -> str:
    """Return what makes a shared file that has to exist before it can be linked."""
    return f"install -D -m 600 /dev/null {shlex.quote(str(shared))}"


# --- seeding ------------------------------------------------------------------------


def _check_ways(committed: Ground, shared: Ground, path: str) -> None:
    """Refuse to read or write through what a commit or a command may point anywhere."""
    for where, told in ((committed, "in this commit"), (shared, f"in {shared}")):
        with _no_way(path, told):
            ground.status_of(where / path)


@contextmanager
def _no_way(path: str, where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _A_LINK:
            raise
        raise ReleaseFailed(
            f"shared path {path}: a part of it is a file or a link {where}"
        ) from error


def _seed_directory(committed: Ground, shared: Ground, most_bytes: int) -> None:
    kind = ground.kind_of(shared)
    if kind == "directory":
        return
    if kind == "file":
        raise ReleaseFailed(
            f"{shared} is a file, and deploy.toml shares it as a directory",
            hint="move it from  shared.dirs  to  shared.files",
        )
    if kind != "missing":
        raise strange(shared, f"is {_KINDS[kind]}")
    if ground.kind_of(committed) == "directory":
        _seed(committed, shared, most_bytes)
    else:
        ground.make_directory(shared)


def _seed_file(committed: Ground, shared: Ground, most_bytes: int) -> None:
    kind = ground.kind_of(shared)
    if kind == "file":
        return
    if kind == "directory":
        raise ReleaseFailed(
            f"{shared} is a directory, and deploy.toml shares it as a file",
            hint="move it from  shared.files  to  shared.dirs",
        )
    if kind != "missing":
        raise strange(shared, f"is {_KINDS[kind]}")
    if ground.kind_of(committed) == "file":
        _seed(committed, shared, most_bytes)
        return
    raise ReleaseFailed(
        f"shared file {shared.name} does not exist on the server yet",
        hint=f"on the server: {way_out(shared)}",
    )


_KINDS: Final = {"link": "a link", "other": "neither file nor directory"}


def _seed(committed: Ground, shared: Ground, most_bytes: int) -> None:
    ground.make_directory(shared.parent)
    try:
        ground.copy(committed, shared, most_bytes=most_bytes)
    except (NotAFile, TooLarge) as error:
        raise ReleaseFailed(
            f"shared path {shared.name}: {error.filename} {error.strerror}"
        ) from error


def _link(release: Path, path: str, target: str) -> None:
    with _no_way(path, "in this commit"):
        link_below(release, path, target)


def _is_spare(place: Ground, shared: Ground) -> bool:
    """Return whether nothing is lost with what is at a place."""
    kind = ground.kind_of(place)
    if kind == "directory":
        return ground.is_empty(place)
    if kind == "file":
        return _holds_the_same(place, shared)
    return kind in ("missing", "link")


def _holds_the_same(place: Ground, shared: Ground) -> bool:
    try:
        kept = ground.read(shared, most_bytes=_MOST_ENV_BYTES)
        return ground.read(place, most_bytes=len(kept)) == kept
    except OSError:
        return False
