"""The note that the gate leaves: which updates of this push it has judged.

Where post-receive finds in it what git hands to itself, there is nothing to do, and
no ledger has to be asked. If that were ever wrong a deployment would be lost. So a note
counts only where all of this holds; anything else (none, an older one, another
push's, half of one, a shell between git and the hook) means: ask the ledger.

- It names the git that started us, and was left by a gate that the same git started:
  by its process number and its start, within this boot of the machine and this
  namespace of numbers (proc(5)). No two processes have these in common. And a
  git-receive-pack takes one push, and runs each hook once (githooks(5)).
- What it tells is what git tells, byte for byte: each ref with its old and new object.
- The gate leaves it last, when the ledger says of each of them that it was judged, and
  this is on the disk. What others push from then on is theirs to judge.

Nobody has to take it away: it means nothing to the next push, whose gate replaces it.

Nothing but os is imported here: each module more is time that every pusher waits.
"""

import os

__all__ = ["is_ours", "place", "push", "written"]

# Counted from the field after the program's name, in /proc/PID/stat.
_STARTED = 19


def place(repository: str) -> str:
    """Return where the note to the post-receive of a repository lies."""
    return os.path.join(os.path.realpath(repository).removesuffix(".git"), "judged")


def written(updates: bytes) -> bytes | None:
    """Return the note of this push; None where git is not who started us.

    Args:
        updates: As post-receive gets them: `OLD NEW REF`, a line each.
    """
    this = push()
    return this and this + updates


def is_ours(repository: str, updates: bytes) -> bool:
    """Return whether the gate judged these very updates in this very push."""
    note = written(updates)
    try:
        return note is not None and _read(place(repository)) == note
    except OSError:
        return False


def push() -> bytes | None:
    """Return a line that no other push has, nor will ever have; None: no git is here.

    Every hook of one push is started by the same git.
    """
    try:
        return _push()
    except (OSError, IndexError):  # no /proc, or git has just ended
        return None


def _push() -> bytes | None:
    """Return a line that no other push has, nor will ever have."""
    git = os.getppid()
    name, _, rest = _read(f"/proc/{git}/stat").partition(b"(")[2].rpartition(b")")
    if not name.startswith(b"git"):
        return None
    boot = _read("/proc/sys/kernel/random/boot_id").decode().strip()
    started = rest.split()[_STARTED].decode()
    return f"{boot} {os.readlink('/proc/self/ns/pid')} {git} {started}\n".encode()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
