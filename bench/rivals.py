"""What is pushed to: one class for each way to deploy, and what it must show."""

import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from measure import BenchError, run

KEPT = 5
"""Releases that both ways that have releases keep: five newest, or three and two."""
KEEP = "[releases]\nkeep = 2\n"
"""The site's deploy.toml: two besides those on the three links of a chain."""

HOOK = """\
#!/bin/sh
set -eu
site={site}
while read -r old new ref; do
    case $new in *[!0]*) ;; *) continue ;; esac
    release=$site/releases/$(date -u +%Y%m%dT%H%M%S.%N)
    mkdir -p "$release"
    git archive "$new" | tar -x -C "$release"
    {step}
    ln -s "$release" "$site/current.new"
    mv -T "$site/current.new" "$site/current"
done
ls -1d "$site"/releases/* | head -n -{kept} | while read -r old; do
    rm -rf "$old"
done
"""
"""The hand-written hook. It deploys whatever ref comes, so a tag is a deployment."""

CHECKOUT = """\
#!/bin/sh
set -eu
while read -r old new ref; do
    case $new in *[!0]*) ;; *) continue ;; esac
    git --work-tree={site} checkout -q -f "${{ref#refs/*/}}"
done
"""
"""The hook of many a tutorial: one work tree, changed in place while it is served."""


@dataclass(frozen=True)
class Server:
    """One place to push to, and where its deployments can be looked at."""

    repository: Path
    branch_shows: Path | None
    """What shows the last branch pushed; None: nothing is deployed."""
    tag_shows: Path | None
    releases: Path | None = None
    """The directory of releases, where it has one."""
    then: str = ""
    """The shell command that deploys what was pushed; empty: a hook does it."""

    def shows(self, ref: str) -> Path | None:
        """Return the link or directory that must show a ref after it was pushed."""
        return self.branch_shows if ref == "main" else self.tag_shows


class Rival(Protocol):
    """A way to deploy; a new one is a class here and a line in RIVALS."""

    @property
    def title(self) -> str:
        """What it is called in tables."""

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""


@dataclass(frozen=True)
class GitDeploy:
    """An app as `gitdeploy setup` makes it."""

    title: str = "gitdeploy"
    program: Path = Path(sys.executable).parent / "gitdeploy"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        program = self.program
        if not program.exists():
            why = f"{program}: not there\nhint: leave it out with  --rivals hook,none"
            raise BenchError(why)
        run([str(program), "setup", "shop", "--root", str(root)], env)
        links = root / "www"
        return Server(
            root / "shop.git",
            links / "shop-staging",
            links / "shop",
            root / "shop" / "releases",
        )


@dataclass(frozen=True)
class HandWritten:
    """The post-receive hook that many a server has."""

    title: str = "hook"
    step: str = ":"
    """A shell command for each new release, run in it."""
    kept: int = KEPT

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        step = self.step if self.step == ":" else f'( cd "$release"; {self.step} )'
        hook = HOOK.format(site=shlex.quote(str(root)), step=step, kept=self.kept)
        current = root / "current"
        return Server(_bare(root, env, hook), current, current, root / "releases")


@dataclass(frozen=True)
class Checkout:
    """`git checkout -f` into the one directory that is served."""

    title: str = "checkout -f"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        site = root / "site"
        site.mkdir()
        hook = CHECKOUT.format(site=shlex.quote(str(site)))
        return Server(_bare(root, env, hook), site, site)


@dataclass(frozen=True)
class NoHook:
    """The floor: what git needs to take the push and do nothing with it."""

    title: str = "no hook"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        return Server(bare_repository(root, env), None, None)


RIVALS: dict[str, Rival] = {
    "gitdeploy": GitDeploy(),
    "hook": HandWritten(),
    "checkout": Checkout(),
    "none": NoHook(),
}


def rivals(
    names: Iterable[str], *, step: str = "", against: Path | None = None
) -> dict[str, Rival]:
    """Return those of RIVALS with these names, and `earlier` if there is one.

    Args:
        names: of RIVALS.
        step: A shell command that the hook runs in each release; empty for none.
        against: The `gitdeploy` of another installation, of an earlier version say.
    """
    found = {name: RIVALS[name] for name in names}
    if step and "hook" in found:
        found["hook"] = HandWritten(step=step)
    if against:
        found["earlier"] = GitDeploy("earlier", against)
    return found


def bare_repository(root: Path, env: Mapping[str, str]) -> Path:
    """Return a new repository to push to, without a hook."""
    repository = root / "shop.git"
    run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], env)
    # gitdeploy does its own maintenance; git's, detached, would blur the others.
    config = ["git", "-C", str(repository), "config", "receive.autogc", "false"]
    run(config, env)
    return repository


def _bare(root: Path, env: Mapping[str, str], text: str) -> Path:
    repository = bare_repository(root, env)
    hook = repository / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(text)
    hook.chmod(0o755)
    return repository
