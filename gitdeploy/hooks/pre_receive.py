"""The pre-receive hook: what somebody may not push is not even kept.

git runs it while the objects of a push are in quarantine (git-receive-pack(1)): what
is refused here goes with them, and nobody can fetch it or is charged for it. Only
people with keys are asked; the server's own user may do everything, and nobody else
without a key: what root's git has received would stay root's, among that user's files.

Nearly always what the forced command found a moment ago is enough (`permit`). In any
other case rights are asked anew (`before`), which is imported only then: half of what
this hook could cost is Python's imports.
"""

import os
import sys

from gitdeploy.hooks.permit import covers

__all__ = ["main"]

# Every hook that git starts has all of them in its environment; see execve(2), E2BIG.
_MOST_OPTION_BYTES = 64 * 1024


def main() -> int:
    """Refuse the whole push, or let git go on; return the exit status."""
    key = os.environ.get("GITDEPLOY_KEY")
    updates = sys.stdin.buffer.read()
    if os.stat(os.environ.get("GIT_DIR", ".")).st_uid != os.geteuid():
        from gitdeploy.hooks.before import refuse_stranger

        return refuse_stranger()
    if not key:
        return 0
    if _option_bytes() > _MOST_OPTION_BYTES:
        _say("gitdeploy: push options of more than 64 KiB; nothing was taken")
        return 1
    permit = os.environ.get("GITDEPLOY_PERMIT", "")
    lines = updates.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    if covers(permit, [line.split(" ", 2)[2] for line in lines]):
        return 0
    from gitdeploy.hooks.before import judge

    return judge(updates)


def _option_bytes() -> int:
    """Return how much the push options of this push take (githooks(5))."""
    number = int(os.environ.get("GIT_PUSH_OPTION_COUNT", "0"))
    names = (f"GIT_PUSH_OPTION_{n}" for n in range(number))
    return sum(len(os.environb[name.encode()]) for name in names)


def _say(sentence: str) -> None:
    os.write(2, f"{sentence}\n".encode())
