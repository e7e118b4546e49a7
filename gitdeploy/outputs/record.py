"""What a step made, as it lay on the disk right then; compared before it is passed on.

Content is not read for that: whoever changes a file changes its time of change.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

__all__ = [
    "Made",
    "Seen",
    "additions",
    "changed",
    "changed_in_place",
    "decode",
    "encode",
    "look",
    "lost",
    "unfit",
    "without_ctime",
]

_VERSION: Final = 1
_KINDS: Final = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)


class Seen(NamedTuple):
    """A file, folder or link, as lstat(2) has it."""

    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    """0 where it does not count."""
    inode: int
    uid: int
    gid: int
    names: int


class Made(msgspec.Struct, array_like=True, frozen=True):
    """The outputs of one step in one release."""

    entries: dict[bytes, Seen]
    """By path in the release; the outputs themselves are among them."""
    placed: tuple[bytes, ...] = ()
    """Text files and links that name the release's directory."""


class _File(msgspec.Struct, array_like=True):
    version: int
    made: dict[str, Made]


def encode(made: Mapping[str, Made]) -> bytes:
    """Return what one release's steps made, by their keys, as bytes: MessagePack."""
    return msgspec.msgpack.encode(_File(_VERSION, dict(made)))


def decode(data: bytes) -> dict[str, Made]:
    """Return what `encode` made bytes of; nothing for anything else.

    A record is of second rank: without it a step runs again.
    """
    try:
        file = msgspec.msgpack.decode(data, type=_File)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return file.made if file.version == _VERSION else {}


def look(release: Path, outputs: Collection[str]) -> dict[bytes, Seen]:
    """Return what lies at some paths of a release, and all below; no link is followed.

    What is missing, or has a link on its way, is left out.

    Raises:
        OSError: It cannot be looked through.
    """
    top = os.fsencode(release)
    found: dict[bytes, Seen] = {}
    pending: list[bytes] = []
    for output in map(os.fsencode, outputs):
        if _is_direct(top, output):
            found[output] = _seen(os.lstat(top + b"/" + output))
            pending += [output] if stat.S_ISDIR(found[output].mode) else []
    while pending:
        folder = pending.pop()
        with os.scandir(top + b"/" + folder) as entries:
            for entry in entries:
                path = folder + b"/" + entry.name
                found[path] = _seen(entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
    return found


def _is_direct(top: bytes, path: bytes) -> bool:
    place = top
    *folders, _ = path.split(b"/")
    for folder in folders:
        place += b"/" + folder
        if os.path.islink(place) or not os.path.isdir(place):
            return False
    return os.path.lexists(top + b"/" + path)


def _seen(status: os.stat_result) -> Seen:
    return Seen(
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_uid,
        status.st_gid,
        status.st_nlink,
    )


def without_ctime(entries: Mapping[bytes, Seen]) -> dict[bytes, Seen]:
    """Return entries that other releases will have, and lose again, as the same files.

    Each time their count of names changes, and with it their time of change.
    """
    return {path: seen._replace(ctime_ns=0) for path, seen in entries.items()}


def unfit(entries: Mapping[bytes, Seen], outputs: Collection[str]) -> str:
    """Return why outputs cannot be passed on to other releases; empty: they can."""
    for output in outputs:
        if os.fsencode(output) not in entries:
            return f"it made no {output}"
    for path, seen in entries.items():
        if not any(is_kind(seen.mode) for is_kind in _KINDS):
            return f"{os.fsdecode(path)} is neither a file nor a folder nor a link"
    return ""


def changed(then: Mapping[bytes, Seen], now: Mapping[bytes, Seen]) -> Iterator[bytes]:
    """Yield what is gone or is not as it was; what came since is not looked at."""
    for path, seen in then.items():
        if path not in now or _differs(seen, now[path]):
            yield path


def _differs(then: Seen, now: Seen) -> bool:
    if stat.S_ISDIR(then.mode):
        return (then.mode, then.uid, then.gid) != (now.mode, now.uid, now.gid)
    named = then.names > 1 or now.names > 1  # one more name is a change, too
    if named or not then.ctime_ns:
        then, now = then._replace(ctime_ns=0), now._replace(ctime_ns=0)
    return then._replace(names=0) != now._replace(names=0)


def changed_in_place(
    then: Mapping[bytes, Seen], now: Mapping[bytes, Seen]
) -> Iterator[bytes]:
    """Yield the files that are still the same ones, and not as they were."""
    for path in changed(then, now):
        same = path in now and now[path].inode == then[path].inode
        if same and stat.S_ISREG(then[path].mode):
            yield path


def additions(then: Mapping[bytes, Seen], now: Mapping[bytes, Seen]) -> Iterator[bytes]:
    """Yield what came since, of a whole new folder only the folder."""
    for path in now:
        if path not in then and path.rpartition(b"/")[0] in then:
            yield path


def lost(then: Mapping[bytes, Seen], copy: Mapping[bytes, Seen]) -> bool:
    """Return whether a copy is not what it should be: kinds, modes, sizes."""
    return then.keys() != copy.keys() or any(
        then[path].mode != copy[path].mode
        or (then[path].size != copy[path].size and not stat.S_ISDIR(then[path].mode))
        for path in then
    )
