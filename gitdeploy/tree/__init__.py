"""A commit's tree looked through before one byte of it is written.

`inspection` walks it, `objects` reads it, `content` and `refusals` say what may not be;
`listing` lists what may.
"""

from gitdeploy.tree.inspection import Inspection, Submodule, inspect
from gitdeploy.tree.listing import listed

__all__ = ["Inspection", "Submodule", "inspect", "listed"]
