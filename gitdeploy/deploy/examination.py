"""One release beside what its commit has: what differs, and what of it is right so."""

import itertools
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct, field

from gitdeploy import unchanged
from gitdeploy.checkout import converted, written
from gitdeploy.comparison import (
    Compared,
    How,
    besides,
    compare,
    holds_the_same,
    is_below,
)
from gitdeploy.config.declared import declares_commands
from gitdeploy.deploy.app import App
from gitdeploy.deploy.built import what_was_built
from gitdeploy.deploy.donor import read_manifest
from gitdeploy.deploy.facts import Source, content_id, read_source
from gitdeploy.deploy.gitattributes import fingerprint
from gitdeploy.deploy.look import places
from gitdeploy.deploy.parts import Part, parts_of
from gitdeploy.ground import Ground
from gitdeploy.manifest import File, Manifest, Stamp, joined
from gitdeploy.model import CHAINS, Release
from gitdeploy.shared import targets
from gitdeploy.system import ground
from gitdeploy.system.flock import held

__all__ = ["Verified", "examine", "record_of"]

_NO_REF: Final = "refs/heads/main"

_AT_ONCE: Final = 1000
"""Files that git writes before they are compared, so that few are on the disk."""


class Verified(Struct):
    """What a release has, beside what its commit has."""

    release: Release
    on: list[str] = field(default_factory=list)
    """The positions that links show: `prod-1`."""
    files: int = 0
    """Files and links of the commit that were looked at."""
    changed: dict[bytes, How] = field(default_factory=dict)
    missing: list[bytes] = field(default_factory=list)
    built: list[bytes] = field(default_factory=list)
    """What differed already when the release became ready: a build step did that."""
    added: list[bytes] = field(default_factory=list)
    """What the commit does not have, where no build step can have made it."""
    touched: list[bytes] = field(default_factory=list)
    """What is right, and does not look as it was recorded: it is not shared."""
    besides: int = 0
    """How many files the commit does not have, whoever made them."""
    unchecked: list[bytes] = field(default_factory=list)
    """Submodules of which nobody knows any more what they should hold."""
    has_commands: bool = True
    """Whether deploy.toml declares any."""
    parts: list[Part] = field(default_factory=list)
    """Where its files come from; the commit itself first."""
    shared: dict[bytes, set[str]] = field(default_factory=dict)
    """The shared paths, and what the links there may hold."""
    stamps: dict[bytes, Stamp] = field(default_factory=dict)
    """Every file that was just found to be right, as it lies on the disk."""

    @property
    def whole(self) -> bool:
        """Whether every file is known to be as its commit has it, or was built so."""
        return not (self.changed or self.missing or self.unchecked)

    def restorable(self) -> list[tuple[Part, dict[bytes, File]]]:
        """Return what git can give back of each part, by its paths in there."""
        wrong = {*self.changed, *self.missing} - self.shared.keys()
        if not wrong:
            return []
        return [
            (
                part,
                {
                    path: file
                    for path, file in part.files()
                    if is_below(part.place(path), wrong)
                    and not is_below(part.place(path), self.shared)
                },
            )
            for part in self.parts
        ]


def examine(app: App, release: Release) -> Verified:
    """Return how a release, which came from git, differs from its commit.

    Raises:
        ReleaseFailed: What the commit has cannot be read.
    """
    assert release.commit is not None
    source = read_source(app, _NO_REF, release.commit)
    on = places(app).get(release.number, [])
    found = Verified(release, on, shared=_shared(app, release, source))
    found.has_commands = declares_commands(source.config)
    found.parts, found.unchecked = parts_of(app, release, source.config)
    record = _record(app, release, found.parts[0])
    known = _stamps(record)
    compared = _compared(app, found, known)
    _look_at_links(app, found)
    _sort(found, compared.wrong, what_was_built(app, release, record, source.config))
    found.files, found.stamps = compared.files, compared.stamps
    found.touched = [p for p, s in compared.stamps.items() if known.get(p, s) != s]
    apart = {*found.shared, *found.unchecked}
    extra = besides(app.directory(release), _folders(found.parts), apart)
    if source.config.build.steps:
        found.besides = sum(1 for _ in extra)
    else:
        found.added = sorted(extra)
        found.besides = len(found.added)
    return found


def record_of(app: App, found: Verified) -> Manifest:
    """Return the record of a release's files that vouches for what was found right."""
    assert found.release.tree is not None
    main = found.parts[0]
    known = _record(app, found.release, main)
    folders = known.folders if known else main.folders
    attributes = fingerprint(app, found.release.tree, main.path, main.folders)
    proved = unchanged.vouch(unchanged.unstamped(folders), found.stamps)
    rules = known.rules if known else ""  # it was not looked through by any
    made = Manifest.of(proved, path=main.path, rules=rules, attributes=attributes)
    made_ns = known.made_ns if known else 0
    return msgspec.structs.replace(
        made, has_commands=found.has_commands, made_ns=made_ns
    )


def _record(app: App, release: Release, main: Part) -> Manifest | None:
    """Return the record of a release, if it is one of the same tree."""
    record = read_manifest(app, release)
    return record if record and record.knows(b"", main.folders[b""].tree) else None


# --- what is shared -----------------------------------------------------------------


def _shared(app: App, release: Release, source: Source) -> dict[bytes, set[str]]:
    """Return what the link at each shared path of a release may hold."""
    config, directory = source.config.shared, app.directory(release)
    made_for = [name for name in CHAINS if content_id(source, name) == release.content]
    links: dict[bytes, set[str]] = {}
    for chain in made_for or CHAINS:
        place = app.shared_of(config.scope, chain)
        wanted = targets(directory, place, config, anchor=app.layout.home)
        for path, target in wanted.items():
            links.setdefault(os.fsencode(path), set()).add(target)
    return links


def _look_at_links(app: App, found: Verified) -> None:
    directory = app.directory(found.release)
    for path, may in found.shared.items():
        place = Ground(directory, os.fsdecode(path))
        if (held := ground.link_at(place)) is None and _is_missing(place):
            found.missing.append(path)
        elif held not in may:
            found.changed[path] = "kind"


def _is_missing(place: Ground) -> bool:
    try:
        return ground.kind_of(place) == "missing"
    except OSError:  # something else lies on the way
        return False


# --- what comes from git ------------------------------------------------------------


def _folders(parts: Iterable[Part]) -> unchanged.Folders:
    return {
        part.place(path): folder
        for part in parts
        for path, folder in part.folders.items()
    }


def _stamps(record: Manifest | None) -> dict[bytes, Stamp]:
    return {
        joined(path, file.name): file.stamp
        for path, folder in (record.folders.items() if record else ())
        for file in folder.files
        if file.stamp
    }


def _compared(app: App, found: Verified, known: Mapping[bytes, Stamp]) -> Compared:
    """Return what differs from what git would write."""
    directory = app.directory(found.release)
    folders = unchanged.vouch(_folders(found.parts), known)
    apart = {*found.shared, *found.unchecked}
    compared = compare(directory, folders, apart)
    for part in found.parts:
        for path in _differing(app, found.release, part, compared):
            compared.wrong[path] = "content"
            compared.stamps.pop(path, None)
    return compared


def _differing(
    app: App, release: Release, part: Part, compared: Compared
) -> list[bytes]:
    """Return which files of a part do not hold what git would write now."""
    doubtful = {p: f for p, f in part.files() if part.place(p) in compared.doubtful}
    if not doubtful and not part.has_attributes:
        return []
    directory, scratch = app.directory(release), app.layout.scratch
    different: list[bytes] = []
    with held(app.layout.releases):
        doubtful |= _converted(app, part, compared)
        files = iter(doubtful.items())
        while some := list(itertools.islice(files, _AT_ONCE)):
            with written(
                part.git, some, scratch, attributes=part.attributes, path=part.path
            ) as there:
                different += (
                    part.place(path)
                    for path, place in there.items()
                    if not holds_the_same(directory, part.place(path), place)
                )
    return different


def _converted(app: App, part: Part, compared: Compared) -> Mapping[bytes, File]:
    """Return the files that have to be other than their blobs, perhaps."""
    if not part.has_attributes:
        return {}
    regular = {
        path: file
        for path, file in part.files()
        if stat.S_ISREG(file.mode) and part.place(path) in compared.stamps
    }
    names = converted(
        part.git,
        regular,
        app.layout.scratch,
        attributes=part.attributes,
        path=part.path,
    )
    return {path: regular[path] for path in names}


# --- what is right so ---------------------------------------------------------------


def _sort(
    found: Verified, wrong: Mapping[bytes, How], was_built: Callable[[bytes], bool]
) -> None:
    """Tell what build steps did from what was done to a release that was ready."""
    for path, how in sorted(wrong.items()):
        if was_built(path):
            found.built.append(path)
        elif how == "missing":
            found.missing.append(path)
        else:
            found.changed[path] = how
