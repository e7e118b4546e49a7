"""How long the parts of a trial have run, also over the death of who began it.

Whoever goes on with a trial (`recover`) has the time that was left, never the whole
again: what waits for a pusher's choice would else hold an app for as long as somebody
kills the one who waits.
"""

import json
from contextlib import suppress
from typing import Final, Literal, TypeAlias

from gitdeploy.deploy.app import App
from gitdeploy.errors import GitdeployError
from gitdeploy.model import ChainName
from gitdeploy.system import clock
from gitdeploy.system.clock import Stopwatch

__all__ = ["TrialTime"]

Part: TypeAlias = Literal["commands", "services", "health"]

_SETTING: Final = "trial_"
"""The setting that says when what began; one for each chain, with its name behind."""


class TrialTime:
    """When the parts of the trial of one release began, for one event.

    Attributes:
        chain: Where it is shown.
    """

    def __init__(self, app: App, chain: ChainName, event: int, release: int) -> None:
        self.chain = chain
        self._ledger = app.ledger
        self._setting = f"{_SETTING}{chain}"
        self._of = f"{event}/{release}"

    def begun(self, part: Part) -> Stopwatch:
        """Return how long a part has run: since now, unless it had begun before.

        Changes: the setting, where the part begins. Where the disk is full nothing is
            noted, and the trial goes on.
        """
        with suppress(GitdeployError):
            known = self._known()
            if since := known.get(part):
                return Stopwatch(max(clock.seconds_since(since), 0.0))
            noted = {**known, "of": self._of, part: clock.now()}
            self._ledger.set_setting(self._setting, json.dumps(noted))
        return Stopwatch()

    def _known(self) -> dict[str, str]:
        """Return what began of this very trial; another's is forgotten."""
        try:
            known = json.loads(self._ledger.setting(self._setting) or "{}")
        except ValueError:
            return {}
        is_ours = isinstance(known, dict) and known.get("of") == self._of
        return known if is_ours else {}
