"""A release's log, open while something is done with the release."""

from collections.abc import Iterator
from contextlib import contextmanager

from gitdeploy.deploy.app import App
from gitdeploy.deploy.report import Report
from gitdeploy.logs import Log
from gitdeploy.model import Release

__all__ = ["log_open"]


@contextmanager
def log_open(app: App, release: Release, report: Report) -> Iterator[Log]:
    """Keep in a release's log all that is told in the body."""
    limit_bytes = app.server.limits.log_bytes
    with Log(app.layout.log(release.name), limit_bytes=limit_bytes) as log:
        before, report.log = report.log, log
        try:
            yield log
        finally:
            report.log = before
