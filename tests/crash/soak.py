"""An hour, or a minute, of everything at once: `python -m crash.soak SECONDS [SEED]`.

Random pushes, moves and prunes, one or several at a time; and now and then one of their
processes, whichever it is, is killed at any moment. After each step every link has to
resolve to a complete release; now and then an ordinary push has to work, and all has to
agree again. A seed repeats the choices, not the moments.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from subprocess import DEVNULL, Popen

from support import process
from support.guard import environment

from crash.checks import check_links, check_settled
from crash.inside import wait_quiet
from crash.world import HISTORY, World, developer, python, scratch

_VERBS = (
    ("rollback", "shop", "dev"),
    ("rollback", "shop"),
    ("rollforward", "shop", "dev"),
    ("rollforward", "shop"),
    ("release", "shop"),
    ("redeploy", "shop", "dev"),
    ("prune", "shop", "--keep", "1"),
    ("setup", "shop"),
    ("repair", "shop"),
    ("cancel", "shop", "--all"),
    ("doctor", "shop", "--fix"),
)
_LONGEST_S = 0.4


class Soak:
    """One world, and what was done to it."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.did: Counter[str] = Counter()

    def begin(self) -> None:
        """Make the app and its first release."""
        assert self._world.gitdeploy("setup", "shop").returncode == 0
        assert self._world.push("c1:refs/heads/main").code == 0

    def step(self) -> list[str]:
        """Do something, or several things at once; kill one of them, perhaps."""
        with ExitStack() as stack:
            children = [
                stack.enter_context(self._started(list(words)))
                for words in self._words(self._chance.choice((1, 1, 1, 2, 3)))
            ]
            if self._chance.random() < 0.6:
                time.sleep(self._chance.random() * _LONGEST_S)
                self._kill_one()
            for child in children:
                child.wait(120)
        return check_links(self._world)

    def settle(self) -> list[str]:
        """Push as anybody would; return what is wrong afterwards."""
        self.did["settled"] += 1
        left = wait_quiet(self._world)
        found = [f"process {pid} stays" for pid in left if _runs(pid)]
        last = self._push(tags=False)
        pushed = process.run(*last, cwd=self._world.clone, check=False)
        if pushed.returncode:
            found.append(f"the next push failed: {pushed.stderr}")
        repaired = self._world.gitdeploy("repair", "shop")  # what moved unseen
        if repaired.returncode:
            found.append(f"repair failed: {repaired.stderr}")
        return found + check_settled(self._world)

    def _words(self, number: int) -> Iterator[list[str]]:
        for _ in range(number):
            if self._chance.random() < 0.6:
                self.did["push"] += 1
                yield self._push()
            else:
                verb = self._chance.choice(_VERBS)
                self.did[verb[0]] += 1
                yield [*python(), *verb]

    def _push(self, *, tags: bool = True) -> list[str]:
        commit = f"c{self._chance.randint(1, HISTORY)}"
        ref = f"{commit}:refs/heads/main"
        if tags and self._chance.random() < 0.3:
            tag = f"refs/tags/v{self._chance.randint(1, 9)}"
            ref = self._chance.choice((f":{tag}", f"{commit}:{tag}"))
        return ["git", "push", "--force", str(self._world.repository), ref]

    def _started(self, words: list[str]) -> Popen[bytes]:
        return Popen(
            words,
            cwd=self._world.clone,
            env={**os.environ, **self._world.environment()},
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
        )

    def _kill_one(self) -> None:
        if running := self._world.processes():
            self.did["killed"] += 1
            with suppress(ProcessLookupError, PermissionError):
                pid = self._chance.choice(running)
                number = self._chance.choice((signal.SIGKILL, signal.SIGTERM))
                os.kill(pid, number)


def _runs(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"
    return False


def main(seconds: float, seed: int) -> int:
    """Soak one world; return how many things were wrong."""
    chance = random.Random(seed)  # noqa: S311 - it has to be repeatable
    wrong = 0
    with scratch() as place:
        os.environ.update(environment(place))
        developer(place / "clone")
        (place / "root").mkdir()
        soak = Soak(World(place / "root", place / "clone"), chance)
        soak.begin()
        end = time.monotonic() + seconds
        for n in range(1_000_000):
            if time.monotonic() > end:
                break
            found = soak.step()
            if n % 4 == 3:
                found += soak.settle()
            for sentence in found:
                wrong += 1
                say(f"step {n}: {sentence}")
        found = soak.settle()
        did = ", ".join(f"{number} {what}" for what, number in soak.did.most_common())
        for sentence in (*found, f"seed {seed}: {did}; {wrong + len(found)} wrong"):
            say(sentence)
    return wrong + len(found)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _, seconds_, *seed_ = sys.argv
    raise SystemExit(bool(main(float(seconds_), int(seed_[0]) if seed_ else 1)))
