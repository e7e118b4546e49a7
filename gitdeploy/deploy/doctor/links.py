"""Public links that do not show the ledger."""

import os
from collections.abc import Iterator

from gitdeploy import links
from gitdeploy.deploy.app import App
from gitdeploy.deploy.doctor.finding import NOBODY, Finding, seen_by
from gitdeploy.deploy.flip import publish, wanted_links, wanted_refs
from gitdeploy.deploy.maintenance import keep_page, lost_page
from gitdeploy.deploy.report import Report
from gitdeploy.modes import TARGET
from gitdeploy.system import files

__all__ = ["findings", "published_findings"]


def findings(app: App) -> Iterator[Finding]:
    """Yield every link that does not show what the ledger says."""
    if page := lost_page(app):
        yield Finding(
            "page-lost",
            f"{page} is missing, and maintenance is on",
            f"{seen_by(app, app.public.name('prod', 1))} get nothing",
            fix=_show,
        )
    wanted = wanted_links(app)
    have = links.read(app.public.target, wanted)
    for name, held in have.items():
        if held != wanted[name]:
            yield _wrong(app, name, held, wanted[name])
        beside = app.public.target / f".{name}.new"
        if os.path.lexists(beside):
            yield Finding(
                "leftover-link", f"{beside} was left behind", NOBODY, fix=_show
            )


def _wrong(app: App, name: str, held: str | None, wanted: str) -> Finding:
    place, who = app.public.target / name, seen_by(app, name)
    if held is not None:
        there = "what lies there" if place.exists() else "nothing"
        return Finding(
            "link-changed",
            f"{place} points at {held} instead of {wanted}",
            f"{who} get {there}",
            fix=_show,
        )
    if os.path.lexists(place):
        return Finding(
            "link-taken",
            f"{place} is not a link, so it is not ours to replace",
            f"{who} get it instead of a release; a push to its chain is refused",
            f"mv {place} {place}.old && gitdeploy doctor {app.name} --fix",
        )
    return Finding(
        "link-missing", f"{place} is missing", f"{who} get nothing", fix=_show
    )


def published_findings(app: App) -> Iterator[Finding]:
    """Yield that `refs/deploy/*` tell something else than the ledger."""
    wanted, have = wanted_refs(app), app.repository.refs("refs/deploy/")
    if wrong := sorted(ref for ref, _ in wanted.items() ^ have.items()):
        yield Finding(
            "published-refs",
            f"{', '.join(dict.fromkeys(wrong))}: not what is live",
            "whoever asks the repository what is live is told something else",
            fix=lambda app, _: publish(app),
        )


def _show(app: App, _report: Report) -> None:
    """Show the ledger wherever nothing stands in a link's place."""
    target = app.public.target
    files.make_directory(target, TARGET.made)
    keep_page(app)
    wanted = wanted_links(app)
    ours = {
        name: held
        for name, held in wanted.items()
        if (target / name).is_symlink() or not os.path.lexists(target / name)
    }
    links.show(target, ours)
    for name in wanted:
        files.remove_file(target / f".{name}.new")
