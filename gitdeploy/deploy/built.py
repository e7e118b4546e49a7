"""What a build step did to the files of its commit, told from what was done later."""

import os
from collections.abc import Callable
from typing import Final

from gitdeploy.comparison import above, is_below
from gitdeploy.config import Config
from gitdeploy.deploy.app import App
from gitdeploy.manifest import Manifest, joined
from gitdeploy.model import Release
from gitdeploy.system import clock
from gitdeploy.system.below import status_beneath

__all__ = ["what_was_built"]

_SECOND_S: Final = 1.0


def what_was_built(
    app: App, release: Release, record: Manifest | None, config: Config
) -> Callable[[bytes], bool]:
    """Return what tells if a path, which differs, did so when its release was ready.

    Args:
        app: The app.
        release: The release.
        record: The record of its files; None where it was lost.
        config: deploy.toml of its commit.
    """
    if not config.build.steps:
        return lambda _: False
    return _told_by(record) if record else _told_by_times(app, release, config)


def _told_by(record: Manifest) -> Callable[[bytes], bool]:
    """Return what tells if a file, or all of a folder, has no stamp in a record."""
    folders: set[bytes] = set()
    stamped: set[bytes] = set()
    for path, folder in record.folders.items():
        stamped |= {joined(path, file.name) for file in folder.files if file.stamp}
        if any(file.stamp for file in folder.files):
            folders |= {path, *above(path)}
    return lambda path: path not in stamped and path not in folders


def _told_by_times(
    app: App, release: Release, config: Config
) -> Callable[[bytes], bool]:
    """Return what tells if a path is as it was when a release became ready.

    Nobody can set the time at which a file's looks or place last changed; of what is
    missing it is that of the folder. Of what steps say that they make it tells nothing:
    it changes when a later release shares that.
    """
    assert release.ready is not None
    age_s, directory = clock.seconds_since(release.ready), app.directory(release)
    outputs = {os.fsencode(out) for step in config.build.steps for out in step.outputs}

    def was_so(path: bytes) -> bool:
        if is_below(path, outputs):
            return True
        try:
            while (status := status_beneath(directory, path)) is None and path:
                path = path.rpartition(b"/")[0]
        except OSError:
            return False
        if status is None:
            return False
        return clock.age_s(status.st_ctime) >= age_s - _SECOND_S

    return was_so
