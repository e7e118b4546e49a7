"""What every child of ours gets of the environment; imports nothing that starts one."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, final

from msgspec import Struct

from gitdeploy.system.programs import program, safe_path

__all__ = ["BARE", "Environment", "Surroundings"]

_OF_THE_SERVER: Final = ("PATH", "HOME", "LANG", "USER", "SHELL", "TMPDIR")

_OURS: Final = frozenset(
    {
        *("HOME", "LC_ALL", "TERM", "GNUPGHOME", "DEBIAN_FRONTEND"),
        *("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
        *("GITDEPLOY_USER", "GITDEPLOY_KEY", "GITDEPLOY_KEYS", "GITDEPLOY_PERMIT"),
        *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PROTOCOL"),
        *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_ATTR_NOSYSTEM"),
        *("GIT_NO_REPLACE_OBJECTS", "GIT_LITERAL_PATHSPECS", "GIT_TERMINAL_PROMPT"),
        *("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
        *("GIT_ALLOW_PROTOCOL", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT"),
        *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
        "GIT_QUARANTINE_PATH",
    }
)
"""What we may add. Nothing by which a program loads or starts another that is named by
somebody else (LD_PRELOAD, BASH_ENV, PYTHONPATH, GIT_EXEC_PATH); and not PATH."""


@final
class Environment:
    """All the environment of one program of ours: nothing in it is a pusher's to say.

    Only `Surroundings.environment` and `BARE` begin one. No mapping is one, so that
    the environment of commands is never taken for it.
    """

    __slots__ = ("_added", "_server", "variables")

    def __init__(self, server: Mapping[str, str], added: Mapping[str, str]) -> None:
        """Hold what the server has, and what we add to it.

        Raises:
            ValueError: A variable is none that a program of ours may have.
        """
        strange = [*(server.keys() - {*_OF_THE_SERVER}), *(added.keys() - _OURS)]
        if added.get("HOME", os.devnull) != os.devnull:
            strange.append("HOME")
        if strange:
            raise ValueError(f"no program of ours has {', '.join(sorted(strange))}")
        self._server, self._added = server, added
        self.variables: Mapping[str, str] = MappingProxyType({**server, **added})

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    def also(self, added: Mapping[str, str]) -> "Environment":
        """Return it with variables of ours besides.

        Args:
            added: Of the names that we may add; HOME can only be nowhere (/dev/null).

        Raises:
            ValueError: A variable is another one.
        """
        return Environment(self._server, {**self._added, **added})


BARE: Final = Environment({}, {"LC_ALL": "C"})
"""Of programs that start no other, and need nothing of the server's."""


class Surroundings(Struct, frozen=True):
    """What the door took from the environment; nobody below it looks there."""

    path: str
    home: str
    lang: str
    user: str
    shell: str
    tmpdir: str
    keys: str = ""
    """The authorized_keys file that a key came from; empty: nobody said which."""

    def environment(self) -> Environment:
        """Return what every program of ours gets, and no more.

        Its PATH has nothing that a pusher may write to, whatever the server's has.
        """
        return Environment({**self.of_commands(), "PATH": safe_path(self.path)}, {})

    def of_commands(self) -> dict[str, str]:
        """Return what commands of deploy.toml get of the server's environment."""
        return {
            "PATH": self.path,
            "HOME": self.home,
            "LANG": self.lang,
            "USER": self.user,
            "SHELL": self.shell,
            "TMPDIR": self.tmpdir,
        }

    def place(self, path: str) -> Path:
        """Return a path of server.toml; `~` is the home of the server's user."""
        return Path(path.replace("~", self.home, 1))

    def program(self, name: str) -> str:
        """Return where a program lies that the server may have of its own, as git."""
        return program(name, self.path)
