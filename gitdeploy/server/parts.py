"""What a server consists of, and what is known of one; only values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct

__all__ = [
    "Account",
    "Check",
    "Command",
    "Directory",
    "Facts",
    "File",
    "No",
    "Part",
    "Plan",
    "Seen",
    "Wanted",
]

Check: TypeAlias = Literal["", "sshd", "logrotate"]
"""Who is asked whether a file is right, before it is kept."""


class Wanted(Struct, frozen=True):
    """What somebody asked for."""

    user: str
    root: Path | None = None
    """Absolute; None: `gitdeploy` in the user's home."""
    packages: bool = True
    """Whether missing Debian packages are installed."""


class Account(Struct, frozen=True):
    """A user of this machine."""

    uid: int
    group: str
    home: Path
    shell: str


class Seen(Struct, frozen=True):
    """What has a name on the disk; a link is not followed."""

    uid: int
    mode: int
    is_directory: bool = True
    is_empty: bool = False
    """Whether it is a directory that is known to hold nothing."""


class Facts(Struct, frozen=True):
    """What is known of a server before anything is decided."""

    root: Path
    """Absolute."""
    program: Path
    """What starts gitdeploy, whatever PATH is."""
    template: str
    """The unit of contrib."""
    account: Account | None = None
    """None: there is no such user yet."""
    has_group: bool = False
    """Whether there is a group of the user's name."""
    missing: tuple[str, ...] = ()
    """The Debian packages that are not there."""
    has_apt: bool = True
    seen: Mapping[Path, Seen] = {}
    """Of the home, the root and all above it, and `.ssh`: those that are there."""
    texts: Mapping[Path, str] = {}
    """What our files hold now, where they are there."""
    includes_snippets: bool = True
    """Whether sshd_config reads sshd_config.d."""
    systemd: bool = True
    """Whether it is what runs this machine."""
    enabled: bool = False
    """Whether the unit is started at boots."""
    sshd_says: str = ""
    """What is wrong with sshd's configuration as it is; empty: nothing."""
    program_says: str = ""
    """Why the user cannot run gitdeploy; empty: they can."""


class Command(Struct, frozen=True):
    """Something that programs of the machine do."""

    what: str
    """What it brings about, as the end of a sentence."""
    argvs: tuple[tuple[str, ...], ...]
    there: bool = False


class Directory(Struct, frozen=True):
    """A directory that belongs to the user."""

    path: Path
    mode: int
    owner: str
    in_home: bool
    """Whether the user makes it: root follows no path that others may change."""
    there: bool = False


class File(Struct, frozen=True):
    """A file of ours, root's, which everybody may read."""

    path: Path
    text: str
    check: Check = ""
    there: bool = False


Part: TypeAlias = Command | Directory | File


class Plan(Struct, frozen=True):
    """What a server needs, in the order in which it is made."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    """What somebody has to know or do besides, a sentence each."""

    @property
    def left(self) -> tuple[Part, ...]:
        """What is not there yet."""
        return tuple(part for part in self.parts if not part.there)


class No(Struct, frozen=True):
    """Why nothing at all is done."""

    message: str
    hint: str = ""
