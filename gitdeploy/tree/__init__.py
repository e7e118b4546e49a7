"""A commit's tree looked through before one byte of it is written.

`inspection` walks it, `objects` reads it, `content` and `refusals` say what may not be.
"""

from gitdeploy.tree.inspection import Inspection, Submodule, inspect

__all__ = ["Inspection", "Submodule", "inspect"]
