"""What the name of a ticket says, `TIME-PROCESS[-KIND[-CHAIN]]`: who goes before whom.

    0  a roll back (`-urgent-prod`) that the one who lends the lock can let go first
    1  the one who lends it (`-lent`; `-lent-dev`: while what dev shows is tried out)
    2  any other roll back
    3  everybody else

Within each, whoever came first goes first.
"""

import os
import time
from collections.abc import Iterable
from typing import Final

__all__ = ["LENT", "URGENT", "chain_of", "in_order", "kind_of", "new_name", "owner_of"]

URGENT: Final = "urgent"
LENT: Final = "lent"


def new_name(kind: str = "", chain: str | None = None) -> str:
    """Return the name of a ticket that we draw now."""
    words = [f"{time.monotonic_ns():020d}", str(os.getpid()), kind, chain or ""]
    return "-".join(filter(None, words))


def owner_of(name: str) -> str:
    """Return the process that drew a ticket."""
    return _parts(name)[1]


def kind_of(name: str) -> str:
    """Return what a ticket is for: urgent, lent, or empty for most."""
    return _parts(name)[2]


def chain_of(name: str) -> str | None:
    """Return the chain that it is about, which is to be rolled back or is tried out."""
    return _parts(name)[3] or None


def in_order(names: Iterable[str]) -> list[str]:
    """Return tickets in the order of their turns."""
    tickets = list(names)
    tried = {chain_of(name) for name in tickets if kind_of(name) == LENT}

    def rank(name: str) -> tuple[int, str]:
        kind = kind_of(name)
        if kind == URGENT:
            return (2 if chain_of(name) in tried else 0), name
        return (1 if kind == LENT else 3), name

    return sorted(tickets, key=rank)


def _parts(name: str) -> list[str]:
    return [*name.split("-"), "", "", ""][:4]
