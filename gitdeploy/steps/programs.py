"""Where programs lie that hold commands: never where PATH of a pusher's says."""

import os
from typing import Final

__all__ = ["found", "program"]

PLACES: Final = ("/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin")


def found(name: str) -> str | None:
    """Return the path of a program of the system; None: it is not installed."""
    places = (f"{place}/{name}" for place in PLACES)
    return next((path for path in places if os.access(path, os.X_OK)), None)


def program(name: str) -> str:
    """Return the path of a program; where it would be, if it is not installed."""
    return found(name) or f"{PLACES[0]}/{name}"
