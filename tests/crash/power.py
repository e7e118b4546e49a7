"""A file system in a file, and the call that takes its power away.

The file system's own shutdown stands for the cut (EXT4_IOC_SHUTDOWN, which is
XFS_IOC_GOINGDOWN): from that moment on nothing reaches the disk, and mounting it
again replays its journal, as after a real one. What a drive keeps in a cache of its
own is no part of it: the kernel flushes that with every sync.
"""

import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from support import process
from support.tools import found

__all__ = [
    "CUTS",
    "FILE_SYSTEMS",
    "after_cut",
    "copied",
    "cut_off",
    "made",
    "missing",
    "mounted",
]

FILE_SYSTEMS: Final = {
    "ext4": ("64M", "-q", "-F"),
    "xfs": ("300M", "-q", "-f"),  # it refuses less; both are sparse
}
CUTS: Final = {
    0: "what was written is on the disk",
    1: "what was named is on the disk, its content only where it was synced",
    2: "what was synced is on the disk",
}
_SHUTDOWN: Final = 0x8004587D  # _IOR('X', 125, __u32)


def made(kind: str, image: Path, fill: Callable[[Path], object]) -> None:
    """Make a file system that holds what `fill` writes, durably; its name goes last."""
    size, *options = FILE_SYSTEMS[kind]
    with tempfile.TemporaryDirectory(dir=image.parent) as place:
        beside, top = Path(place) / "image", Path(place) / "disk"
        process.run("truncate", f"--size={size}", beside)
        process.run(_mkfs(kind) or "mkfs", *options, beside)
        with mounted(beside, top):
            fill(top)
        beside.rename(image)


@contextmanager
def copied(image: Path) -> Iterator[Path]:
    """A copy of a disk, mounted for the body and gone afterwards."""
    with tempfile.TemporaryDirectory(dir=image.parent) as place:
        copy, top = Path(place) / "copy", Path(place) / "disk"
        _copy(image, copy)
        with mounted(copy, top):
            yield top


@contextmanager
def after_cut(image: Path, act: Callable[[Path], object], cut: int) -> Iterator[Path]:
    """The disk as it is when the power is back, if it went as soon as `act` ended.

    Each time it begins as a copy of `image`.
    """
    with tempfile.TemporaryDirectory(dir=image.parent) as place:
        after, top = Path(place) / "after", Path(place) / "disk"
        cut_off(image, after, top, act, cut)
        with mounted(after, top):
            yield top


def cut_off(
    image: Path, after: Path, top: Path, act: Callable[[Path], object], cut: int
) -> None:
    """Write what a disk is after the power went as soon as `act` ended to `after`.

    A file of another name: the loop device may serve old blocks of one that it knows.
    """
    before = after.with_name(f"{after.name}.before")
    _copy(image, before)
    with mounted(before, top):
        act(top)
        _shut_down(top, cut)
    _copy(before, after)
    before.unlink()


@cache
def missing(kind: str) -> str:
    """Return why a file system cannot be tried here; empty where it can."""
    if os.geteuid():
        return "only root can mount a file system"
    if not _mkfs(kind):
        return f"mkfs.{kind} is missing; `make test` as root installs it"
    with tempfile.TemporaryDirectory() as place:
        try:
            made(kind, Path(place) / "image", lambda top: (top / "file").touch())
        except process.ProgramError as error:
            return f"{kind} in a file cannot be mounted: {error.done.stderr.strip()}"
    return ""


def _mkfs(kind: str) -> str | None:
    return found(f"mkfs.{kind}")


def _copy(image: Path, copy: Path) -> None:
    process.run("cp", "--sparse=always", "--reflink=auto", image, copy)


def _shut_down(top: Path, cut: int) -> None:
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", cut))
    finally:
        os.close(fd)


@contextmanager
def mounted(image: Path, top: Path) -> Iterator[None]:
    """An image at `top`; its loop device goes with it (mount(8), -o loop)."""
    top.mkdir(exist_ok=True)
    # XFS refuses a second copy of a disk beside the first: they have one UUID.
    options = "loop,nouuid" if _magic(image) == b"XFSB" else "loop"
    process.run("mount", "-o", options, image, top)
    try:
        yield
    finally:
        _unmount(top)


def _magic(image: Path) -> bytes:
    with image.open("rb") as disk:
        return disk.read(4)


def _unmount(top: Path) -> None:
    """Unmount as soon as those that were killed are gone; at most 10 s."""
    end = time.monotonic() + 10
    while (done := process.run("umount", top, check=False)).returncode:
        if time.monotonic() > end:
            process.run("umount", "--lazy", top)
            raise process.ProgramError(done)
        time.sleep(0.02)
