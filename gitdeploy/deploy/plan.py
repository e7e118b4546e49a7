"""What a push would come to, in full, without doing any of it."""

from collections.abc import Iterator, Sequence
from typing import Any

from gitdeploy.config import Check, Config, Run
from gitdeploy.decide import Decision, Deploy, Refuse, RollBack, describe
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.checks import has_passed
from gitdeploy.deploy.facts import Source, content_id
from gitdeploy.deploy.planned_steps import planned_steps
from gitdeploy.deploy.prune import to_prune
from gitdeploy.deploy.ready import ready_for
from gitdeploy.errors import ReleaseFailed
from gitdeploy.model import short_ref
from gitdeploy.repository.changes import Changes, changes
from gitdeploy.system.terminal import count, human_bytes

__all__ = ["lines", "plan", "plan_of_ref"]

Shape = dict[str, Any]


def plan_of_ref(app: App, words: str) -> Shape:
    """Return what pushing a ref of the app's repository again would mean.

    Raises:
        UsageError: The repository has no such ref or commit.
    """
    from gitdeploy.deploy.push import plan_ref

    return plan(app, *plan_ref(app, words))


def plan(app: App, source: Source, decision: Decision, *, anew: bool = False) -> Shape:
    """Return what would be done by a decision about an update.

    Args:
        app: The app; its lock need not be held.
        source: The update.
        decision: What it means now.
        anew: Whether a new release of known content is asked for.
    """
    deploys = isinstance(decision, Deploy)
    gone = to_prune(app, source.config.releases.keep) if deploys else []
    return {
        "app": app.name,
        "ref": source.update.ref,
        "commit": source.commit,
        "chain": source.chain,
        "decision": type(decision).__name__.lower(),
        "would": describe(decision),
        "hint": decision.hint if isinstance(decision, Refuse) else "",
        **_building(app, source, decision, anew=anew),
        **_asking(app, source, decision),
        "prune": [release.name for release in gone],
    }


def lines(shape: Shape) -> Iterator[tuple[str, str]]:
    """Yield a plan as people read it: a word and a text for each line."""
    yield short_ref(shape["ref"]) or "commit", _would(shape)
    for key, word in (("hint", "hint"), ("trouble", "would fail")):
        if shape[key]:
            yield word, shape[key]
    yield from _files(shape)
    for step in shape["steps"]:
        yield "step", f"{step['name']}: {step['does']}, {step['why']}"
    for key in ("checks", "deactivate", "activate", "health", "prune"):
        found = shape[key] or []
        for one in [found] if isinstance(found, str) else found:
            yield key.removesuffix("s"), one


def _files(shape: Shape) -> Iterator[tuple[str, str]]:
    if shape["files"] is not None:
        size = human_bytes(shape["size_bytes"])
        yield "checkout", f"{count(shape['files'], 'file')}, {size}"
    if shape["changes"]:
        yield "of these", _changed(shape)


def _would(shape: Shape) -> str:
    return f"{(shape['commit'] or 'deleted')[:10]}: {shape['would']}"


def _changed(shape: Shape) -> str:
    kinds = (f"{number:,} {word}" for word, number in shape["changes"].items())
    size = human_bytes(shape["changed_bytes"])
    return f"{', '.join(kinds)} since what is live, {size}"


def _building(app: App, source: Source, decision: Decision, *, anew: bool) -> Shape:
    """Return what would be built, and what is known to be in its way."""
    builds = isinstance(decision, Deploy) and decision.build
    files = size_bytes = trouble = None
    if builds:
        try:
            files, size_bytes = _measured(app, source)
        except ReleaseFailed as error:
            trouble = error.message
    differs = _changes(app, source) if builds else None
    steps = []
    if builds and isinstance(decision, Deploy):
        wanted = Wanted.of(source, decision.chain, anew=anew)
        steps = planned_steps(app, wanted, differs.paths if differs else None)
    return {
        "build": builds,
        "steps": steps,
        "files": files,
        "size_bytes": size_bytes,
        "changes": _counts(differs) if differs else None,
        "changed_bytes": differs.size_bytes if differs else None,
        "trouble": trouble,
    }


def _counts(differs: Changes) -> dict[str, int]:
    return {
        "added": differs.added,
        "changed": differs.changed,
        "removed": differs.removed,
    }


def _asking(app: App, source: Source, decision: Decision) -> Shape:
    """Return what would be asked of the release, and run around its flip."""
    config, chain = source.config, source.chain
    moves = isinstance(decision, Deploy | RollBack) and chain is not None
    if not moves or chain is None:
        return {"checks": [], "activate": [], "deactivate": [], "health": None}
    health = config.health_for(chain)
    left = isinstance(decision, RollBack)
    return {
        "checks": _checks(app, source, decision, config),
        "activate": _titles(config.activate_for(chain)),
        "deactivate": _titles(config.deactivate_for(chain)) if left else [],
        "health": health.url if health else None,
    }


def _checks(app: App, source: Source, decision: Decision, config: Config) -> list[str]:
    if not isinstance(decision, Deploy):
        return []
    wanted = Wanted.of(source, decision.chain)
    content = content_id(source, decision.chain)
    ready = ready_for(app, content, config, decision.chain)
    if not decision.build and ready and has_passed(app, ready[0], wanted):
        return []
    return [_asked(check) for check in config.checks_for(decision.chain)]


def _asked(check: Check) -> str:
    if check.serve is None or check.title == check.url:
        return check.title
    return f"{check.title}: {check.url}"


def _titles(steps: Sequence[Run]) -> list[str]:
    return [step.title for step in steps]


def _changes(app: App, source: Source) -> Changes | None:
    """Return what differs from what is live; None where nothing of git's is."""
    head = app.ledger.chains.read(source.chain).head if source.chain else None
    live = app.ledger.releases.get(head.release).tree if head else None
    if live is None or source.tree is None:
        return None
    path = source.config.checkout.path
    return changes(app.layout.repository, live, source.tree, below=path)


def _measured(app: App, source: Source) -> tuple[int, int]:
    """Return files and bytes of what would be checked out.

    Raises:
        ReleaseFailed: It would be refused.
    """
    from gitdeploy.tree import inspect

    config, tree = source.config, source.tree
    assert tree is not None
    if config.checkout.path != ".":
        tree = app.repository.id_at(tree, config.checkout.path) or tree
    shared = (*config.shared.files, *config.shared.dirs)
    limits = app.server.limits
    found = inspect(app.repository.git, tree, limits, shared=shared)
    return found.files, found.size_bytes
