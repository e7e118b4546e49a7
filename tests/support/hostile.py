"""Trees that mean harm, made of raw objects: git itself would make none of them."""

import hashlib
import os
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from support.server import Server

FILE, RUN, LINK, TREE, MODULE = "100644", "100755", "120000", "40000", "160000"
MISSING = "12" * 20

DEEP = 3000
"""Levels of folders; Python's own recursion ends at a thousand."""

ZEROS = 300 * 2**20
PERSON = "Mallory <mallory@example.org> 1767225600 +0000"

Entry = tuple[str, str | bytes, str]


class Raw:
    """A repository whose objects are written as they are, however wrong."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir

    def write(self, kind: str, data: bytes) -> str:
        """Write an object, and return its id (gitrepository-layout(5), "objects")."""
        whole = f"{kind} {len(data)}\0".encode() + data
        id_ = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        place = self.git_dir / "objects" / id_[:2] / id_[2:]
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(zlib.compress(whole, 1))
        return id_

    def blob(self, data: bytes | str = b"evil") -> str:
        return self.write("blob", data.encode() if isinstance(data, str) else data)

    def tree(self, *entries: Entry) -> str:
        """Write a tree of (mode, name, id), in this very order."""
        return self.write("tree", b"".join(_entry(*entry) for entry in entries))

    def file(self, name: str | bytes, data: bytes | str = b"evil") -> str:
        """Write a tree of one file."""
        return self.tree((FILE, name, self.blob(data)))

    def below(self, folder: str, tree: str) -> str:
        return self.tree((TREE, folder, tree))

    def link(self, name: str, target: str) -> str:
        """Write a tree of one link."""
        return self.tree((LINK, name, self.blob(target)))

    def modules(self, name: str, url: str) -> str:
        """Write a tree that wants a submodule, as `.gitmodules` tells of it."""
        said = f'[submodule "{name}"]\n\tpath = lib\n\turl = {url}\n'
        return self.tree(
            (FILE, ".gitmodules", self.blob(said)),
            (FILE, "deploy.toml", self.blob("[checkout]\nsubmodules = true\n")),
            (MODULE, "lib", MISSING),
        )

    def nested(self, levels: int) -> str:
        tree = self.file("a")
        for _ in range(levels):
            tree = self.below("d", tree)
        return tree

    def bomb(self) -> str:
        """Write a tree of 10^10 files; it has a hundred entries."""
        leaf = self.blob(b"x")
        tree = self.tree(*((FILE, f"f{n}", leaf) for n in range(10)))
        for _ in range(9):
            tree = self.tree(*((TREE, f"d{n}", tree) for n in range(10)))
        return tree

    def commit(self, tree: str, message: bytes = b"hostile\n", parent: str = "") -> str:
        above = f"parent {parent}\n" if parent else ""
        head = f"tree {tree}\n{above}author {PERSON}\ncommitter {PERSON}\n\n"
        return self.write("commit", head.encode() + message)


class Hostile(NamedTuple):
    """A tree, and what has to become of it."""

    tree: Callable[[Raw], str]
    fsck: str = ""
    """What git's own fsck calls it; empty: it lets it through."""
    refused: str = ""
    """Our words, where git lets it through; empty: it is harmless."""
    deployed: Mapping[bytes, bytes] = {}
    """What a harmless one is on disk, links by what they point to."""


def _no_name(name: str) -> str:
    return f"{name!r} cannot be the name of a file"


def _entry(mode: str, name: str | bytes, id_: str) -> bytes:
    raw = name.encode() if isinstance(name, str) else name
    return b"%b %b\0%b" % (mode.encode(), raw, bytes.fromhex(id_))


def _twice(raw: Raw) -> str:
    inner = raw.file("evil")
    return raw.tree((LINK, "a", raw.blob("b")), (TREE, "a", inner))


def _by_way_of_a_link(raw: Raw) -> str:
    up = raw.link("up", "..")
    return raw.tree((TREE, "d", up), (LINK, "out", raw.blob("d/up/../secret")))


def _bare_repository(raw: Raw) -> str:
    config = raw.blob(
        "[core]\n\tbare = false\n\tfsmonitor = touch /tmp/gitdeploy-ran\n"
    )
    return raw.tree(
        (FILE, "HEAD", raw.blob("ref: refs/heads/main\n")),
        (FILE, "config", config),
        (TREE, "objects", raw.file("a")),
        (TREE, "refs", raw.file("a")),
    )


def _above_shared(raw: Raw) -> str:
    toml = raw.blob('[shared]\nfiles = ["config/secret"]\n')
    return raw.tree(
        (LINK, "config", raw.blob("elsewhere")), (FILE, "deploy.toml", toml)
    )


def _mode(mode: str) -> Hostile:
    return Hostile(
        lambda raw: raw.tree((mode, "a", raw.blob())), deployed={b"a": b"evil"}
    )


def _named(name: bytes) -> Hostile:
    return Hostile(lambda raw: raw.file(name), deployed={name: b"evil"})


TREES: Mapping[str, Hostile] = {
    "a folder called ..": Hostile(
        lambda raw: raw.below("..", raw.file("escaped")), "hasDotdot", _no_name("..")
    ),
    "a folder called .": Hostile(
        lambda raw: raw.below(".", raw.file("a")), "hasDot", _no_name(".")
    ),
    "a hook in .git": Hostile(
        lambda raw: raw.below(".git", raw.below("hooks", raw.file("post-checkout"))),
        "hasDotgit",
        _no_name(".git"),
    ),
    "a configuration in .GIT": Hostile(
        lambda raw: raw.below(".GIT", raw.file("config")), "hasDotgit", _no_name(".GIT")
    ),
    "git~1, which is .git on NTFS": Hostile(
        lambda raw: raw.below("git~1", raw.file("config")),
        "hasDotgit",
        _no_name("git~1"),
    ),
    "an absolute path as a name": Hostile(
        lambda raw: raw.file("/etc/cron.d/gitdeploy-canary"),
        "fullPathname",
        _no_name("/etc/cron.d/gitdeploy-canary"),
    ),
    "a path as one name": Hostile(
        lambda raw: raw.file("a/b"), "fullPathname", _no_name("a/b")
    ),
    "a .git that HFS+ takes for it": Hostile(
        lambda raw: raw.below(".g\u200cit", raw.file("config")),
        "hasDotgit",
        "'.g\\xe2\\x80\\x8cit' cannot be",
    ),
    "a link and a folder of one name": Hostile(
        _twice, "duplicateEntries", "one folder has two entries called 'a'"
    ),
    "a .gitmodules that is a link": Hostile(
        lambda raw: raw.link(".gitmodules", "a"),
        "gitmodulesSymlink",
        "'.gitmodules' cannot be a link",
    ),
    "a submodule whose name is a path": Hostile(
        lambda raw: raw.modules("../../hooks", "http://example.org/x"),
        "gitmodulesName",
        "the submodule URL 'http://example.org/x' is not one this server fetches",
    ),
    "a submodule whose URL is an option": Hostile(
        lambda raw: raw.modules("x", "-uexec"),
        "gitmodulesUrl",
        "the submodule URL '-uexec' should be https://HOST/PATH",
    ),
    "a link to /etc/passwd": Hostile(
        lambda raw: raw.link("a", "/etc/passwd"),
        refused="the link 'a' leads out of the release: '/etc/passwd'",
    ),
    "a link out of the release": Hostile(
        lambda raw: raw.below("d", raw.link("a", "../../../shared/.env")),
        refused="'d/a' leads out of the release: '../../../shared/.env'",
    ),
    "a link out by way of another": Hostile(
        _by_way_of_a_link, refused="'out' leads out of the release"
    ),
    "a link that a NUL makes lead out": Hostile(
        lambda raw: raw.link("a", "..\0"), refused="the link 'a' points to '..\\x00'"
    ),
    "a link to nothing": Hostile(
        lambda raw: raw.link("a", ""), refused="the link 'a' points to ''"
    ),
    "a link above a shared path": Hostile(
        _above_shared, refused="shared path config/secret: 'config' is a link"
    ),
    "a name with a newline and ESC": _named(b"a\n\x1b]0;owned\x07\x1b[2Jb"),
    "a name that is not UTF-8": _named(b"caf\xe9\xff"),
    "a name that is an option": _named(b"--upload-pack=touch gitdeploy-ran"),
    "a submodule": Hostile(
        lambda raw: raw.tree((FILE, "a", raw.blob()), (MODULE, "lib", MISSING)),
        refused="'lib' is a submodule",
    ),
    "a program that runs as its owner, 104755": _mode("104755"),
    "a file that everybody may write, 100666": _mode("100666"),
    "a name of 300 bytes": Hostile(
        lambda raw: raw.file("n" * 300), refused="has 300 bytes; the limit is 255"
    ),
    "3,000 folders within each other": Hostile(
        lambda raw: raw.nested(DEEP), refused="more than 64 directories deep"
    ),
    "a bare repository": Hostile(
        _bare_repository, refused="looks like a bare git repository"
    ),
}
"""The table of what is known to have broken others, one case each."""

BOMBS: Mapping[str, Hostile] = {
    "10^10 files": Hostile(Raw.bomb, refused="11,111,111,110 entries"),
    "300 MB of zeros": Hostile(
        lambda raw: raw.file("zeros", b"\0" * ZEROS),
        refused="'zeros' has 300.0 MiB; the limit for one file is 100.0 MiB",
    ),
}

UNREADABLE: Mapping[str, tuple[Callable[[Raw], str], str]] = {
    "a file without a name": (lambda raw: raw.file(""), "empty filename"),
    "a mode that is no number": (
        lambda raw: raw.tree(("1oo644", "a", raw.blob())),
        "malformed mode",
    ),
    "a negative mode": (
        lambda raw: raw.tree(("-100644", "a", raw.blob())),
        "malformed mode",
    ),
    "a tree cut off in an id": (
        lambda raw: raw.write("tree", b"100644 a\0half"),
        "too-short tree",
    ),
    "a tree that is no tree": (
        lambda raw: raw.write("tree", b"\xff" * 100),
        "too-short tree",
    ),
}
"""Trees that git sends nobody and cannot read itself, and its words for it."""

UNSENT: Mapping[str, Hostile] = {
    **{
        f"{name}, in a folder": Hostile(
            lambda raw, tree=tree: raw.below("d", tree(raw)),
            refused=_no_name("") if "name" in name else "missing or damaged",
        )
        for name, (tree, _) in UNREADABLE.items()
    },
    "a file that is missing": Hostile(
        lambda raw: raw.tree((FILE, "a", MISSING)), refused=MISSING
    ),
    "a folder that is a file": Hostile(
        lambda raw: raw.below("a", raw.blob()), refused="should be a tree"
    ),
    "a file that is a folder": Hostile(
        lambda raw: raw.tree((FILE, "a", raw.file("b"))), refused="should be a file"
    ),
}
"""What git sends nobody: it lies on the server already."""


# --- what must not happen -------------------------------------------------------


UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\udc80-\udcff]")
"""What acts on a terminal, and bytes that are no text."""

_OURS = {
    "shop": (
        "judged",
        "ledger.db",
        "ledger.db-shm",
        "ledger.db-wal",
        "lock",
        "logs",
        "manifests",
        "outputs",
        "queue",
        "releases",
        "tidying",
    ),
    "shop.git": ("logs", "objects", "packed-refs", "refs"),
}
"""Where a refused push may write below the root; its links are not among them."""


class Watched:
    """Everything around an app, for a look whether anything of it changed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.outside = server.root.parent / "outside"
        for name in (".ssh/authorized_keys", "etc/cron.d/jobs", "secret", "escaped"):
            place = self.outside / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("canary")
        (server.root / "blog").mkdir()
        (server.root / "blog" / ".env").write_text("canary")
        (server.root / "shop/shared/.env").write_text("canary")

    def seen(self) -> dict[str, tuple[int, bytes]]:
        """Return names, times and contents of all that is nobody's to change."""
        root = self.server.root
        own = {root / app / name for app, names in _OURS.items() for name in names}
        written = {str(place.parent) for place in own}
        found = {**_entries(self.outside, set()), **_entries(root, own)}
        return {
            path: (0, data) if path in written else (when, data)
            for path, (when, data) in found.items()
        }

    def said(self) -> str:
        """Return what every log of the app says."""
        logs = sorted((self.server.root / "shop/logs").glob("*.log"))
        return "".join(log.read_text("utf-8", "surrogateescape") for log in logs)


def _entries(directory: Path, but: set[Path]) -> dict[str, tuple[int, bytes]]:
    found = {}
    for path in sorted(directory.iterdir()):
        if path in but:
            continue
        seen = path.lstat()
        if path.is_symlink():
            found[str(path)] = seen.st_mtime_ns, os.fsencode(path.readlink())
        elif path.is_dir():
            found[str(path)] = seen.st_mtime_ns, b""
            found |= _entries(path, but)
        else:
            found[str(path)] = seen.st_mtime_ns, path.read_bytes()
    return found
