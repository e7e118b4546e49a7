"""Several apps one after the other, where the failure of one stops no other."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from gitdeploy.cli.options import tell
from gitdeploy.system.bugs import foreseen
from gitdeploy.system.disk import blamed

__all__ = ["each_by_itself"]

Guard: TypeAlias = Callable[[str], AbstractContextManager[None]]


@contextmanager
def each_by_itself(*, alone: bool) -> Iterator[Guard]:
    """Let the body do something to each of several apps, a bug of ours included.

    After the body the failures of all are told, and the first is raised: the exit
    status is its own.

    Args:
        alone: Whether there is one app, which its user has named.

    Yields:
        What keeps the failure of one app, by its name, from the others.
    """
    failures: dict[str, Exception] = {}

    @contextmanager
    def guard(name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the other apps have theirs coming
            failures.setdefault(name, error)

    yield guard
    if not failures:
        return
    (first, why), *others = failures.items()
    for name, error in others:
        tell(f"{name}: {blamed(foreseen(error))}")
    if not alone:
        tell(f"{first} has failed:")
    raise why
