"""Which states a release and a deployment have, and what leads from one to another.

The tables are the whole truth; nothing else may say what follows what.
"""

from collections.abc import Mapping
from typing import Final

from gitdeploy.errors import StateError

__all__ = ["DEPLOYMENT", "RELEASE", "next_state"]

RELEASE: Final[Mapping[tuple[str, str], str]] = {
    ("preparing", "seal"): "ready",
    ("preparing", "fail"): "failed",
    ("ready", "prune"): "pruned",
    ("failed", "prune"): "pruned",
}

# begun: somebody works on it; public state untouched.
# intended: its release is ready; from here on the ref tells whether it happened.
# changed: the chain holds the outcome; the links may not show it yet.
# condemned: what is shown does not work; the chain goes back, then the ref.
# ended: it has its verdict; nothing is left to do.
DEPLOYMENT: Final[Mapping[tuple[str, str], str]] = {
    ("begun", "intend"): "intended",
    ("begun", "end"): "ended",
    ("intended", "change"): "changed",
    ("intended", "end"): "ended",
    ("changed", "end"): "ended",
    ("changed", "condemn"): "condemned",
    ("condemned", "end"): "ended",
}


def next_state(table: Mapping[tuple[str, str], str], state: str, event: str) -> str:
    """Return the state that `event` leads to.

    Raises:
        StateError: The table has no such transition.
    """
    try:
        return table[state, event]
    except KeyError:
        raise StateError(f"{event} cannot happen in state {state}") from None
