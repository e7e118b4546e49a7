"""Which build steps a release would run, which it would take over, and why."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gitdeploy.config import Step
from gitdeploy.deploy.app import App
from gitdeploy.deploy.attempt import Wanted
from gitdeploy.deploy.reuse import links_outputs, named
from gitdeploy.deploy.step_key import Key, StepKeys
from gitdeploy.deploy.trust import made_in, may_take
from gitdeploy.deploy.workplace import place_of
from gitdeploy.errors import ReleaseFailed, StepFailed
from gitdeploy.globs import Glob, is_glob
from gitdeploy.model import Release
from gitdeploy.system import clock
from gitdeploy.system.scratch import scratch_directory

__all__ = ["planned_steps"]

_NAMED: Final = 3


def planned_steps(
    app: App, wanted: Wanted, changed: Sequence[str] | None
) -> list[dict[str, str]]:
    """Return for each step its name, whether it would run or be reused, and why.

    Nothing is run but what tells the version of a step's tool.

    Args:
        app: The app.
        wanted: The release that would be made.
        changed: The paths that differ from what is live; None where nothing is.
    """
    if not wanted.config.build.steps:
        return []
    with scratch_directory(Path(app.surroundings.tmpdir)) as nowhere:
        return _all_planned(app, wanted, nowhere, changed)


def _all_planned(
    app: App, wanted: Wanted, nowhere: Path, changed: Sequence[str] | None
) -> list[dict[str, str]]:
    steps = wanted.config.build.steps
    pretended = Release(0, "0-planned", None, None, "", "preparing", clock.now())
    place = place_of(app, pretended, wanted, nowhere, stage="build", looks=True)
    keys = StepKeys(app, wanted, place)
    links = links_outputs(app, wanted.config)
    found = []
    for step in steps:
        try:
            key = keys.of(step, read_only=links and step.reuse == "share")
        except ReleaseFailed as error:
            why = error.outcome if isinstance(error, StepFailed) else error.message
            found.append({"name": step.title, "does": "fail", "why": why})
            break
        does, why = _planned(app, wanted, step, key, changed)
        found.append({"name": step.title, "does": does, "why": why})
    return found


def _planned(
    app: App, wanted: Wanted, step: Step, key: Key, changed: Sequence[str] | None
) -> tuple[str, str]:
    if key.value is None or wanted.anew or step.reuse == "off":
        always = 'reuse = "off"' if step.reuse == "off" else "it states no inputs"
        remark = key.remark.removeprefix("always runs: ") or always
        return "run", "as all are to" if wanted.anew else remark
    for donor in app.ledger.releases.holding(key.value):
        made = made_in(app, donor).get(key.value)
        if made and may_take(app, wanted, donor, made):
            return "reuse", f"from release {donor.number}: {named(step)} unchanged"
    if changed is None:
        return "run", "nothing is live yet"
    if read := list(_read(step, changed)):
        more = f" and {len(read) - _NAMED} more" if len(read) > _NAMED else ""
        return "run", f"{', '.join(read[:_NAMED])}{more} changed"
    return "run", "no release has what it makes of these inputs and steps before it"


def _read(step: Step, changed: Sequence[str]) -> Iterator[str]:
    """Yield what differs of what a step reads."""
    for path in changed:
        if any(_is_of(path, name) for name in step.inputs):
            yield path


def _is_of(path: str, name: str) -> bool:
    if path == name or path.startswith(f"{name}/"):
        return True
    return is_glob(name) and any(
        Glob(name).matches(above) for above in _with_folders(path)
    )


def _with_folders(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]
