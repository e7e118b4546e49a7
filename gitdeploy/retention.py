"""Which releases may be removed; pure."""

from collections.abc import Collection, Sequence
from typing import Final

from gitdeploy.model import Release

__all__ = ["FAILED_KEPT", "releases_to_prune"]

FAILED_KEPT: Final = 2
"""The newest that failed, live or before, stay: their author wants to look at them."""


def releases_to_prune(
    releases: Sequence[Release], *, keep: int, protected: Collection[int]
) -> tuple[Release, ...]:
    """Return the releases whose directories may be removed, oldest first.

    Neither a pinned release is among them, nor a directory that is not ours.

    Args:
        releases: Every release that has a directory, at least; in any order.
        keep: How many ready releases to keep besides the protected ones.
        protected: Numbers of releases that a link shows or a process uses.
    """
    ours = sorted(
        (
            release
            for release in releases
            if not release.pinned
            and release.path is None
            and release.number not in protected
        ),
        key=lambda release: release.number,
    )
    works = [one for one in ours if one.state == "ready" and one.bad_at is None]
    failed = [one for one in ours if one.state == "failed" or one.bad_at]
    gone = _all_but_newest(works, keep) + _all_but_newest(failed, FAILED_KEPT)
    return tuple(sorted(gone, key=lambda release: release.number))


def _all_but_newest(releases: list[Release], keep: int) -> list[Release]:
    return releases[: max(len(releases) - keep, 0)]
