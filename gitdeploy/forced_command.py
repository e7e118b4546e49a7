"""What sshd runs for a key of authorized_keys, whatever its owner asked for.

One person, known by the key, is let do what they may: push to or fetch from an app, or
run one of gitdeploy's verbs on it. Nothing else is ever started, and no shell is.

    command="PYTHON -I -m gitdeploy.forced_command --root=ROOT
      --authorized-keys=FILE --key=SHA256:… NAME"

The file is the one that the line stands in: each command looks the key up in it.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from msgspec import Struct

from gitdeploy.access import Rights, refs_of
from gitdeploy.config.access import Action
from gitdeploy.deploy.allowed import check_chain
from gitdeploy.deploy.app import App, set_up_apps
from gitdeploy.deploy.keys import expires_s, keys_file
from gitdeploy.door import guarded, surroundings
from gitdeploy.errors import AccessDenied, UsageError
from gitdeploy.hooks.permit import as_of, is_simple, written
from gitdeploy.layout import access_toml, keyring
from gitdeploy.ssh_command import GitAsked, No, VerbAsked, not_seen, read
from gitdeploy.system import process
from gitdeploy.system.owner import become_owner
from gitdeploy.system.relay import receive_by

__all__ = ["main"]

_PUSH: Final[tuple[Action, ...]] = ("stage", "release", "rollback", "preview")
_MOVING: Final = ("release", "rollback", "rollforward", "redeploy")
_PROTOCOL: Final = re.compile(r"version=[0-9]")
_WORDS: Final = re.compile(
    r"--root=(?P<root>/.*)|--key=(?P<key>SHA256:[A-Za-z0-9+/]{43})"
    r"|--authorized-keys=(?P<file>/.*)|(?P<name>[^-].*)"
)


class _Person(Struct, frozen=True):
    """Who somebody is, as the line of their key has it."""

    root: Path
    """Where the apps are."""
    key: str
    """Its fingerprint."""
    name: str
    file: str
    """The file that the line stands in; empty where it does not say."""


def main() -> int:
    """Serve one ssh session of a person; return its exit status."""
    return guarded(lambda: _serve(sys.argv[1:], os.environ))


def _serve(words: Sequence[str], environ: Mapping[str, str]) -> int:
    who = _who(words)
    root, name = who.root, who.name
    become_owner(root, os.environ)
    asked = read(environ.get("SSH_ORIGINAL_COMMAND", ""), set_up_apps(root))
    if isinstance(asked, No):
        raise AccessDenied(f"{name}: {asked.reason}", hint=asked.hint)
    us = {
        "GITDEPLOY_USER": name,
        "GITDEPLOY_KEY": who.key,
        "GITDEPLOY_KEYS": who.file,
    }
    around = surroundings({**environ, **us})
    with App.open(root, asked.app, around, name, who.key) as app:
        _check(app, asked)
        if isinstance(asked, GitAsked):
            us["GITDEPLOY_PERMIT"] = _permit(app)
            _become_git(app, asked, us, environ)
    os.environ.update(us)
    return _run(asked, root)


def _who(words: Sequence[str]) -> _Person:
    """Return who the line of authorized_keys says that it is."""
    found: dict[str, str] = {}
    for word in words:
        match = _WORDS.fullmatch(word)
        if match is None or match.lastgroup is None or match.lastgroup in found:
            found.clear()
            break
        found[match.lastgroup] = match[match.lastgroup]
    if not {"root", "key", "name"} <= found.keys():
        raise UsageError(
            "authorized_keys: should run this with --root=DIR --key=SHA256:… NAME",
            hint="gitdeploy key add NAME FILE",
        )
    return _Person(
        Path(found["root"]), found["key"], found["name"], found.get("file", "")
    )


def _check(app: App, asked: GitAsked | VerbAsked) -> None:
    """Say nothing if somebody may do what they ask for.

    What a push may do with each ref is the rule book's to say, when it is known.

    Raises:
        AccessDenied: They may not.
        ConfigError: access.toml or server.toml is broken: nobody is let in.
    """
    rights = app.rights
    if rights.turned_away:
        raise AccessDenied(rights.turned_away)
    if not rights.letting_in:
        raise AccessDenied(f"{app.by}: {not_seen(app.name)}")
    if isinstance(asked, VerbAsked):
        _need(rights, asked.needs, f"run {asked.verb} on {app.name}")
        if asked.verb in _MOVING:
            check_chain(app, asked.chain)
    elif asked.program == "receive-pack":
        _need(rights, _PUSH, f"push to {app.name}")


def _need(rights: Rights, actions: tuple[Action, ...], what: str) -> None:
    if not any(rights.allow(action) for action in actions):
        raise AccessDenied(
            f"{rights.person} may not {what}: that takes {' or '.join(actions)},"
            f" granted is {rights.words}"
        )


def _permit(app: App) -> str:
    """Return what pre-receive may let through without reading all of this again.

    Nothing, where there is no gate: what may be pushed is noted then, too.
    """
    if app.ledger.setting("gate") == "no":
        return ""
    places = (access_toml(app.layout.root), app.layout.server_toml, keys_file(app))
    files = {str(path): as_of(str(path)) for path in places}
    app.look_again()  # what is read from here on is not older than that
    actions: tuple[Action, ...] = ("stage", "release")
    may = {
        action: [one for one in refs_of(app.rights, action) if is_simple(one)]
        for action in actions
    }
    refs = app.server.limits.refs
    return written(may, files, expires_s=expires_s(app), refs=refs)


def _become_git(
    app: App, asked: GitAsked, us: Mapping[str, str], environ: Mapping[str, str]
) -> NoReturn:
    """Let git take over, with nothing of what the client sent in its environment."""
    environment = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **us,
    }
    keys = keyring(app.layout.root)
    if keys.is_dir():  # for push certificates, which git verifies by itself
        environment["GNUPGHOME"] = str(keys)
    protocol = environ.get("GIT_PROTOCOL", "")
    if _PROTOCOL.fullmatch(protocol):
        environment["GIT_PROTOCOL"] = protocol
    repository = str(app.layout.repository)
    limit = f"receive.maxInputSize={app.server.limits.pack_bytes}"
    # What is pushed is bounded before git reads it; what is fetched is ours.
    take_over = receive_by if asked.program == "receive-pack" else process.become
    take_over(
        [app.surroundings.program("git"), "-c", limit, asked.program, repository],
        env=app.surroundings.environment().also(environment),
    )


def _run(asked: VerbAsked, root: Path) -> int:
    """Run a verb as the command line of the server would."""
    from gitdeploy.cli.invoking import invoked
    from gitdeploy.cli.main import gitdeploy

    sys.argv[1:] = [asked.verb, f"--root={root}", *asked.words]
    return invoked(gitdeploy, "gitdeploy")


if __name__ == "__main__":
    sys.exit(main())
