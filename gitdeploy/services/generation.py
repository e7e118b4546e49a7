"""One generation of a service after another, on the same socket."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from gitdeploy.errors import GitdeployError
from gitdeploy.services.description import SLOTS, Description, Launch
from gitdeploy.services.notified import Notified
from gitdeploy.services.script import release_of, write_script
from gitdeploy.system.clock import Stopwatch
from gitdeploy.system.terminal import human_time

__all__ = ["Keeper", "NotReady", "State", "bring_up", "live_slots"]

State: TypeAlias = Literal["stopped", "starting", "running", "stopping", "failed"]

_LOOK_S: Final = 0.05
_PATIENCE_S: Final = 10.0
_DRAINS_S: Final = 5.0
_TAIL_BYTES: Final = 4096
_TAIL_LINES: Final = 8


class Keeper(Protocol):
    """A supervisor, as far as one service of one chain goes."""

    def state(self, slot: int) -> State:
        """Return what a slot does; `running` where it stayed up for long enough."""

    def start(self, slot: int) -> None:
        """Start what the slot's script says; does not wait."""

    def stop(self, slot: int) -> None:
        """Tell a slot to stop; does not wait. It may have stopped already."""


class NotReady(GitdeployError):
    """A generation did not get ready; the earlier one goes on.

    Attributes:
        tail: The last lines it printed.
    """

    def __init__(self, message: str, tail: Sequence[str]) -> None:
        super().__init__(message)
        self.tail = tuple(tail)


def bring_up(
    keeper: Keeper,
    description: Description,
    launch: Launch,
    *,
    anew: bool = False,
    check: Callable[[], None] = lambda: None,
    running: Stopwatch | None = None,
) -> bool:
    """Make a service run one release and no other; return whether it was started.

    Where that release runs already, only what runs besides is told to stop: what a
    crash between start and stop left, or a generation that did not get ready.

    Args:
        keeper: Has the service's socket.
        description: The service.
        launch: What shall run.
        anew: Whether it is started anew where it runs already.
        check: What ends the waiting by raising; nothing is stopped then but the new.
        running: Since when it gets ready already; None: since now.

    Raises:
        NotReady: It ended, or did not get ready in time; what ran before runs.

    Changes: the free slot's script, its process, then the process of the other.
        Safe to repeat.
    """
    up = live_slots(keeper)
    live = [slot for slot in up if release_of(description, slot) == launch.release]
    ready = [slot for slot in live if keeper.state(slot) == "running"]
    if ready and not anew:
        _stop_all(keeper, [slot for slot in up if slot != ready[0]])
        return False
    slot = _free_slot(keeper, description, check)
    write_script(description, slot, launch)
    waiting = _Waiting(running or Stopwatch(), check)
    _start(keeper, description, slot, waiting)
    others = [other for other in SLOTS if other != slot]
    _stop_all(keeper, others)
    _await_end(keeper, others)
    return True


def live_slots(keeper: Keeper) -> list[int]:
    """Return the slots that run, or are about to."""
    return [slot for slot in SLOTS if keeper.state(slot) in ("starting", "running")]


class _Waiting(Struct, frozen=True):
    """How a generation is waited for."""

    running: Stopwatch
    check: Callable[[], None]


def _free_slot(
    keeper: Keeper, description: Description, check: Callable[[], None]
) -> int:
    """Return a slot in which nothing runs any more.

    Where both are taken, the one that is not ready is stopped, or the later one: a
    crash came between its start and the stop of the other.
    """
    states = {slot: keeper.state(slot) for slot in SLOTS}
    for slot, state in states.items():
        if state in ("stopped", "failed"):
            return slot
    slot = max(
        SLOTS, key=lambda slot: (states[slot] != "running", _made(description, slot))
    )
    leaving = [slot for slot in SLOTS if states[slot] == "stopping"] or [slot]
    _stop_all(keeper, leaving)
    limit_s = description.service.stop_timeout_s + _PATIENCE_S
    watch = Stopwatch()
    while keeper.state(leaving[0]) not in ("stopped", "failed"):
        if watch.seconds > limit_s:
            raise NotReady("the one before the last does not stop", ())
        check()
        time.sleep(_LOOK_S)
    return leaving[0]


def _made(description: Description, slot: int) -> float:
    path = description.script(slot)
    return path.stat().st_mtime if path.exists() else 0.0


def _start(
    keeper: Keeper, description: Description, slot: int, waiting: _Waiting
) -> None:
    output = description.output(slot)
    seen = output.stat().st_size if output.exists() else 0
    try:
        with Notified(description, slot) as notified:
            keeper.start(slot)
            _wait_until_ready(keeper, description, slot, notified, waiting)
    except BaseException as error:
        keeper.stop(slot)
        if isinstance(error, NotReady):
            error.tail = tuple(_tail(description, slot, seen))
        raise


def _wait_until_ready(
    keeper: Keeper,
    description: Description,
    slot: int,
    notified: Notified,
    waiting: _Waiting,
) -> None:
    watch = Stopwatch()
    limit_s = description.service.within_s
    while True:
        state = keeper.state(slot)
        if state not in ("starting", "running"):
            took = human_time(watch.seconds)
            raise NotReady(f"it ended after {took}", ())
        if notified.ready if description.service.notify else state == "running":
            return
        if waiting.running.seconds > limit_s:
            raise NotReady(f"it was not ready within {human_time(limit_s)}", ())
        waiting.check()
        time.sleep(_LOOK_S)


def _stop_all(keeper: Keeper, slots: Sequence[int]) -> None:
    for slot in slots:
        if keeper.state(slot) in ("starting", "running"):
            keeper.stop(slot)


def _await_end(keeper: Keeper, slots: Sequence[int]) -> None:
    """Wait until what was told to stop answers nobody any more, but not for long.

    What it still answers then is what it had begun to answer.
    """
    watch = Stopwatch()
    while any(keeper.state(slot) == "stopping" for slot in slots):
        if watch.seconds > _DRAINS_S:
            return
        time.sleep(_LOOK_S)


def _tail(description: Description, slot: int, seen: int) -> list[str]:
    """Return the last lines that a slot printed since it was started."""
    output = description.output(slot)
    if not output.exists():
        return []
    with output.open("rb") as file:
        size = output.stat().st_size
        file.seek(max(seen if seen <= size else 0, size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "backslashreplace").splitlines()
    return [line for line in lines if line.strip()][-_TAIL_LINES:]
