"""The server's side: a gitdeploy root in a directory, driven by its own CLI."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from support import process


class Server:
    """A gitdeploy server: ROOT with its apps, TARGET with their links."""

    def __init__(self, root: Path, *, target: Path | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.target = target or root / "www"

    def setup(
        self, app: str = "shop", *args: str, confine: str = "off"
    ) -> CompletedProcess[str]:
        """Set an app up; `args` are more words for `gitdeploy setup`.

        Its steps are not confined unless the test says so: most leave their marks
        outside of the release, for the test to see.
        """
        own = self.target != self.root / "www"
        target = ["--target", str(self.target)] if own else []
        done = self.gitdeploy("setup", app, *target, *args)
        toml = self.root / app / "server.toml"
        if not toml.exists():
            toml.write_text(f'[steps]\nconfine = "{confine}"\n')
            toml.chmod(0o600)
        return done

    def gitdeploy(
        self,
        *args: str | Path,
        check: bool = True,
        input: str | None = None,  # noqa: A002 - subprocess's own word
        env: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """Run a verb on this server, from a directory that is not the source."""
        here = {"GITDEPLOY_ROOT": str(self.root), **(env or {})}
        return process.run(
            sys.executable,
            "-m",
            "gitdeploy",
            *args,
            cwd=self.root,
            env=here,
            stdin=input,
            check=check,
        )

    def json(self, *args: str) -> dict[str, Any]:
        """Return what a verb shows with --json."""
        shown: dict[str, Any] = json.loads(self.gitdeploy(*args, "--json").stdout)
        return shown

    def status(self, app: str = "shop") -> dict[str, Any]:
        """Return `gitdeploy status`."""
        return self.json("status", app)

    def releases(self, app: str = "shop") -> list[dict[str, Any]]:
        """Return the releases that `gitdeploy releases` lists, in its order."""
        return list(self.json("releases", app)["releases"])

    def history(self, app: str = "shop") -> list[dict[str, Any]]:
        """Return the deployments that `gitdeploy history` lists, in its order."""
        return list(self.json("history", app)["deployments"])

    def repo(self, app: str = "shop") -> Path:
        """Return where the app's bare repository lies."""
        return self.root / f"{app}.git"

    def url(self, app: str = "shop") -> str:
        """Return the URL that a developer on this machine pushes to."""
        return str(self.repo(app))

    def git(
        self, *args: str, app: str = "shop", check: bool = True
    ) -> CompletedProcess[str]:
        """Run git in the app's bare repository."""
        return process.run("git", f"--git-dir={self.repo(app)}", *args, check=check)

    def refs(self, app: str = "shop") -> dict[str, str]:
        """Return the object id of each ref in the app's bare repository."""
        listed = self.git("for-each-ref", "--format=%(refname) %(objectname)", app=app)
        return dict(line.rsplit(" ", 1) for line in listed.stdout.splitlines())

    def link(self, name: str) -> Path | None:
        """Return what a public link resolves to; None where there is no link.

        Raises:
            FileNotFoundError: the link dangles, which no link ever may.
        """
        link = self.target / name
        return link.resolve(strict=True) if link.is_symlink() else None

    def links(self) -> dict[str, Path]:
        """Return all public links and what they resolve to, by name."""
        return {
            path.name: path.resolve(strict=True)
            for path in sorted(self.target.iterdir())
            if path.is_symlink()
        }
