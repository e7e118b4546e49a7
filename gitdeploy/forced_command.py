"""What sshd runs for a key of authorized_keys, whatever its owner asked for.

One person, known by the key, is let do what they may: push to or fetch from an app, or
run one of gitdeploy's verbs on it. Nothing else is ever started, and no shell is.

    command="PYTHON -I -m gitdeploy.forced_command --root=ROOT --key=SHA256:… NAME"
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

from gitdeploy.access import Rights
from gitdeploy.config.access import Action
from gitdeploy.deploy.app import App, set_up_apps
from gitdeploy.deploy.facts import closed
from gitdeploy.door import guarded, surroundings
from gitdeploy.errors import AccessDenied, UsageError
from gitdeploy.layout import keyring
from gitdeploy.model import ChainName
from gitdeploy.ssh_command import GitAsked, No, VerbAsked, not_seen, read
from gitdeploy.system import process
from gitdeploy.system.owner import become_owner
from gitdeploy.system.relay import receive_by

__all__ = ["main"]

_PUSH: Final[tuple[Action, ...]] = ("stage", "release", "rollback", "preview")
_MOVING: Final = ("release", "rollback", "rollforward", "redeploy")
_PROTOCOL: Final = re.compile(r"version=[0-9]")
_WORDS: Final = re.compile(r"--root=(/.*)|--key=(SHA256:[A-Za-z0-9+/]{43})|([^-].*)")


def main() -> int:
    """Serve one ssh session of a person; return its exit status."""
    return guarded(lambda: _serve(sys.argv[1:], os.environ))


def _serve(words: Sequence[str], environ: Mapping[str, str]) -> int:
    root, key, name = _who(words)
    become_owner(root, os.environ)
    asked = read(environ.get("SSH_ORIGINAL_COMMAND", ""), set_up_apps(root))
    if isinstance(asked, No):
        raise AccessDenied(f"{name}: {asked.reason}", hint=asked.hint)
    with App.open(root, asked.app, surroundings(environ), name, key) as app:
        _check(app, asked)
    us = {"GITDEPLOY_USER": name, "GITDEPLOY_KEY": key}
    if isinstance(asked, GitAsked):
        _become_git(app, asked, us, environ)
    os.environ.update(us)
    return _run(asked, root)


def _who(words: Sequence[str]) -> tuple[Path, str, str]:
    """Return where the apps are, the key's fingerprint, and whose key it is."""
    found = [_WORDS.fullmatch(word) for word in words]
    roots = [one[1] for one in found if one and one[1]]
    keys = [one[2] for one in found if one and one[2]]
    names = [one[3] for one in found if one and one[3]]
    if not all(found) or not len(roots) == len(keys) == len(names) == 1:
        raise UsageError(
            "authorized_keys: should run this with --root=DIR --key=SHA256:… NAME",
            hint="gitdeploy key add NAME FILE",
        )
    return Path(roots[0]), keys[0], names[0]


def _check(app: App, asked: GitAsked | VerbAsked) -> None:
    """Say nothing if somebody may do what they ask for.

    What a push may do with each ref is the rule book's to say, when it is known.

    Raises:
        AccessDenied: They may not.
        ConfigError: access.toml or server.toml is broken: nobody is let in.
    """
    rights = app.rights
    if not rights.letting_in:
        raise AccessDenied(f"{app.by}: {not_seen(app.name)}")
    if isinstance(asked, VerbAsked):
        _need(rights, asked.needs, f"run {asked.verb} on {app.name}")
        if asked.verb in _MOVING and not rights.allow("override"):
            _stop_while_held(app, asked.chain)
    elif asked.program == "receive-pack":
        _need(rights, _PUSH, f"push to {app.name}")


def _stop_while_held(app: App, chain: ChainName) -> None:
    """Let locks and windows hold the verbs as they hold pushes."""
    freeze = app.ledger.freeze
    why = freeze.words if freeze and freeze.holds(chain) else closed(app, chain)
    if why:
        raise AccessDenied(why)


def _need(rights: Rights, actions: tuple[Action, ...], what: str) -> None:
    if not any(rights.allow(action) for action in actions):
        raise AccessDenied(
            f"{rights.person} may not {what}: that takes {' or '.join(actions)},"
            f" granted is {rights.words}"
        )


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
