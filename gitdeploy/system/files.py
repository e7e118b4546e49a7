"""Every call that changes the disk, so that each can be made to fail in a test.

Those of `remove_tree` are next door, in `removal`, those that copy a file in `copying`,
and in `below` those that must follow no link on their way.

What is written is complete before its name appears: beside, sync, rename, sync the
directory (rename(2), fsync(2)). Nothing here follows a link or recurses.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Final

from gitdeploy.system.copying import (
    Name,
    clone_file,
    clone_into,
    create_file,
    make_like,
)
from gitdeploy.system.removal import remove_tree

__all__ = [
    "FOR_ALL_TO_READ",
    "FOR_ALL_TO_VISIT",
    "append",
    "beside",
    "change_mode",
    "change_time",
    "clone_file",
    "clone_into",
    "create_file",
    "create_whole",
    "everything_below",
    "exchange",
    "link_file",
    "make_directory",
    "make_like",
    "make_link",
    "make_read_only",
    "move_up",
    "occupy",
    "open_directory",
    "open_to_append",
    "open_to_hold",
    "overwrite",
    "remove",
    "remove_file",
    "remove_name",
    "remove_tree",
    "rename",
    "replace_file",
    "replace_link",
    "stamp_now",
    "sync_directory",
    "sync_filesystems",
    "write",
    "write_whole",
]

PRIVATE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700
"""What is made is its owner's alone, unless it is said that others look at it."""
FOR_ALL_TO_READ: Final = 0o644
FOR_ALL_TO_VISIT: Final = 0o755
"""What a web server serves, which is another user: files, and directories."""

_WRITABLE: Final = 0o222
_HERE: Final = -100  # AT_FDCWD, openat(2)
_EXCHANGE: Final = 2  # RENAME_EXCHANGE
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_directory(path: Path, mode: int = PRIVATE_DIRECTORY) -> bool:
    """Make a directory and its parents; return whether it was missing.

    Args:
        path: The directory.
        mode: Its permissions and those of the parents that are made, whatever the
            umask is. Nobody else gets in unless it says so.
    """
    if path.is_dir():
        return False
    missing = [path, *takewhile(lambda above: not above.is_dir(), path.parents)]
    for directory in reversed(missing):
        directory.mkdir(mode=mode, exist_ok=directory != path)
        if stat.S_IMODE(directory.stat().st_mode) & mode != mode:  # by the umask
            change_mode(directory, mode)
    return True


def beside(path: Path) -> Path:
    """Return where what becomes `path` is made; a crash may leave it there."""
    return path.with_name(f".{path.name}.new")


def write_whole(
    path: Path,
    data: bytes,
    mode: int = PRIVATE,
    *,
    group: int = -1,
    durable: bool = True,
) -> None:
    """Replace a file by one that holds `data`; readers see old or new.

    Args:
        path: The file.
        data: All of its content.
        mode: Its permissions, whatever the umask is.
        group: The id of its group, where we may give it; -1: ours.
        durable: Whether it survives a power cut; else it may be empty afterwards.

    Changes: a file beside it, then the name. Safe to repeat.
    """
    new = beside(path)
    remove_file(new)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        with suppress(PermissionError):
            os.fchown(fd, -1, group)
        os.fchmod(fd, mode)
        file.write(data)
        file.flush()
        if durable:
            os.fsync(fd)
    _put_in_place(new, path)
    if durable:
        sync_directory(path.parent)


def write(path: Path, data: bytes) -> None:
    """Make a file hold `data`, durable once the disk is synced.

    What crashes here leaves a part of it: only for what is known to be whole by
    itself, or not read before something else says that it is.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with open(os.open(path, flags, PRIVATE), "wb") as file:
        file.write(data)


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    """Give a descriptor of a directory, which is not a link, for the body."""
    fd = os.open(path, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def open_to_hold(path: Path) -> int:
    """Return a descriptor of a file to be held locked, made where it is missing.

    Only its owner opens it: whoever can read a file can hold it locked (flock(2)).
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)


def open_to_append(path: Path, mode: int) -> int:
    """Return a descriptor that `append` writes to, of a file made if missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    return os.open(path, flags, mode)


def append(fd: int, data: bytes) -> None:
    """Write all of `data` at the end of a file that `open_to_append` opened."""
    while data:
        data = data[os.write(fd, data) :]


def tell_all(fd: int, text: bytes) -> None:
    """Write who holds a lock; on a full disk nobody is told, and the lock holds."""
    with suppress(OSError):
        overwrite(fd, text)


def overwrite(fd: int, data: bytes) -> None:
    """Make an open file hold `data`; what crashes here may leave it empty."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, data, 0)


def change_mode(path: Path | int, mode: int) -> None:
    """Give a file or directory other permissions; a link is not followed.

    Args:
        path: Where it is, or a descriptor of it, also one of O_PATH.
        mode: The permissions.

    Raises:
        OSError: It is a link (ELOOP), or not ours.
    """
    if isinstance(path, int):
        os.chmod(f"/proc/self/fd/{path}", mode)  # fchmod(2) takes no O_PATH
        return
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        change_mode(fd, mode)
    finally:
        os.close(fd)


def create_whole(path: Path, data: bytes, mode: int = PRIVATE) -> bool:
    """Make a file that holds `data`, durably; return False where there is one."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        return False
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(data)
            file.flush()
            os.fsync(fd)
    except OSError:
        with suppress(OSError):
            remove_file(path)
        raise
    return True


def rename(path: Path, to: Path) -> None:
    """Give a file or directory another name; a file of that name is replaced."""
    os.rename(path, to)


def replace_file(path: Path, by: Path) -> None:
    """Give a file, whose content is durable, another's name on the same disk.

    Or a directory, where nothing has that name or an empty directory.
    """
    os.replace(by, path)
    sync_directory(path.parent)


def exchange(name: str, other: Path, directory: int) -> None:
    """Let a name of an open directory and a path be each other's, in one step.

    Changes: both names, durably.

    Raises:
        OSError: They are on different disks, or this one cannot do it.

    Source:
        renameat2(2), RENAME_EXCHANGE: Linux 3.15, ext4, XFS, btrfs, tmpfs.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    sys.audit("os.rename", name, str(other), directory, -1)  # as os.rename says it
    words = (directory, os.fsencode(name), _HERE, os.fsencode(other), _EXCHANGE)
    if libc.renameat2(*words):
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), str(other))
    os.fsync(directory)
    sync_directory(other.parent)


def replace_link(link: Path, target: str) -> None:
    """Make `link` point to `target`; readers see the old link or the new one.

    The directory is not synced: the caller does it once for all its links.

    Changes: a link beside it, then the name. Safe to repeat.
    """
    new = beside(link)
    remove_file(new)
    os.symlink(target, new)
    _put_in_place(new, link)


def _put_in_place(new: Path, path: Path) -> None:
    """Give what was made beside its name; where that fails, leave nothing behind."""
    try:
        os.replace(new, path)
    except OSError:
        with suppress(OSError):
            remove_file(new)
        raise


def remove_file(path: Path) -> None:
    """Remove a file or link; a missing one is fine."""
    path.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove whatever has this name; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        remove_file(path)


def move_up(directory: Path, destination: Path) -> None:
    """Move everything in `directory` into `destination`, on the same file system."""
    for entry in _children(directory):
        os.rename(entry.path, destination / entry.name)


def everything_below(top: Path) -> Iterator[Path]:
    """Yield all that lies below a directory, however deep; no link is followed.

    Nothing here is called for each level: names may be as deep as a pusher likes. What
    cannot be read, as it has just gone or its path is too long, is passed over.
    """
    pending = [str(top)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                yield Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)


def link_file(
    source: Name,
    destination: Name,
    *,
    source_in: int | None = None,
    destination_in: int | None = None,
) -> None:
    """Give a file another name on the same file system; a link is not followed.

    The arguments are those of `clone_file`.

    Raises:
        OSError: There is a file already, or this file cannot have one more name.
    """
    os.link(
        source,
        destination,
        src_dir_fd=source_in,
        dst_dir_fd=destination_in,
        follow_symlinks=False,
    )


def make_link(target: bytes, name: bytes, directory: int) -> None:
    """Make a symbolic link in an open directory, where nothing has that name."""
    os.symlink(target, name, dir_fd=directory)


def change_time(path: Path, mtime_ns: int) -> None:
    """Let something show that it was changed at a time; a link is not followed."""
    os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def remove_name(name: bytes, directory: int) -> None:
    """Remove a file or link of an open directory."""
    os.unlink(name, dir_fd=directory)


def make_read_only(name: bytes, directory: int, mode: int) -> None:
    """Give a file of an open directory a mode, less the right to write."""
    os.chmod(name, mode & ~_WRITABLE, dir_fd=directory)


def stamp_now(directory: Path) -> int:
    """Return the present by the clock that stamps what changes beside a directory, ns.

    Nothing that was complete on its file system before has a later time of change.

    Changes: the directory's own time of change of status.
    """
    with open_directory(directory) as fd:
        os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode))
        return os.fstat(fd).st_ctime_ns


def occupy(path: Path, size_bytes: int) -> None:
    """Let a file hold space of the disk, whatever stands in it (posix_fallocate(3))."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size_bytes)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (fsync(2) of a file does not)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_filesystems(paths: Iterable[Path]) -> None:
    """Make all that was written to the file systems of `paths` durable (syncfs(2)).

    Raises:
        OSError: A write did not reach the disk; what was written is not to be used.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    one_each = {path.stat().st_dev: path for path in paths}
    for path in one_each.values():
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.syncfs(fd):
                errno = ctypes.get_errno()
                raise OSError(errno, os.strerror(errno), str(path))
        finally:
            os.close(fd)


def _children(directory: Path) -> list[os.DirEntry[str]]:
    with os.scandir(directory) as entries:
        return list(entries)
