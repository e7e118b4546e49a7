"""What a server still needs, and what speaks against giving it that; decides only."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gitdeploy.modes import ROOT
from gitdeploy.server import texts
from gitdeploy.server.parts import (
    Command,
    Directory,
    Facts,
    File,
    No,
    Part,
    Plan,
    Wanted,
)

__all__ = ["NEEDED", "planned"]

NEEDED: Final = {"git": "git", "sshd": "openssh-server"}
"""Programs that nothing works without, and Debian's package of each."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_LETS_NOBODY_IN: Final = ("nologin", "false")
_FOR_ALL: Final = "make -C gitdeploy install PREFIX=/usr/local PYTHON=/usr/bin/python3"
_HANG_UP: Final = 'kill -HUP "$(cat /run/sshd.pid)"'


def planned(facts: Facts, wanted: Wanted) -> Plan | No:
    """Return what is to be made, in order; or why nothing is."""
    no = next(_refusals(facts, wanted), None)
    if no is not None:
        return no
    return Plan(tuple(_parts(facts, wanted)), tuple(_notes(facts, wanted)))


# --- what speaks against it ---------------------------------------------------------


def _refusals(facts: Facts, wanted: Wanted) -> Iterator[No]:
    yield from _user_refusals(facts, wanted)
    yield from _package_refusals(facts, wanted)
    if facts.program_says:
        yield No(
            f"{wanted.user} cannot run {facts.program}: {facts.program_says}",
            hint=_FOR_ALL,
        )
    if facts.sshd_says:
        yield No(
            f"sshd's configuration is wrong as it is: {facts.sshd_says}", "sshd -t"
        )
    for path, text in facts.texts.items():
        if not texts.is_ours(text, wanted.user):
            yield No(
                f"{path} is there and was not written by gitdeploy server install for"
                f" {wanted.user}",
                hint=f"move {path} away",
            )
    for part in _directories(facts, wanted):
        yield from _directory_refusals(facts, part)


def _user_refusals(facts: Facts, wanted: Wanted) -> Iterator[No]:
    home = _home(facts, wanted)
    if facts.account is None and home in facts.seen:
        yield No(f"{home} is there, but no user {wanted.user}", f"move {home} away")
    if facts.account is not None and facts.account.uid == 0:
        yield No(
            f"{wanted.user} is root: who pushes would be, too", hint="--user deploy"
        )


def _package_refusals(facts: Facts, wanted: Wanted) -> Iterator[No]:
    names = " ".join(facts.missing)
    if wanted.packages and facts.missing and not facts.has_apt:
        yield No(
            f"these are missing, and there is no apt-get: {names}",
            hint="install them, then: gitdeploy server install --no-packages",
        )
    needed = [name for name in facts.missing if name in NEEDED.values()]
    if needed and not wanted.packages:
        yield No(
            f"nothing works without {' and '.join(needed)}",
            hint=f"apt-get install {' '.join(needed)}",
        )


def _directory_refusals(facts: Facts, part: Directory) -> Iterator[No]:
    seen = facts.seen.get(part.path)
    if seen is None:
        return
    if not seen.is_directory:
        yield No(f"{part.path} is there and is no directory", f"move {part.path} away")
    elif not _is_owned(facts, part.path) and not (seen.is_empty and not part.in_home):
        yield No(
            f"{part.path} is there and is not {part.owner}'s",
            hint=f"chown {part.owner}: {part.path}",
        )


# --- what it consists of ------------------------------------------------------------


def _parts(facts: Facts, wanted: Wanted) -> Iterator[Part]:
    if wanted.packages and facts.missing:
        yield _packages(facts.missing)
    yield _account(facts, wanted)
    yield from _directories(facts, wanted)
    snippet = _file(facts, texts.SNIPPET, texts.snippet(wanted.user))
    yield File(snippet.path, snippet.text, "sshd", snippet.there)
    if facts.systemd:
        reload = ("systemctl", "try-reload-or-restart", "ssh")
        yield Command("sshd reads it", (reload,), snippet.there)
    yield from _boot(facts, wanted)
    group = facts.account.group if facts.account else wanted.user
    rotation = texts.logrotate(wanted.user, group, facts.root)
    rotate = _file(facts, texts.LOGROTATE, rotation)
    yield File(rotate.path, rotate.text, "logrotate", rotate.there)


def _packages(names: tuple[str, ...]) -> Command:
    install = ("apt-get", "-q", "-y", "--no-install-recommends", "install", *names)
    update = ("apt-get", "-q", "update")
    return Command(f"Debian's packages: {' '.join(names)}", (update, install))


def _account(facts: Facts, wanted: Wanted) -> Command:
    """Return the user: without a password, but not locked.

    sshd lets nobody in to a locked account (`!`) where it goes without PAM; `*` is no
    password's hash, so that none fits.

    Source:
        sshd(8), "Login process"; shadow(5).
    """
    argv = (
        *("useradd", "--create-home", "--home-dir", str(_home(facts, wanted))),
        *("--key", "HOME_MODE=0711", "--shell", "/bin/sh", "--password", "*"),
        *(("--gid", wanted.user) if facts.has_group else ()),
        wanted.user,
    )
    return Command(f"the user {wanted.user}", (argv,), facts.account is not None)


def _directories(facts: Facts, wanted: Wanted) -> Iterator[Directory]:
    home = _home(facts, wanted)
    for path, mode in ((facts.root, ROOT.made), (home / ".ssh", 0o700)):
        in_home = home == path or home in path.parents
        seen = facts.seen.get(path)
        # Stricter than ours is somebody's will; wider is a hole.
        there = _is_owned(facts, path) and not (seen and seen.mode & _OTHERS_WRITE)
        yield Directory(path, mode, wanted.user, in_home, there)


def _boot(facts: Facts, wanted: Wanted) -> Iterator[Part]:
    text = texts.unit(facts.template, wanted.user, facts.root, facts.program)
    unit = _file(facts, texts.UNIT, text)
    yield unit
    if facts.systemd:
        reload = ("systemctl", "daemon-reload")
        yield Command("systemd reads it", (reload,), unit.there)
        enable = ("systemctl", "enable", texts.UNIT.name)
        yield Command("it runs at every start", (enable,), facts.enabled)


# --- what else is to be said --------------------------------------------------------


def _notes(facts: Facts, wanted: Wanted) -> Iterator[str]:
    if not facts.includes_snippets:
        yield (
            "/etc/ssh/sshd_config does not read our snippet; write at its top:"
            f"  Include {texts.SNIPPET.parent}/*.conf"
        )
    is_told = facts.systemd or facts.texts.get(texts.SNIPPET)
    if not is_told:
        yield f"sshd reads its snippet when it starts, or now:  {_HANG_UP}"
    if not facts.systemd and not facts.enabled:
        yield (
            "the unit is not enabled, as systemd does not run here:"
            f"  systemctl enable {texts.UNIT.name}"
        )
    if wall := _wall(facts):
        yield f"the web server cannot reach {facts.root}/www:  chmod o+x {wall}"
    shell = Path(facts.account.shell).name if facts.account else ""
    if shell in _LETS_NOBODY_IN:
        yield f"{wanted.user}'s shell lets nobody in:  usermod -s /bin/sh {wanted.user}"
    if facts.missing and not wanted.packages:
        yield f"worth having:  apt-get install {' '.join(facts.missing)}"


def _wall(facts: Facts) -> Path | None:
    """Return the first directory on the way to the root that others cannot pass."""
    for path in (*reversed(facts.root.parents), facts.root):
        seen = facts.seen.get(path)
        if seen is not None and not seen.mode & stat.S_IXOTH:
            return path
    return None


# --- small words --------------------------------------------------------------------


def _home(facts: Facts, wanted: Wanted) -> Path:
    return facts.account.home if facts.account else Path("/home", wanted.user)


def _is_owned(facts: Facts, path: Path) -> bool:
    seen = facts.seen.get(path)
    return bool(facts.account and seen and seen.uid == facts.account.uid)


def _file(facts: Facts, path: Path, text: str) -> File:
    return File(path, text, there=facts.texts.get(path) == text)
