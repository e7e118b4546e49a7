"""git, started in one stated repository, depending on nobody's configuration."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gitdeploy.system import files, process
from gitdeploy.system.surroundings import Surroundings

__all__ = ["BOUNDED", "DURABLE", "Git", "make_repository"]

DURABLE: Final = "core.fsync=all"
"""Makes git sync objects and refs before they have their names (git-config(1))."""

BOUNDED: Final = {
    "core.bigFileThreshold": "32m",  # larger ones go through in pieces; 512m is usual
    "core.packedGitLimit": "128m",  # what of the packs is mapped at a time; usually all
    "core.packedGitWindowSize": "32m",
    "pack.deltaCacheSize": "64m",
    "pack.windowMemory": "64m",  # of each thread that packs; usually without a limit
}
"""Lets no git take more memory for a large file or pack than for a small one."""

# $XDG_CONFIG_HOME/git/attributes is read whatever the configuration is.
_ALWAYS: Final = (
    *("-c", "safe.bareRepository=explicit"),
    *("-c", f"core.attributesFile={os.devnull}"),
    *(word for pair in BOUNDED.items() for word in ("-c", "=".join(pair))),
)


class Git:
    """Runs git in one repository, named explicitly, without a shell.

    Attributes:
        directory: The repository.
    """

    def __init__(
        self,
        directory: Path,
        surroundings: Surroundings,
        keeps: Callable[[], Sequence[int]] = tuple,
        quarantine: Mapping[str, str] | None = None,
    ) -> None:
        """Run git in a repository.

        Args:
            directory: The repository.
            surroundings: What the door took from the environment.
            keeps: Gives the descriptors of ours that it has too.
            quarantine: Where it finds objects that git has not taken yet: what git
                gave pre-receive (git-receive-pack(1), "quarantine environment").
        """
        self.directory = directory
        self._surroundings = surroundings
        self._keeps = keeps
        self._program = surroundings.program("git")
        ours = {
            "LC_ALL": "C",
            "HOME": os.devnull,  # git before 2.32 does not know GIT_CONFIG_GLOBAL
            "GIT_DIR": str(directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",  # anybody may push refs/replace/*, stored
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_COMMITTER_NAME": surroundings.user,
            "GIT_COMMITTER_EMAIL": f"{surroundings.user}@localhost",
        }
        self._environment = surroundings.environment().also(
            {**ours, **(quarantine or {})}
        )

    def __call__(
        self,
        *arguments: str,
        stdin: bytes = b"",
        config: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Run git and return what it printed.

        Args:
            *arguments: The command and what follows.
            stdin: What it reads.
            config: `key=value` settings for this one run.
            environment: Variables besides the usual ones.
            timeout_s: After how long it is killed; None: never.

        Raises:
            CommandFailed: git said no.
            TookTooLong: It was killed.
        """
        return process.run(
            self._argv(arguments, config),
            env=self._environment.also(environment or {}),
            cwd=self.directory,
            stdin=stdin,
            keeps=self._keeps(),
            timeout_s=timeout_s,
        )

    def ended(
        self,
        *arguments: str,
        config: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> process.Ended:
        """Run git as by a call, and return all that came of it, a no as well.

        Raises:
            TookTooLong: It was killed.
        """
        return process.ended(
            self._argv(arguments, config),
            env=self._environment.also(environment or {}),
            cwd=self.directory,
            keeps=self._keeps(),
            timeout_s=timeout_s,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start git with a pipe on each side, to be asked many things."""
        return process.start(
            self._argv(arguments),
            env=self._environment,
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            keeps=self._keeps(),
        )

    def at(self, directory: Path) -> "Git":
        """Return the same git in another repository."""
        return Git(directory, self._surroundings, self._keeps)

    def _argv(self, arguments: Sequence[str], config: Sequence[str] = ()) -> list[str]:
        settings = [part for pair in config for part in ("-c", pair)]
        return [self._program, *_ALWAYS, *settings, *arguments]


def make_repository(git: Git) -> None:
    """Make a bare repository, whole and durable before it has its name.

    git syncs neither HEAD nor config when it makes them; where a power cut left one
    of them empty there is no repository, and `git init` does not mend it.

    Args:
        git: Where it shall be; nothing is there, or an empty directory.

    Changes: a repository beside it, then the name. Safe to repeat.
    """
    place = git.directory
    beside = git.at(files.beside(place))
    files.remove_tree(beside.directory)
    files.make_directory(beside.directory)
    beside("init", "--quiet", "--bare", "--template=")
    beside("symbolic-ref", "HEAD", "refs/heads/main")
    files.sync_filesystems([beside.directory])
    files.replace_file(place, beside.directory)
