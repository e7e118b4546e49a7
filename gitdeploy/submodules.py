"""Submodules: mirrored on the server, fetched by the protocols the server allows."""

import hashlib
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from gitdeploy.config import Submodules
from gitdeploy.errors import ReleaseFailed
from gitdeploy.system import files
from gitdeploy.system.git import DURABLE, Git, make_repository
from gitdeploy.system.process import CommandFailed, TookTooLong
from gitdeploy.system.terminal import fit, printable

__all__ = ["mirror_of", "mirrored", "protocol_of", "urls"]

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://", re.ASCII)
_HOST: Final = r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
_USER: Final = r"(?:[A-Za-z0-9_][A-Za-z0-9._+-]*@)?"
_SCP: Final = rf"(?!https?:|ssh:|file:|git:){_USER}{_HOST}:(?!:|//)"
_REST: Final = r"[^\x00-\x1f\x7f]*"
_FORMS: Final = {
    "https": re.compile(
        rf"https://(?:[^\x00-\x20\x7f@/?#]+@)?{_HOST}(?::\d+)?/{_REST}"
    ),
    "ssh": re.compile(rf"ssh://{_USER}{_HOST}(?::\d+)?/{_REST}|{_SCP}{_REST}"),
    "file": re.compile(rf"(?:file://)?/{_REST}"),
}
"""The URLs that git is handed, by protocol. What else git reads as one may start a
program of its (`ext::`), take a descriptor (`fd::`), or be an option."""

_MOST_CHARACTERS: Final = 2048
_SHOWN: Final = 80
_BRANCHES_AND_TAGS: Final = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_SSH: Final = (
    "ssh -o BatchMode=yes -o ConnectTimeout=20"
    " -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
)
_WITHOUT_A_KEY: Final = (
    " -F none -o IdentitiesOnly=yes -o IdentityFile=none -o IdentityAgent=none"
    " -o PubkeyAuthentication=no -o GSSAPIAuthentication=no -o ControlPath=none"
)
"""Neither a key of the server's user, nor an agent's, nor a connection that is open."""
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
    sources: Submodules,
) -> Git:
    """Return git in a mirror of `url` that has `commit`, fetched if need be.

    Args:
        url: As `.gitmodules` has it.
        commit: Full commit id.
        modules: Where the app's mirrors are.
        git_in: Returns git in a directory.
        sources: From where the server allows them, and whether by its own key.

    Changes: a mirror below `modules`. Safe to repeat.

    Raises:
        ReleaseFailed: The URL is not allowed, or what it leads to lacks the commit.
    """
    protocol = _checked(url, sources.protocols)
    place = _place(url, modules)
    git = git_in(place)
    if not (place / "HEAD").exists():
        files.make_directory(modules)
        make_repository(git)
    if not _has(git, commit):
        _fetch(git, url, protocol, ssh_key=sources.ssh_key)
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


def _checked(url: str, protocols: Collection[str]) -> str:
    """Return the protocol of a URL that may be fetched.

    Raises:
        ReleaseFailed: It is none, or one by a protocol that is not allowed.
    """
    shown = repr(fit(url, _SHOWN))
    if url.startswith(("./", "../")):
        raise ReleaseFailed(
            f"the submodule URL {shown} is relative; the server has nothing beside it",
            hint="write the whole URL into .gitmodules",
        )
    protocol = protocol_of(url)
    if protocol is None:
        raise ReleaseFailed(
            f"the submodule URL {shown} should be https://HOST/PATH,"
            " ssh://USER@HOST/PATH or USER@HOST:PATH",
            hint="write such a URL into .gitmodules",
        )
    if protocol not in protocols:
        allowed = ", ".join(protocols) or "none"
        raise ReleaseFailed(
            f"the submodule URL {shown} is not one this server fetches ({allowed})",
            hint="[submodules] protocols  in the server's server.toml",
        )
    return protocol


def protocol_of(url: str) -> str | None:
    """Return by what a URL is fetched, if it has one of the forms that we know."""
    if len(url) > _MOST_CHARACTERS:
        return None
    for protocol, form in _FORMS.items():
        if form.fullmatch(url):
            return protocol
    scheme = _SCHEME.match(url)
    return scheme[1] if scheme and scheme[1] not in _FORMS else None


def _has(git: Git, commit: str) -> bool:
    try:
        git("cat-file", "-e", f"{commit}^{{tree}}")
    except CommandFailed:
        return False
    return True


def _fetch(git: Git, url: str, protocol: str, *, ssh_key: bool) -> None:
    environment = {
        "GIT_ALLOW_PROTOCOL": protocol,
        "GIT_SSH_COMMAND": _SSH if ssh_key else f"{_SSH}{_WITHOUT_A_KEY}",
    }
    try:
        git(
            "fetch",
            "--quiet",
            "--no-tags",
            "--end-of-options",
            url,
            *_BRANCHES_AND_TAGS,
            config=(*_PATIENCE, DURABLE),
            environment=environment,
            timeout_s=_FETCH_S,
        )
    except TookTooLong as error:
        raise ReleaseFailed(f"submodule {url!r}: {error.message}") from error
    except CommandFailed as error:
        lines = error.stderr.splitlines() or ["git said nothing"]
        if protocol == "ssh":  # what ssh says comes first, and then git's advice
            raise _not_by_ssh(url, lines[0], ssh_key=ssh_key) from error
        raise ReleaseFailed(f"submodule {url!r}: {lines[-1]}") from error


def _not_by_ssh(url: str, said: str, *, ssh_key: bool) -> ReleaseFailed:
    why = f"submodule {url!r}: {printable(said)}"
    if ssh_key:
        return ReleaseFailed(why)
    return ReleaseFailed(
        f"{why}; the server's own key was not offered",
        hint="[submodules] ssh_key = true  in the server's server.toml",
    )
