"""What outlives releases, linked into each: created on first use, never replaced."""

import posixpath
import shlex
from pathlib import Path

from gitdeploy.config import Shared
from gitdeploy.errors import ReleaseFailed
from gitdeploy.modes import PASSAGE
from gitdeploy.system import files
from gitdeploy.system.below import link_below

__all__ = ["link_shared", "targets", "way_out"]


def link_shared(
    release: Path, shared: Path, config: Shared, *, anchor: Path
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

    Changes: missing shared paths, then links in the release. Safe to repeat.

    Raises:
        ReleaseFailed: A shared file exists nowhere yet, or is of the wrong kind.
    """
    files.make_directory(shared, PASSAGE)
    for path in (*config.files, *config.dirs):
        _refuse_links_above(release, path)
    for path in config.dirs:
        _seed_directory(release / path, shared / path)
    for path in config.files:
        _seed_file(release / path, shared / path)
    for name, target in targets(release, shared, config, anchor=anchor).items():
        _link(release, name, target)
    return (*config.files, *(f"{path}/" for path in config.dirs))


def targets(
    release: Path, shared: Path, config: Shared, *, anchor: Path
) -> dict[str, str]:
    """Return what the link at each shared path of a release holds; see above."""
    back = posixpath.relpath(shared, anchor)
    up = "../" * len(release.relative_to(anchor).parts)
    return {
        path: f"{up}{'../' * path.count('/')}{back}/{path}"
        for path in (*config.files, *config.dirs)
    }


def way_out(shared: Path) -> str:
    """Return what makes a shared file that has to exist before it can be linked."""
    return f"install -D -m 600 /dev/null {shlex.quote(str(shared))}"


def _refuse_links_above(release: Path, path: str) -> None:
    """Refuse to read or write through what a commit may point anywhere."""
    *parents, _ = path.split("/")
    for n in range(1, len(parents) + 1):
        above = "/".join(parents[:n])
        if (release / above).is_symlink():
            raise ReleaseFailed(
                f"shared path {path}: a part of it is a link in this commit: {above}"
            )


def _seed_directory(committed: Path, shared: Path) -> None:
    if shared.is_dir():
        return
    if shared.exists():
        raise ReleaseFailed(
            f"{shared} is a file, and deploy.toml shares it as a directory",
            hint="move it from  shared.dirs  to  shared.files",
        )
    if committed.is_dir() and not committed.is_symlink():
        files.make_directory(shared.parent, files.FOR_ALL_TO_VISIT)
        files.copy(committed, shared, durable=True)
    else:
        files.make_directory(shared, files.FOR_ALL_TO_VISIT)


def _seed_file(committed: Path, shared: Path) -> None:
    if shared.is_dir():
        raise ReleaseFailed(
            f"{shared} is a directory, and deploy.toml shares it as a file",
            hint="move it from  shared.files  to  shared.dirs",
        )
    if shared.exists():
        return
    if committed.is_file() and not committed.is_symlink():
        files.make_directory(shared.parent, files.FOR_ALL_TO_VISIT)
        files.copy(committed, shared, durable=True)
        return
    raise ReleaseFailed(
        f"shared file {posixpath.basename(shared)} does not exist on the server yet",
        hint=f"on the server: {way_out(shared)}",
    )


def _link(release: Path, path: str, target: str) -> None:
    try:
        link_below(release, path, target)
    except NotADirectoryError as error:
        raise ReleaseFailed(
            f"shared path {path}: a part of it is a file or a link in this commit"
        ) from error
