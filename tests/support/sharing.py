"""An app whose releases share files, and what lies in their directories."""

import os
import shutil
import stat
from pathlib import Path

from support import process
from support.git import Push, Work
from support.server import Server

Found = dict[bytes, tuple[int, bytes]]

ALWAYS = '[checkout]\nshare = "always"\n'
NEVER = '[checkout]\nshare = "never"\n'
STEP = "[[build.steps]]\nrun = '''{run}'''\n"


class Shop:
    """An app whose releases can be compared with their commits."""

    def __init__(self, server: Server, work: Work) -> None:
        self.server = server
        self.work = work

    def push(self, message: str = "change", /, **files: str | bytes) -> Push:
        """Commit files and push them; the push may be refused."""
        if files:
            self.work.commit(message, **files)
        return self.work.push("main")

    def stage(self, message: str = "change", /, **files: str | bytes) -> Path:
        """Commit files, push them, and return the release's directory."""
        done = self.push(message, **files)
        assert done.code == 0, done.output
        return self.live()

    def live(self) -> Path:
        """Return what is staged."""
        return (self.server.target / "shop-staging").resolve()

    def release(self, number: int) -> Path:
        """Return the directory of a release."""
        (found,) = (self.server.root / "shop/releases").glob(f"{number}-*")
        return found

    def record(self, number: int) -> Path:
        """Return the record of a release's files."""
        return self.server.root / "shop/manifests" / self.release(number).name

    def committed(self, at: Path) -> Found:
        """Return what git itself makes of HEAD, in a new clone."""
        shutil.rmtree(at, ignore_errors=True)
        process.run("git", "clone", "--quiet", self.work.path, at)
        shutil.rmtree(at / ".git")
        return found_in(at)


def found_in(top: Path) -> Found:
    """Return every file below: whether it runs or is a link, and its bytes."""
    found: Found = {}
    for place, _, names in os.walk(os.fsencode(top)):
        for name in names:
            path = os.path.join(place, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(top))
            if stat.S_ISLNK(status.st_mode):
                found[relative] = (stat.S_IFLNK, os.readlink(path))
            else:
                runs = status.st_mode & 0o111
                found[relative] = (runs, Path(os.fsdecode(path)).read_bytes())
    return found


def same_file(one: Path, other: Path) -> bool:
    return one.lstat().st_ino == other.lstat().st_ino
