"""No release is shown whose links lead a web server to what is not the release's.

Looked at when commands have run: what a commit brings is looked through before.
"""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.errors import ReleaseFailed
from gitdeploy.model import ChainName
from gitdeploy.outward import SYSTEM, Ground, Outward, leading_out
from gitdeploy.shared import targets
from gitdeploy.system.disk import blamed

__all__ = ["check_links", "links_out"]

_NAMED: Final = 3


def check_links(
    app: App,
    directory: Path,
    config: Config,
    chain: ChainName,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Say nothing if no link of a release leads where it must not.

    Args:
        app: The app.
        directory: The release's.
        config: deploy.toml of its commit.
        chain: The chain for which it was made.
        check: Called now and then; raises where nobody wants the release any more.

    Raises:
        ReleaseFailed: One does, or a directory cannot be looked into.
    """
    try:
        found = list(islice(links_out(app, directory, config, chain, check), _NAMED))
    except OSError as error:
        raise ReleaseFailed(
            f"whether links lead out of the release cannot be seen: {blamed(error)}",
            hint="let no step make a directory that its owner cannot read",
        ) from error
    if found:
        said = ", ".join(f"{_text(one.path)} -> {_text(one.target)}" for one in found)
        raise ReleaseFailed(
            f"links lead out of the release, where a web server would follow: {said}",
            hint="point them inside, or list the place on the server:"
            '  [links] allowed = ["DIR"]  in server.toml',
        )


def links_out(
    app: App,
    directory: Path,
    config: Config,
    chain: ChainName,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Outward]:
    """Yield every link of a release that leads where it must not; see above."""
    return leading_out(_ground(app, directory, config, chain), check)


def _ground(app: App, directory: Path, config: Config, chain: ChainName) -> Ground:
    declared = config.shared
    shared = app.shared_of(declared.scope, chain)
    ours = targets(directory, shared, declared, anchor=app.layout.home)
    own = [Path(str(shared / path)) for path in ours]
    around = [app.layout.root, app.public.target, Path(app.surroundings.home)]
    server = app.server
    outside = (*server.steps.readable, *server.links.allowed)
    return Ground(
        release=Path(os.path.realpath(directory)),
        shared={os.fsencode(at): os.fsencode(held) for at, held in ours.items()},
        own=(directory, *own),
        allowed=(*SYSTEM, *map(app.surroundings.place, outside)),
        hidden=tuple(around),
    )


def _text(name: bytes) -> str:
    return repr(os.fsdecode(name))
