"""The kinds of push that are compared: what precedes each and what it pushes."""

from collections.abc import Callable
from dataclasses import dataclass

from sites import Site


def _edit_one(site: Site) -> str:
    return site.edit(1)


def _edit_tenth(site: Site) -> str:
    return site.edit(max(1, len(site.files) // 10))


def _nothing_yet(_site: Site) -> str:
    return "main"


@dataclass(frozen=True)
class Case:
    """One kind of push."""

    title: str
    change: Callable[[Site], str]
    """Makes what is pushed with the clock running; returns the ref to push."""
    before: Callable[[Site], str] | None = None
    """Makes what every server gets first, unclocked; returns the ref to push."""
    fresh: bool = False
    """Whether each run needs servers that have never seen a push."""


CASES = {
    "first": Case("first push", _nothing_yet, fresh=True),
    "one": Case("one file changed", _edit_one),
    "tenth": Case("10 % of files changed", _edit_tenth),
    "empty": Case("empty commit", Site.empty),
    "revert": Case("revert of last commit", Site.revert, before=_edit_one),
    "tag": Case("tag on staged commit", Site.tag, before=_edit_one),
}
"""In the order they are run: `first` must come before the site has a history."""
