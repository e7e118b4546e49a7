"""What a command sees of the machine, where bubblewrap (bwrap(1)) can make it so.

The system, read-only; its release, shared paths and a cache directory, to write; and
nothing else: no home, no other app, no ledger, no links, no other process. Nothing that
is memory may be written to but /dev/shm, which has a size.
"""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gitdeploy.errors import SystemFailed
from gitdeploy.ground import Ground
from gitdeploy.steps.binding import Bindings, Kind, Shown
from gitdeploy.steps.bubblewrap import knows
from gitdeploy.system import process
from gitdeploy.system.programs import found
from gitdeploy.system.surroundings import BARE

__all__ = ["Box", "why_no_box"]

_SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/etc", "/opt", "/nix/store", "/run/current-system"),
)
_NAMES_OF_HOSTS: Final = ("/run/systemd/resolve", "/run/resolvconf")
"""Where /etc/resolv.conf leads to on many machines."""

_NAMESPACES: Final = ("ipc", "pid", "uts", "cgroup-try")
# What root needs to install files for others; nothing that changes mounts or devices.
_OF_ROOT: Final = ("FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID")
_OVER_FILES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER")
_SETTINGS: Final = ("/proc/sys", "/proc/sysrq-trigger")
_TRIAL_S: Final = 5.0
_SHM: Final = "/dev/shm"  # noqa: S108 - as above
_OF_MEMORY: Final = ("/dev", "/")
_TMP: Final = "/tmp"  # noqa: S108 - inside, where nobody else is


class Box(Struct, frozen=True):
    """What a command may see and write; whatever is not named is not there for it."""

    home: Ground
    """Where HOME is: it outlives releases, so that caches of packages do."""
    tmp: Path
    """Where on the server each command has a /tmp of its own, while it runs: in a
    directory that has nothing else in it."""
    shm_bytes: int = 2**30
    """How much memory fits into its /dev/shm."""
    readable: tuple[Shown, ...] = ()
    """What is there besides the system, if it exists."""
    writable: tuple[Shown, ...] = ()
    """What may be written to, if it exists."""
    scratch: tuple[Path, ...] = ()
    """Those of them that count as what it writes to /tmp."""
    hidden: tuple[Path, ...] = ()
    """What is empty but for the places named here that lie in it."""
    links: tuple[tuple[Path, str], ...] = ()
    """Symbolic links that are there, and what they hold."""
    network: bool = True
    """Whether it is the network of the machine; else there is none."""
    looks: bool = False
    """Whether HOME is only read, too."""
    stands_in: tuple[Path, Path] | None = None
    """A directory, and the place that it is shown at instead of what is there."""

    def also(self, *writable: Path) -> "Box":
        """Return a box in which more may be written to, for as long as it runs."""
        return replace(
            self,
            writable=(*self.writable, *writable),
            scratch=(*self.scratch, *writable),
        )

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that a command has in it."""
        return {**given, "HOME": str(self.home), "TMPDIR": _TMP}

    def words(
        self,
        directory: Path,
        tmp: Path,
        opened: Bindings,
        *,
        unprivileged: bool = False,
    ) -> list[str]:
        """Return what goes in front of a command's argv.

        Args:
            directory: Where the command runs; it is there by one of the places.
            tmp: What is its /tmp.
            opened: Opens the places; what starts the command has its descriptors.
            unprivileged: Whether it shall not write into read-only files, as root.

        Raises:
            SystemFailed: A place that others write to is a link.
        """
        return [
            *_confined(
                network=self.network, shut=_found_out()[1], unprivileged=unprivileged
            ),
            *("--bind", str(tmp), _TMP, "--symlink", "../tmp", "/var/tmp"),  # noqa: S108
            *self._memory(tmp),
            *self._places(opened),
            *self._sealed(),
            *("--chdir", str(directory), "--"),
        ]

    def _places(self, opened: Bindings) -> Iterator[str]:
        """Yield what is mounted; what lies within another comes after it."""
        hosts = map(Path, _NAMES_OF_HOSTS if self.network else ())
        home = (self.home,)
        readable = (*hosts, *self.readable, *(home if self.looks else ()))
        writable = (*self.writable, *(() if self.looks else home))
        shown = {Path(str(place)): place for place in (*readable, *writable)}
        for path in sorted({*self.hidden, *shown}):
            if path not in shown:
                yield from ("--tmpfs", str(path))
                continue
            kind: Kind = "--bind" if shown[path] in writable else "--ro-bind"
            yield from opened.words(kind, self._shown_at(shown[path]), path)
        for link, target in self.links:
            yield from ("--symlink", target, str(link))

    def _shown_at(self, place: Shown) -> Shown:
        """Return what is mounted at a place."""
        if self.stands_in and self.stands_in[1] == place:
            return self.stands_in[0]
        return place

    def _memory(self, tmp: Path) -> Iterator[str]:
        """Yield a /dev/shm that holds no more than it may; places may lie in it.

        Where bubblewrap knows no sizes (before 0.7) that is on the disk, in its /tmp.
        """
        if knows("--size"):
            size = ("--size", str(self.shm_bytes))
            yield from ("--perms", "1777", *size, "--tmpfs", _SHM)
        else:
            yield from ("--bind", str(tmp), _SHM)

    def _sealed(self) -> Iterator[str]:
        """Yield what lets no other memory be written to."""
        places = (*self.readable, *self.writable, self.home)
        shown = {Path(str(place)) for place in places}
        for path in (*(set(self.hidden) - shown), *_OF_MEMORY):
            yield from ("--remount-ro", str(path))


def why_no_box() -> str:
    """Return why commands cannot be confined here, by trying; empty: they can."""
    return _found_out()[0]


@cache
def _found_out() -> tuple[str, bool]:
    """Return why there is no box, and whether one can shut user namespaces off.

    In one of its own a command has all capabilities, and reaches far more of the
    kernel. bwrap before 0.8 cannot help it; for root, who needs none, it does not.
    """
    if found("bwrap") is None:
        return "bubblewrap is not installed", False
    why = ""
    sealed = [word for path in _OF_MEMORY for word in ("--remount-ro", path)]
    for shut in (True, False) if os.geteuid() else (False,):
        try:
            argv = [*_confined(network=False, shut=shut), *sealed, "--", "/bin/true"]
            process.run(argv, env=BARE, timeout_s=_TRIAL_S)
        except SystemFailed as error:
            why = f"bubblewrap does not work here: {error.message}"
        else:
            return "", shut
    return why, False


def _confined(*, network: bool, shut: bool, unprivileged: bool = False) -> list[str]:
    bwrap = found("bwrap")
    assert bwrap is not None
    unshared = [*_NAMESPACES, *(() if network else ("net",))]
    return [
        bwrap,
        *(f"--unshare-{name}" for name in unshared),
        *(["--disable-userns"] if shut else []),
        "--die-with-parent",
        *_rights(() if unprivileged else _OVER_FILES),
        *_system(),
        *("--proc", "/proc", "--dev", "/dev"),
        *_kernel(),
    ]


def _rights(over_files: tuple[str, ...]) -> Iterator[str]:
    """Yield what a command keeps of our rights: none that reach outside."""
    if os.geteuid() != 0:
        yield "--unshare-user"
        return
    yield from ("--cap-drop", "ALL")
    for name in (*_OF_ROOT, *over_files):
        yield from ("--cap-add", f"CAP_{name}")


def _kernel() -> Iterator[str]:
    """Yield what keeps root from the kernel's settings, which no capability guards."""
    if os.geteuid() == 0:
        for path in _SETTINGS:
            yield from ("--ro-bind-try", path, path)


def _system() -> Iterator[str]:
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", os.readlink(path), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
