"""What a step made, as it lay on the disk right then; compared before it is passed on.

Content is read as well before it is passed on: a file with a second name can be
changed, and its time of change tells nothing, as one more name changes that, too.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gitdeploy.system.below import directory_beneath, status_beneath

__all__ = [
    "Made",
    "Seen",
    "changed",
    "changed_in_place",
    "decode",
    "encode",
    "look",
    "unfit",
    "without_ctime",
]

_VERSION: Final = 2
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
    contents: dict[bytes, bytes]
    """SHA-256 of each file, and what each link holds, before anything else ran."""
    placed: tuple[bytes, ...] = ()
    """Text files and links that name the release's directory."""
    commit: str = ""
    """Whose step it was, in whichever release it ran."""
    trusted: bool = False
    """Whether no file of that commit which the step does not name as an input can have
    gone into it; or it has been on prod since."""


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
    found: dict[bytes, Seen] = {}
    with directory_beneath(release, b"") as top:
        pending: list[bytes] = []
        for output in map(os.fsencode, outputs):
            if status := status_beneath(top, output):
                found[output] = _seen(status)
                pending += [output] if stat.S_ISDIR(status.st_mode) else []
        while pending:
            folder = pending.pop()
            with directory_beneath(top, folder) as here, os.scandir(here) as entries:
                for entry in entries:
                    path = folder + b"/" + os.fsencode(entry.name)
                    found[path] = _seen(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
    return found


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
