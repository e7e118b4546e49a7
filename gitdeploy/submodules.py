"""Submodules: mirrored on the server, fetched by the protocols the server allows."""

import hashlib
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import files
from gitdeploy.system.git import DURABLE, Git, make_repository
from gitdeploy.system.process import CommandFailed, TookTooLong

__all__ = ["mirror_of", "mirrored", "urls"]

_URL: Final = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://", re.ASCII)
_SCP_LIKE: Final = re.compile(r"[^/:-][^/:]*:", re.ASCII)
_BRANCHES_AND_TAGS: Final = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_SSH: Final = (
    "ssh -o BatchMode=yes -o ConnectTimeout=20"
    " -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
)
_FETCH_S: Final = 600.0
_PATIENCE: Final = ("http.lowSpeedLimit=1000", "http.lowSpeedTime=60")


def urls(git: Git, tree: str) -> dict[str, str]:
    """Return where the submodules of a tree come from: paths and URLs.

    Args:
        git: Runs git in the repository that has the tree.
        tree: The tree whose `.gitmodules` counts (gitmodules(5)).
    """
    try:
        listing = git("config", f"--blob={tree}:.gitmodules", "-z", "--list")
    except CommandFailed:
        return {}
    values: dict[str, dict[str, str]] = {}
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        name, _, variable = key.removeprefix("submodule.").rpartition(".")
        values.setdefault(name, {})[variable] = value
    return {
        module["path"]: module["url"]
        for module in values.values()
        if {"path", "url"} <= module.keys()
    }


def mirrored(
    url: str,
    commit: str,
    *,
    modules: Path,
    git_in: Callable[[Path], Git],
    protocols: Collection[str],
) -> Git:
    """Return git in a mirror of `url` that has `commit`, fetched if need be.

    Args:
        url: As `.gitmodules` has it.
        commit: Full commit id.
        modules: Where the app's mirrors are.
        git_in: Returns git in a directory.
        protocols: Those the server allows: https, ssh, file.

    Changes: a mirror below `modules`. Safe to repeat.

    Raises:
        ReleaseFailed: The URL is not allowed, or what it leads to lacks the commit.
    """
    _check(url, protocols)
    place = _place(url, modules)
    git = git_in(place)
    if not (place / "HEAD").exists():
        files.make_directory(modules)
        make_repository(git)
    if not _has(git, commit):
        _fetch(git, url, _BRANCHES_AND_TAGS, protocols)
    if not _has(git, commit):
        raise ReleaseFailed(
            f"{url!r} has no commit {commit[:10]}",
            hint="push the submodule's commit to where .gitmodules says it is",
        )
    return git


def mirror_of(
    url: str, commit: str, *, modules: Path, git_in: Callable[[Path], Git]
) -> Git | None:
    """Return git in the mirror of `url`, if it has `commit`; nothing is fetched."""
    git = git_in(_place(url, modules))
    return git if (git.directory / "HEAD").exists() and _has(git, commit) else None


def _place(url: str, modules: Path) -> Path:
    return modules / hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()


def _check(url: str, protocols: Collection[str]) -> None:
    if url.startswith(("./", "../")):
        raise ReleaseFailed(
            f"the submodule URL {url!r} is relative; the server has nothing beside it",
            hint="write the whole URL into .gitmodules",
        )
    protocol = _protocol(url)
    if protocol not in protocols:
        allowed = ", ".join(protocols) or "none"
        raise ReleaseFailed(
            f"the submodule URL {url!r} is not one this server fetches ({allowed})",
            hint="[submodules] protocols  in the server's server.toml",
        )


def _protocol(url: str) -> str | None:
    if match := _URL.match(url):
        return match["protocol"]
    if url.startswith("/"):
        return "file"
    return "ssh" if _SCP_LIKE.match(url) else None


def _has(git: Git, commit: str) -> bool:
    try:
        git("cat-file", "-e", f"{commit}^{{tree}}")
    except CommandFailed:
        return False
    return True


def _fetch(
    git: Git, url: str, refspecs: Collection[str], protocols: Collection[str]
) -> None:
    environment = {
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "GIT_SSH_COMMAND": _SSH,
    }
    try:
        git(
            "fetch",
            "--quiet",
            "--no-tags",
            "--end-of-options",
            url,
            *refspecs,
            config=(*_PATIENCE, DURABLE),
            environment=environment,
            timeout_s=_FETCH_S,
        )
    except TookTooLong as error:
        raise ReleaseFailed(f"submodule {url!r}: {error.message}") from error
    except CommandFailed as error:
        said = error.stderr.splitlines() or ["git said nothing"]
        raise ReleaseFailed(f"submodule {url!r}: {said[-1]}") from error
