"""access.toml changed: rights given and taken, all that people wrote in it kept."""

import os
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError

from gitdeploy.config.access import Action, parse_access
from gitdeploy.errors import ConfigError, NothingThere
from gitdeploy.layout import access_toml
from gitdeploy.system import clock, files, flock

__all__ = ["grant", "revoke"]

_PRIVATE: Final = 0o600
_GROUP_TOO: Final = 0o640
_Table: TypeAlias = MutableMapping[str, Any]


def grant(
    root: Path,
    to: str,
    actions: Sequence[Action],
    *,
    apps: str,
    refs: Sequence[str],
    made: str | None = None,
) -> None:
    """Let somebody do something with some apps.

    What is granted for an app by its name is for the app that has it now.

    Args:
        root: Where the apps are.
        to: A person, or "@group".
        actions: What they may do from now on, beside what they may already.
        apps: An app's name, or a pattern.
        refs: The branches and tags it holds for, by pattern; empty: all.
        made: When the app was made that `apps` names; None: it is a pattern.

    Raises:
        ConfigError: The file is broken, or would be.

    Changes: access.toml, whole; readers see the old one or the new one.
    """
    with _changing(root) as document:
        tables = document.setdefault("grant", tomlkit.aot())
        for one in [one for one in tables if _is(one, to, apps, refs)]:
            if str(one.get("since", made or "")) < (made or ""):
                tables.remove(one)  # it was for an app that is gone
                continue
            held = one["may"]
            held.extend(action for action in actions if action not in held)
            return
        table = tomlkit.table()
        table["to"] = [to]
        table["may"] = list(actions)
        if apps != "*":
            table["apps"] = [apps]
        if refs:
            table["refs"] = list(refs)
        if made is not None:
            table["since"] = max(clock.now(), made)
        tables.append(table)


def revoke(root: Path, to: str, actions: Sequence[Action], *, apps: str) -> None:
    """Take what was granted to somebody for exactly these apps.

    Args:
        root: Where the apps are.
        to: A person, or "@group"; what a person has by a group stays.
        actions: What they may not do any more; empty: any of it.
        apps: The name or pattern it was granted for.

    Raises:
        NothingThere: Nothing of it was granted so.
        ConfigError: The file is broken.

    Changes: access.toml, whole; readers see the old one or the new one.
    """
    with _changing(root) as document:
        tables = document.get("grant", [])
        taken = False
        for one in list(tables):
            here = to in one["to"] and list(one.get("apps", ["*"])) == [apps]
            lost = [action for action in one["may"] if not actions or action in actions]
            if here and lost:
                _take(tables, one, to, lost)
                taken = True
        if not taken:
            raise NothingThere(f"access.toml grants {to} nothing of that for {apps}")


def _take(tables: list[_Table], one: _Table, to: str, lost: Sequence[str]) -> None:
    """Take actions from one of those that a grant is to; the others keep theirs."""
    left = [action for action in one["may"] if action not in lost]
    others = [name for name in one["to"] if name != to]
    if others and left:
        apart = tomlkit.table()
        for key in one:
            apart[key] = one[key]
        apart["to"], apart["may"] = [to], left
        tables.append(apart)
    if others:
        one["to"] = others
    elif left:
        one["may"] = left
    else:
        tables.remove(one)


def _is(one: _Table, to: str, apps: str, refs: Sequence[str]) -> bool:
    return (
        list(one["to"]) == [to]
        and list(one.get("apps", ["*"])) == [apps]
        and list(one.get("refs", ["*"])) == (list(refs) or ["*"])
    )


@contextmanager
def _changing(root: Path) -> Iterator[tomlkit.TOMLDocument]:
    path = access_toml(root)
    fd = files.open_to_hold(path.with_name(".access.lock"))
    try:
        flock.hold(fd)
        data = path.read_bytes() if path.exists() else b""
        parse_access(data, where=str(path))  # what is broken is left for its author
        document = _document(data, path)
        yield document
        changed = tomlkit.dumps(document).encode()
        parse_access(changed, where=str(path))
        _write(path, changed)
    finally:
        os.close(fd)


def _write(path: Path, data: bytes) -> None:
    """Replace the file; a group that may read it by somebody's will still may."""
    if not path.exists():
        files.write_whole(path, data, _PRIVATE)
        return
    was = path.stat()
    mode = (was.st_mode & _GROUP_TOO) | _PRIVATE
    files.write_whole(path, data, mode, group=was.st_gid)


def _document(data: bytes, path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(data)
    except TOMLKitError as error:
        raise ConfigError(f"{path}: should be TOML, got {error}") from error
