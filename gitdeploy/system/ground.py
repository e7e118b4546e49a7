"""What is done in places that others write to: by descriptors, and through no link.

Only files, directories and links count there; a pipe, a socket or a device is refused
and never waited for. Part of what changes the disk, as `files` is.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final, Literal, TypeAlias

from gitdeploy.ground import Ground
from gitdeploy.manifest import joined
from gitdeploy.modes import PASSAGE
from gitdeploy.system import files
from gitdeploy.system.below import (
    NotAFile,
    TooLarge,
    directory_beneath,
    named_in,
    open_beneath,
    read_beneath,
)

__all__ = [
    "Kind",
    "change_mode",
    "copy",
    "directory",
    "is_empty",
    "kind_of",
    "link_at",
    "make_directory",
    "read",
    "remove_link",
    "replace_link",
    "status_of",
    "write_whole",
]

Kind: TypeAlias = Literal["missing", "file", "directory", "link", "other"]

_NEW: Final = ".gitdeploy.new"
"""What is copied is called that first: any name of 255 bytes is fine beside it."""
_READ_BYTES: Final = 2**20
_OWN_FILE: Final = stat.S_IRUSR | stat.S_IWUSR
_OWN_FOLDER: Final = stat.S_IRWXU
_RIGHTS: Final = 0o777


# --- looking ------------------------------------------------------------------------


def directory(place: Ground) -> AbstractContextManager[int]:
    """Give a descriptor of a directory for the body; raises as open(2) does."""
    return directory_beneath(*place)


def status_of(place: Ground) -> os.stat_result | None:
    """Return lstat(2) of a place; None where nothing is there.

    Raises:
        OSError: It lies behind a link (ELOOP) or a file (ENOTDIR).
    """
    try:
        fd = open_beneath(*place, os.O_PATH)
    except FileNotFoundError:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def kind_of(place: Ground) -> Kind:
    """Return what is at a place; raises as `status_of` does."""
    status = status_of(place)
    if status is None:
        return "missing"
    kinds: dict[int, Kind] = {
        stat.S_IFREG: "file",
        stat.S_IFDIR: "directory",
        stat.S_IFLNK: "link",
    }
    return kinds.get(stat.S_IFMT(status.st_mode), "other")


def link_at(place: Ground) -> str | None:
    """Return what a link holds; None where no link is, or none can be reached."""
    with suppress(OSError), directory_beneath(*place.parent) as fd:
        return os.readlink(place.name, dir_fd=fd)
    return None


def is_empty(place: Ground) -> bool:
    """Return whether a directory has nothing in it; raises as open(2) does."""
    with directory_beneath(*place) as fd, os.scandir(fd) as entries:
        return next(entries, None) is None


def read(place: Ground, *, most_bytes: int) -> bytes:
    """Return all that a regular file holds.

    Raises:
        NotAFile: It is something else.
        TooLarge: It holds more than `most_bytes`; of a sparse one its holes count.
        OSError: It is not there, may not be read, or is a link or behind one.
    """
    try:
        return read_beneath(*place, most_bytes=most_bytes)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket, open(2)
            raise NotAFile(errno.EINVAL, "is no regular file", str(place)) from error
        raise


# --- changing -----------------------------------------------------------------------


def make_directory(place: Ground, mode: int = files.FOR_ALL_TO_VISIT) -> bool:
    """Make a directory and its parents; return whether it was missing.

    Raises:
        OSError: A part of it is a link or a file.
    """
    made = files.make_directory(place.base, PASSAGE)
    so_far = Ground(place.base)
    for name in filter(None, place.below.split("/")):
        with directory_beneath(*so_far) as fd:
            made = _made(name, fd, mode)
        so_far /= name
    if place.below:
        with directory_beneath(*place):  # it may have been something else
            pass
    return made


def _made(name: str, directory: int, mode: int) -> bool:
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=directory)
        return True
    return False


def change_mode(place: Ground, mode: int) -> None:
    """Give a regular file other permissions.

    Raises:
        NotAFile: It is something else.
        OSError: It is not there, or is behind a link.
    """
    fd = open_beneath(*place, os.O_PATH)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotAFile(errno.EINVAL, "is no regular file", str(place))
        files.change_mode(fd, mode)
    finally:
        os.close(fd)


def write_whole(place: Ground, data: bytes, mode: int, *, group: int = -1) -> None:
    """Replace a file by one that holds `data`; readers see old or new.

    Its directory is there. Whatever has the name, a directory apart, is replaced
    itself: no link is followed, and another name of the old file keeps what that held.

    Args:
        place: The file.
        data: All of its content.
        mode: Its permissions, whatever the umask is.
        group: The id of its group, where we may give it; -1: ours.

    Changes: a file beside it, then the name, durably. Safe to repeat.
    """
    new = f".{place.name}.new"
    with directory_beneath(*place.parent) as directory:
        files.remove(named_in(directory, new))
        with _new_file(new, directory) as fd:
            with suppress(PermissionError):
                os.fchown(fd, -1, group)
            os.fchmod(fd, mode)
            _write(fd, data)
            os.fsync(fd)
        _put_in_place(new, place.name, directory)


def remove_link(place: Ground) -> None:
    """Remove a link, durably; what it leads to stays. Nothing there is fine."""
    with directory_beneath(*place.parent) as directory:
        files.remove_file(named_in(directory, place.name))
        os.fsync(directory)


def replace_link(place: Ground, target: str) -> None:
    """Make a link hold `target`; readers see the old link or the new one.

    Changes: a link beside it, then the name, durably. Safe to repeat.
    """
    new = f".{place.name}.new"[-255:]
    with directory_beneath(*place.parent) as directory:
        files.remove(named_in(directory, new))
        os.symlink(target, new, dir_fd=directory)
        _put_in_place(new, place.name, directory)


def _put_in_place(new: str, name: str, directory: int) -> None:
    """Give what was made beside its name; where that fails, leave nothing behind."""
    try:
        os.replace(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            files.remove(named_in(directory, new))
        raise
    os.fsync(directory)


@contextmanager
def _new_file(name: str | bytes, directory: int) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, _OWN_FILE, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# --- copying ------------------------------------------------------------------------


def copy(source: Ground, place: Ground, *, most_bytes: int) -> None:
    """Copy a file, or a directory with all in it, links as links; the place is new.

    Its owner may write to all of it, whatever the source's modes are, and nobody gets
    another's rights by it.

    Raises:
        NotAFile: There is a pipe, a socket or a device.
        TooLarge: All files together hold more than `most_bytes`.
        OSError: Something may not be read, or its directory has a link on its way.

    Changes: a copy beside it, which is synced; then the name, durably. Safe to repeat.
    """
    copying = _Copying(most_bytes)
    with (
        directory_beneath(*source.parent) as here,
        directory_beneath(*place.parent) as there,
    ):
        files.remove(named_in(there, _NEW))
        if copying.one(os.fsencode(source.name), here, _NEW.encode(), there):
            with (
                directory_beneath(here, source.name) as top,
                directory_beneath(there, _NEW) as made,
            ):
                copying.all_below(top, made)
        files.sync_filesystems([named_in(there, ".")])
        os.rename(_NEW, place.name, src_dir_fd=there, dst_dir_fd=there)
        os.fsync(there)


class _Copying:
    """Files, links and directories copied, up to a number of bytes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._left_bytes = most_bytes

    def all_below(self, top: int, made: int) -> None:
        """Copy all that is in a directory into another; none of it recurses."""
        pending = [b""]
        while pending:
            folder = pending.pop()
            with (
                directory_beneath(top, folder) as here,
                directory_beneath(made, folder) as there,
            ):
                names = map(os.fsencode, os.listdir(here))
                folders = [name for name in names if self.one(name, here, name, there)]
                pending += (joined(folder, name) for name in folders)

    def one(self, name: bytes, here: int, new: bytes, there: int) -> bool:
        """Copy one name of a directory; return whether it is a directory itself."""
        mode = os.stat(name, dir_fd=here, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            os.mkdir(new, _OWN_FOLDER, dir_fd=there)
            with directory_beneath(there, new) as made:
                os.fchmod(made, mode & _RIGHTS | _OWN_FOLDER)
            return True
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=here), new, dir_fd=there)
        else:
            self._file(name, here, new, there)
        return False

    def _file(self, name: bytes, here: int, new: bytes, there: int) -> None:
        source = open_beneath(here, name, os.O_RDONLY)
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise NotAFile(errno.EINVAL, "is no file", os.fsdecode(name))
            with _new_file(new, there) as fd:
                self._content(source, fd, name)
                os.fchmod(fd, status.st_mode & _RIGHTS | _OWN_FILE)
                os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(source)

    def _content(self, source: int, fd: int, name: bytes) -> None:
        while data := os.read(source, _READ_BYTES):
            self._left_bytes -= len(data)
            if self._left_bytes < 0:
                what = f"goes beyond {self._most_bytes} bytes"
                raise TooLarge(errno.EFBIG, what, os.fsdecode(name))
            _write(fd, data)
