"""`gitdeploy demo`: the whole story on this machine, in a throw-away directory."""

from collections.abc import Iterator

import click

from gitdeploy.cli.screen import show_line
from gitdeploy.cli.stage import Stage, throw_away_directory

__all__ = ["command"]

_DEPLOY_TOML = """\
[[build.steps]]
name = "check html"
run  = "sh check.sh"
"""
_CHECK_SH = """\
grep -q '</h1>' index.html || { echo 'index.html: <h1> is not closed'; exit 1; }
"""


@click.command()
def command() -> None:
    """Show the whole story in a throw-away directory.

    A server, a clone, and real pushes: stage, release, a build that fails, its
    correction, and a roll back. Needs git and nothing else.
    """
    show_line("A server and a clone of a shop, in a directory that is gone afterwards.")
    with throw_away_directory() as place, Stage(place) as stage:
        for _ in _scenes(stage):
            show_line()
    show_line("The same for an app of yours: gitdeploy setup NAME, on your server.")


def _scenes(stage: Stage) -> Iterator[None]:
    """Play one scene after the other; what is typed is what is done."""
    yield
    stage.write("deploy.toml", _DEPLOY_TOML)
    stage.write("check.sh", _CHECK_SH)
    stage.write("index.html", "<h1>Open</h1>\n")
    stage.commit("Open the shop")
    stage.push("git push server main", "main")
    yield
    stage.tag("v1")
    stage.push("git tag v1 && git push server v1", "v1")
    yield
    stage.write("index.html", "<h1>Free shipping\n")
    stage.commit("Free shipping")
    stage.push('git commit -am "Free shipping" && git push server main', "main")
    yield
    stage.write("index.html", "<h1>Free shipping</h1>\n")
    stage.commit("Free shipping", amend=True)
    stage.push("git commit -a --amend && git push server main", "main")
    yield
    stage.revert()
    stage.push("git revert HEAD && git push server main", "main")
    yield
