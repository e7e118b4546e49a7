"""Health asked by a thread, so that whoever waits for it hears other things, too."""

import threading
from collections.abc import Callable
from typing import Final

from gitdeploy.config import Health
from gitdeploy.config.places import Reach
from gitdeploy.probe import Heard, ask_until_healthy
from gitdeploy.system.clock import Stopwatch

__all__ = ["Asking"]

_LOOK_S: Final = 0.1


class Asking:
    """A thread that asks, so that nothing we wait for is out of reach."""

    def __init__(self, health: Health, running: Stopwatch, reach: Reach) -> None:
        self._health = health
        self._reach = reach
        self._running = running
        self._enough = threading.Event()
        self._heard: Heard | None = None
        self._error: Exception | None = None

    def followed(self, check: Callable[[], None]) -> Heard:
        """Return what was heard last; what `check` raises ends it at once."""
        thread = threading.Thread(target=self._ask, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                check()
                thread.join(_LOOK_S)
        finally:
            self._enough.set()
        if self._error:
            raise self._error
        assert self._heard is not None
        return self._heard

    def _ask(self) -> None:
        stop, running = self._enough.is_set, self._running
        try:
            self._heard = ask_until_healthy(
                self._health, stop=stop, running=running, reach=self._reach
            )
        except Exception as error:  # noqa: BLE001 - told by the one who waits
            self._error = error
