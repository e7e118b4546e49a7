"""A server set up for gitdeploy: facts, then a plan, then deeds, each in its file.

Nothing here knows apps, releases or the ledger.
"""

from gitdeploy.server.deeds import carry_out
from gitdeploy.server.facts import SEARCHED, gather
from gitdeploy.server.parts import (
    Command,
    Directory,
    Facts,
    File,
    No,
    Part,
    Plan,
    Wanted,
)
from gitdeploy.server.plan import planned
from gitdeploy.server.sshd import make_room

__all__ = [
    "SEARCHED",
    "Command",
    "Directory",
    "Facts",
    "File",
    "No",
    "Part",
    "Plan",
    "Wanted",
    "carry_out",
    "gather",
    "make_room",
    "planned",
]
