"""The post-receive hook: nearly always it has nothing to do, and finds so at once.

Behind the gate every ref of a push was judged a moment before, and a note says so
(`note`). In any other case, and where a push has a certificate to be recorded, it is
a complete deployer (`afterwards`), which is imported only then: half of what this hook
could cost is Python's imports.
"""

import os
import sys

from gitdeploy.hooks.note import is_ours

__all__ = ["main"]


def main() -> int:
    """Deploy what is not deployed yet, then prune; git ignores the exit status."""
    updates = sys.stdin.buffer.read()
    certified = "GIT_PUSH_CERT" in os.environ  # the gate is not told (githooks(5))
    if not certified and is_ours(os.environ.get("GIT_DIR", "."), updates):
        return 0
    from gitdeploy.hooks.afterwards import deploy

    return deploy(updates)
