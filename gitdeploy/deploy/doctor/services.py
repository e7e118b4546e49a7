"""Services that do not run as what is live describes them, or run on without it."""

import signal
from collections.abc import Iterator

from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import Finding
from gitdeploy.deploy.report import Report

__all__ = ["findings"]


def findings(app: App) -> Iterator[Finding]:
    """Yield every service that is not as it should be; nothing where none ever was."""
    if not (app.may_keep_services or app.layout.run.is_dir()):
        return
    from gitdeploy.deploy.service_states import service_states, stray_supervisors

    for state in service_states(app):
        if not state.trouble:
            continue
        is_wanted = app.may_keep_services and state.described
        yield Finding(
            "service-wrong" if state.described else "service-left",
            f"service {state.name} of {state.chain} at {state.listen}: {state.trouble}",
            f"who asks {state.listen}"
            if state.described
            else f"who asks {state.listen}: an old release answers",
            f"gitdeploy service install {app.name}",
            severity="trouble" if is_wanted or not state.described else "note",
        )
    for conf, pids in stray_supervisors(app).items():
        yield Finding(
            "supervisor-left",
            f"supervisord {pids[0]} runs on with {conf}, and nobody started it",
            "who asks what it listens at: an old release answers",
            fix=_end_strays,
        )


def _end_strays(app: App, _report: Report) -> None:
    from gitdeploy.deploy.service_states import stray_supervisors
    from gitdeploy.services import end

    for pids in stray_supervisors(app).values():
        end(pids, signal.SIGTERM)
