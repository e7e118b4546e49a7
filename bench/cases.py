"""The kinds of push that are compared."""

from collections.abc import Callable
from dataclasses import dataclass

from sites import Site


def _edit_tenth(site: Site) -> str:
    return site.edit(max(1, len(site.files) // 10))


def _nothing_yet(_site: Site) -> str:
    return "main"


@dataclass(frozen=True)
class Case:
    """One kind of push."""

    title: str
    change: Callable[[Site], str]
    """Makes what is pushed, with no clock running; returns the ref to push."""
    fresh: bool = False
    """Whether each run needs servers that have never seen a push."""
    after: str = ""
    """The case that must come right before it in each round."""


CASES = {
    "first": Case("first push", _nothing_yet, fresh=True),
    "tenth": Case("10 % changed", _edit_tenth),
    "empty": Case("nothing changed", Site.empty),
    "one": Case("one file changed", lambda site: site.edit(1)),
    "tag": Case("tag on staged", Site.tag, after="one"),
    "revert": Case("revert", Site.revert, after="one"),
}
"""In the order of a round: a tag leaves the branch alone, so that what `one` staged
can be tagged and then reverted."""


def round_of(names: list[str]) -> list[str]:
    """Return the cases of one round: those wanted, and what they come after."""
    needed = {*names, *(CASES[name].after for name in names)}
    return [name for name in CASES if name in needed and not CASES[name].fresh]
