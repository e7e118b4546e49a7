"""Files that a release has as an earlier one has them: shared with it, not written.

What is shared was looked at first: a file that somebody touched since it was made is
not what its commit has any more, and is left to be written.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from gitdeploy.manifest import File, Folder, Stamp, joined, stamp_of
from gitdeploy.system import files
from gitdeploy.system.below import directory_beneath

__all__ = [
    "Folders",
    "edited",
    "forget",
    "in_common",
    "keep",
    "newest_ns",
    "same",
    "stamp",
    "touched",
    "unstamped",
    "unwritten",
    "vouch",
]

Folders: TypeAlias = dict[bytes, Folder]
"""Every folder of a release by its path."""

_WRITABLE: Final = 0o222

_NO_FOLDER: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)
"""What is said where a folder is gone, or a link by now (openat2(2))."""

_NOT_TO_BE_SHARED: Final = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.EMLINK,  # it has as many names as its file system allows
    errno.EPERM,
    errno.EXDEV,
)


def keep(
    source: Path,
    had: Mapping[bytes, Folder],
    destination: Path,
    wanted: Folders,
    *,
    clones: bool,
    until_ns: int | None = None,
) -> Folders:
    """Share with an earlier release what did not change; return what there is now.

    Args:
        source: The earlier release's directory.
        had: What was recorded of it.
        destination: The new release's directory, which is empty.
        wanted: Its folders.
        clones: Whether each release gets a file of its own, with the same blocks;
            else one file gets one more name, unless somebody could write to it.
        until_ns: What was changed later is not shared, whatever it looks like; None:
            nobody could write there, a file's stamp is enough.

    Returns:
        `wanted`, where each file that is there has its stamp, and no other has.

    Changes: every folder of the new release, and the shared files in them.
    """
    kept: Folders = {}
    for path in sorted(wanted):  # a folder before what is in it
        folder, before, inner = wanted[path], had.get(path), os.fsdecode(path)
        files.make_directory(destination / inner, files.FOR_ALL_TO_VISIT)
        found = [_unstamped(file) for file in folder.files]
        if before and before.files:
            known = {file.name: file for file in before.files if file.stamp}
            with (
                _unless_gone(),
                directory_beneath(source, path) as here,
                files.open_directory(destination / inner) as there,
            ):
                share = _Sharing(here, there, clones, until_ns)
                found = [
                    share(known[file.name])
                    if _is_same(file, known.get(file.name))
                    else _unstamped(file)
                    for file in folder.files
                ]
        kept[path] = _holding(folder, found)
    return kept


def _is_same(file: File, known: File | None) -> bool:
    return known is not None and file.id == known.id and file.mode == known.mode


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Do nothing more in the body where a folder is not one, or not there any more."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise


class _Sharing(msgspec.Struct, frozen=True):
    """How the files of one folder come from one release into another."""

    source: int
    destination: int
    clones: bool
    until_ns: int | None

    def __call__(self, file: File) -> File:
        """Share a file that is as it was stamped; return it with its stamp, or not."""
        try:
            if not self._is_sound(file):
                return _unstamped(file)
            share = files.clone_file if self.clones else files.link_file
            share(
                file.name,
                file.name,
                source_in=self.source,
                destination_in=self.destination,
            )
            # Who writes meanwhile leaves a trace: a time later than `until_ns`.
            if self.until_ns is not None and not self._is_sound(file):
                files.remove_name(file.name, self.destination)
                return _unstamped(file)
        except OSError as error:
            if error.errno not in _NOT_TO_BE_SHARED:
                raise
            return _unstamped(file)
        return _stamped(file, self.destination) if self.clones else file

    def _is_sound(self, file: File) -> bool:
        """Return whether a file is what was recorded, and nobody but us can change it.

        Or else, where it is cloned, whether nobody has.
        """
        status = os.stat(file.name, dir_fd=self.source, follow_symlinks=False)
        if stamp_of(status) != file.stamp or status.st_uid != os.geteuid():
            return False
        if self.until_ns is not None and status.st_ctime_ns > self.until_ns:
            return False
        if stat.S_ISLNK(status.st_mode):
            return not self.clones
        return self.clones or not status.st_mode & _WRITABLE


def in_common(had: Mapping[bytes, Folder], wanted: Folders) -> tuple[int, int]:
    """Return how many files, and bytes of them, `keep` would share at the most."""
    number = size_bytes = 0
    for _, stamp_ in same(had, wanted):
        number += 1
        size_bytes += stamp_[1]
    return number, size_bytes


def same(had: Mapping[bytes, Folder], wanted: Folders) -> Iterator[tuple[bytes, Stamp]]:
    """Yield what `keep` would share at the most: paths, and how they lie there."""
    for path, folder in wanted.items():
        before = had.get(path)
        known = {file.name: file for file in before.files} if before else {}
        for file in folder.files:
            there = known.get(file.name)
            if there and there.stamp and _is_same(file, there):
                yield joined(path, file.name), there.stamp


def unstamped(folders: Folders) -> Folders:
    """Return folders of which no file is there yet."""
    return {
        path: _holding(folder, [_unstamped(file) for file in folder.files])
        for path, folder in folders.items()
    }


def unwritten(folders: Folders) -> Iterator[tuple[bytes, File]]:
    """Yield each file that has no stamp, with its path."""
    for path, folder in folders.items():
        for file in folder.files:
            if file.stamp is None:
                yield joined(path, file.name), file


def stamp(directory: Path, folders: Folders, *, read_only: bool) -> Folders:
    """Return folders with the stamps of files that were written just now.

    Args:
        directory: The release's directory.
        folders: Its folders.
        read_only: Whether nobody may write to the files from now on.

    Changes: the modes of the files, where they shall be read-only.
    """
    stamped: Folders = {}
    for path, folder in folders.items():
        stamped[path] = folder
        if any(file.stamp is None for file in folder.files):
            with files.open_directory(directory / os.fsdecode(path)) as here:
                found = [
                    file if file.stamp else _written(file, here, read_only=read_only)
                    for file in folder.files
                ]
            stamped[path] = _holding(folder, found)
    return stamped


def _written(file: File, directory: int, *, read_only: bool) -> File:
    if read_only and not stat.S_ISLNK(file.mode):
        files.make_read_only(file.name, directory, file.mode & 0o777)
    return _stamped(file, directory)


def newest_ns(folders: Folders) -> int:
    """Return when the file that was changed last was changed, by its stamp."""
    stamps = (f.stamp for folder in folders.values() for f in folder.files if f.stamp)
    return max((stamp[2] for stamp in stamps), default=0)


def touched(directory: Path, folders: Folders) -> Iterator[tuple[bytes, File, bool]]:
    """Yield each file that is not as it was stamped, with its path.

    And whether it is still the same file, changed in place, and has other names: then
    other releases have the change too.
    """
    for path, folder in folders.items():
        for file, status in _statuses(directory, path, folder):
            if file.stamp and (status is None or stamp_of(status) != file.stamp):
                same = status is not None and status.st_ino == file.stamp[0]
                elsewhere = same and status is not None and status.st_nlink > 1
                yield joined(path, file.name), file, elsewhere


def edited(directory: Path, folders: Mapping[bytes, Folder]) -> Iterator[bytes]:
    """Yield the path of each file whose size, time or mode is not as it was stamped.

    Another inode alone is no edit: a directory that was copied has them all anew.
    """
    for path, folder in folders.items():
        for file, status in _statuses(directory, path, folder):
            if file.stamp and (not status or stamp_of(status)[1:] != file.stamp[1:]):
                yield joined(path, file.name)


def _statuses(
    top: Path, path: bytes, folder: Folder
) -> list[tuple[File, os.stat_result | None]]:
    found: list[tuple[File, os.stat_result | None]] = []
    with _unless_gone(), directory_beneath(top, path) as here:
        found = [(file, _status(file, here)) for file in folder.files]
    return found or [(file, None) for file in folder.files]


def forget(folders: Folders, paths: Iterable[bytes]) -> Folders:
    """Return folders where the files at some paths have no stamp."""
    return vouch(folders, dict.fromkeys(paths))


def vouch(folders: Folders, stamps: Mapping[bytes, Stamp | None]) -> Folders:
    """Return folders where the files at some paths have these stamps."""
    ours = {path.rpartition(b"/")[0] for path in stamps}
    return {
        path: _holding(folder, [_vouched(path, file, stamps) for file in folder.files])
        if path in ours
        else folder
        for path, folder in folders.items()
    }


def _vouched(folder: bytes, file: File, stamps: Mapping[bytes, Stamp | None]) -> File:
    path = joined(folder, file.name)
    if path not in stamps:
        return file
    return File(file.name, file.mode, file.id, stamps[path])


def _status(file: File, directory: int) -> os.stat_result | None:
    try:
        return os.stat(file.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _stamped(file: File, directory: int) -> File:
    status = os.stat(file.name, dir_fd=directory, follow_symlinks=False)
    return File(file.name, file.mode, file.id, stamp_of(status))


def _unstamped(file: File) -> File:
    return File(file.name, file.mode, file.id) if file.stamp else file


def _holding(folder: Folder, found: list[File]) -> Folder:
    return msgspec.structs.replace(folder, files=found)
