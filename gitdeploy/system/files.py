"""Every call that changes the disk, so that each can be made to fail in a test.

Those of `remove_tree` are next door, in `removal`, and in `below` those that must
follow no link on their way.

What is written is complete before its name appears: beside, sync, rename, sync the
directory (rename(2), fsync(2)). Nothing here follows a link or recurses.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Final, TypeAlias

from gitdeploy.system.removal import remove_tree

__all__ = [
    "FOR_ALL_TO_READ",
    "FOR_ALL_TO_VISIT",
    "append",
    "beside",
    "change_mode",
    "clone_file",
    "copy",
    "copy_tree",
    "create_whole",
    "everything_below",
    "link_file",
    "make_directory",
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

Name: TypeAlias = Path | bytes
"""A path; or a name in a directory that a descriptor stands for."""

PRIVATE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700
"""What is made is its owner's alone, unless it is said that others look at it."""
FOR_ALL_TO_READ: Final = 0o644
FOR_ALL_TO_VISIT: Final = 0o755
"""What a web server serves, which is another user: files, and directories."""

_WRITABLE: Final = 0o222
_FICLONE: Final = 0x40049409  # ioctl_ficlone(2); the same on x86 and ARM
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


def change_mode(path: Path, mode: int) -> None:
    """Give a file or directory other permissions; a link is not followed.

    Raises:
        OSError: It is a link (ELOOP), or not ours.
    """
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        os.chmod(f"/proc/self/fd/{fd}", mode)  # fchmod(2) takes no O_PATH
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


def copy(source: Path, destination: Path, *, durable: bool = False) -> None:
    """Copy a file or a whole directory, links as links; the destination is new.

    Args:
        source: What is copied.
        destination: Its name there.
        durable: Whether the copy is to last: it is on the disk before it has its
            name, so that whoever finds it there finds all of it, also after a power
            cut; and its owner may write to it, whatever the source's modes are.

    Changes: a copy beside it, then the name. Safe to repeat.
    """
    import shutil

    new = destination.with_name(".gitdeploy.new")  # any name of 255 bytes is fine
    remove(new)
    if source.is_dir():
        shutil.copytree(source, new, symlinks=True)
    else:
        shutil.copy2(source, new, follow_symlinks=False)
    if durable:
        _let_owner_write(new)
        sync_filesystems([new])
    os.rename(new, destination)
    if durable:
        sync_directory(destination.parent)


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


def _let_owner_write(top: Path) -> None:
    """Give the owner the right to write to a file, or to all files below."""
    files = (path for path in everything_below(top) if not path.is_dir())
    for path in (top, *files):
        if not path.is_symlink():
            os.chmod(path, stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)


def clone_file(
    source: Name,
    destination: Name,
    *,
    source_in: int | None = None,
    destination_in: int | None = None,
) -> None:
    """Make a file that has another's blocks, until one of the two is written to.

    Content, mode and time of change are the same, so that caches know the file.

    Args:
        source: The file; a link is refused.
        destination: Its name there.
        source_in: A descriptor of the directory that `source` is in; None: a path.
        destination_in: The same of `destination`.

    Raises:
        OSError: There is a file already, or this file system cannot; then no file
            is left behind.

    Source:
        ioctl_ficlone(2): XFS, btrfs and some others, within one file system.
    """
    import fcntl

    reading = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    writing = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with ExitStack() as stack:
        whole = os.open(source, reading, dir_fd=source_in)
        stack.callback(os.close, whole)
        status = os.fstat(whole)
        fd = os.open(destination, writing, 0o600, dir_fd=destination_in)
        stack.callback(os.close, fd)
        try:
            fcntl.ioctl(fd, _FICLONE, whole)
            os.fchmod(fd, stat.S_IMODE(status.st_mode))
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        except OSError:
            with suppress(OSError):
                os.unlink(destination, dir_fd=destination_in)
            raise


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


def remove_name(name: bytes, directory: int) -> None:
    """Remove a file or link of an open directory."""
    os.unlink(name, dir_fd=directory)


def make_read_only(name: bytes, directory: int, mode: int) -> None:
    """Give a file of an open directory a mode, less the right to write."""
    os.chmod(name, mode & ~_WRITABLE, dir_fd=directory)


def copy_tree(source: Path, destination: Path, *, linked: bool) -> None:
    """Copy whatever has a name, all that can be told apart included: by cp(1).

    Hard links within it stay such, and a file system that can shares the blocks.

    Args:
        source: What is copied.
        destination: Its name there; nothing is there yet.
        linked: Whether files are not copied but get a second name.

    Raises:
        SystemFailed: cp could not, or is missing; some may have been copied.
    """
    from gitdeploy.system import process
    from gitdeploy.system.programs import program
    from gitdeploy.system.surroundings import BARE

    how = ("--link",) if linked else ("--reflink=auto",)
    argv = [program("cp"), "--archive", *how, "--no-target-directory", "--"]
    process.run([*argv, str(source), str(destination)], env=BARE)


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
