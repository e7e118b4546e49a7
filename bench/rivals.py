"""What is pushed to: one class for each way to deploy, and what it must show."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from measure import BenchError, run

HOOK = """\
#!/bin/sh
set -eu
site={site}
while read -r old new ref; do
    case $new in *[!0]*) ;; *) continue ;; esac
    release=$site/releases/$(date -u +%Y%m%dT%H%M%S.%N)
    mkdir -p "$release"
    git archive "$new" | tar -x -C "$release"
    ln -s "$release" "$site/current.new"
    mv -T "$site/current.new" "$site/current"
done
ls -1d "$site"/releases/* | head -n -5 | while read -r old; do
    rm -rf "$old"
done
"""
"""The hand-written hook. It deploys whatever ref comes, so a tag is a deployment."""


@dataclass(frozen=True)
class Server:
    """One place to push to, and where its deployments can be looked at."""

    url: str
    """What `git push` is given; a path today, ssh:// is as good."""
    repository: Path
    branch_shows: Path | None
    """The link that shows the last branch pushed; None: nothing is deployed."""
    tag_shows: Path | None

    def shows(self, ref: str) -> Path | None:
        """Return the link that must show a ref after it was pushed."""
        return self.branch_shows if ref == "main" else self.tag_shows


class Rival(Protocol):
    """A way to deploy; a new one is a class here and a line in RIVALS."""

    title: str

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""


class GitDeploy:
    """An app as `gitdeploy setup` makes it."""

    title = "gitdeploy"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        program = Path(sys.executable).parent / "gitdeploy"
        if not program.exists():
            why = f"{program}: not there\nhint: leave it out with  --rivals hook,none"
            raise BenchError(why)
        run([str(program), "setup", "shop", "--root", str(root)], env)
        repository, links = root / "shop.git", root / "www"
        staging, live = links / "shop-staging", links / "shop"
        return Server(str(repository), repository, staging, live)


class HandWritten:
    """The post-receive hook that many a server has."""

    title = "hand-written hook"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        repository = _bare(root, env)
        hook = repository / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK.format(site=f"'{root}'"))
        hook.chmod(0o755)
        current = root / "current"
        return Server(str(repository), repository, current, current)


class NoHook:
    """The floor: what git needs to take the push and do nothing with it."""

    title = "no hook"

    def make(self, root: Path, env: Mapping[str, str]) -> Server:
        """Return a new, empty server below an empty directory."""
        repository = _bare(root, env)
        return Server(str(repository), repository, None, None)


RIVALS: dict[str, Rival] = {
    "gitdeploy": GitDeploy(),
    "hook": HandWritten(),
    "none": NoHook(),
}
BASELINE, FLOOR = "hook", "none"


def _bare(root: Path, env: Mapping[str, str]) -> Path:
    repository = root / "shop.git"
    run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], env)
    # gitdeploy does its own maintenance; git's, detached, would blur the others.
    config = ["git", "-C", str(repository), "config", "receive.autogc", "false"]
    run(config, env)
    return repository
