"""What somebody may push, as the forced command found it, in few words.

It has read all of access.toml, server.toml and authorized_keys a moment before; doing
so again in pre-receive would cost each pusher three times what the hook costs. So it
hands over what counts, with what each of these files was then. Where one of them has
changed, or the words do not say yes, nothing is refused by them: rights are asked anew
(`before`). A permit lets through what proc-receive or post-receive judges again.

Nothing but os and time is imported here: each module more is time that pushers wait.
"""

import os
import time

TYPE_CHECKING = False  # as typing has it, which is dear
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gitdeploy.config.access import Action

__all__ = ["as_of", "covers", "is_simple", "written"]

_META = "*?["
_WORDS = 3


def written(
    may: "Mapping[Action, Iterable[str]]",
    files: "Mapping[str, str]",
    *,
    expires_s: "float | None",
    refs: int,
) -> str:
    """Return a permit.

    Args:
        may: Patterns of refs, by `stage` and `release`; those that are not simple
            are left out, and asked for anew.
        files: What all of this was read from, and what `as_of` said before.
        expires_s: When the key ends, in seconds since 1970; None: never.
        refs: How many refs one push may update.
    """
    lines = [f"{action} {one}" for action in may for one in may[action]]
    lines += [f"file {then} {path}" for path, then in files.items()]
    if expires_s is not None:
        lines.append(f"until {expires_s:.0f}")
    return "\n".join([*lines, f"refs {refs}"])


def is_simple(pattern: str) -> bool:
    """Return whether a pattern is a name, or the beginning of one and a star."""
    name = pattern.removesuffix("*")
    return pattern.isprintable() and " " not in name and not set(_META) & set(name)


def as_of(path: str) -> str:
    """Return what is another one whenever a file is."""
    try:
        now = os.stat(path)
    except OSError:
        return "-"
    return (
        f"{now.st_dev}.{now.st_ino}.{now.st_size}.{now.st_mtime_ns}.{now.st_ctime_ns}"
    )


def covers(permit: str, refs: "list[str]") -> bool:
    """Return whether a permit holds, and lets all of these refs be pushed."""
    words = [line.split(" ", 2) for line in permit.split("\n")]
    most = [int(line[1]) for line in words if line[0] == "refs"]
    if not most or len(refs) > most[0] or not _holds(words):
        return False
    may = {
        action: [line[1] for line in words if line[0] == action]
        for action in ("stage", "release")
    }
    return all(_may(may, ref) for ref in refs)


def _holds(words: "list[list[str]]") -> bool:
    """Return whether all is as it was when the permit was written."""
    files = [line[1:] for line in words if line[0] == "file" and len(line) == _WORDS]
    ends = [float(line[1]) for line in words if line[0] == "until"]
    return (
        bool(files)
        and all(as_of(path) == then for then, path in files)
        and all(time.time() < end for end in ends)
    )


def _may(may: "dict[str, list[str]]", ref: str) -> bool:
    """Return whether a ref may be pushed; a tag takes release, all else stage."""
    is_tag = ref.startswith("refs/tags/")
    names = [ref, ref.removeprefix("refs/tags/" if is_tag else "refs/heads/")]
    patterns = may["release" if is_tag else "stage"]
    return any(_fits(name, pattern) for name in names for pattern in patterns)


def _fits(name: str, pattern: str) -> bool:
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern
